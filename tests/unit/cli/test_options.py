"""Options that several verbs share."""

from __future__ import annotations

import click
import pytest

from hostler.cli import options


@pytest.mark.parametrize(("text", "seconds"), [(None, None), ("90s", 90.0), ("10m", 600.0), ("7d", 604800.0)])
def test_times(text: str | None, seconds: float | None) -> None:
    assert options.seconds("--for", text) == seconds


@pytest.mark.parametrize("text", ["", "ten", "5", "-1s"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(click.BadParameter, match="no time such as"):
        options.seconds("--for", text)
