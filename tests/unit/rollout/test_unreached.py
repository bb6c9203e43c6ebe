"""A host that does not answer is one plain sentence."""

from __future__ import annotations

import pytest

from hostler.hosts.types import Seen
from hostler.rollout.observe import unreached


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            "expected python3, 3.9 or newer; got no python3",
            "gpu-1: expected python3, 3.9 or newer; got no python3",
        ),
        ("lost", "gpu-1: expected an answer; got lost"),
    ],
)
def test_what_was_expected_is_said_once(error: str, sentence: str) -> None:
    seen = Seen(host="gpu-1", at=0.0, seconds=1.0, error=error, error_kind="dead", next_step="look at it")
    assert str(unreached("gpu-1", seen)) == sentence
