"""Becoming root, and saying why not."""

from __future__ import annotations

import pytest

from hostler.hosts.words import prepare


@pytest.mark.parametrize(
    ("rc", "said", "expected"),
    [
        (126, "{mark} missing", "no sudo"),
        (126, "{mark} password", "asks for one"),
        (126, "hostler-0123456789abcdef missing", None),
        (126, "cannot execute", None),
        (0, "{mark} missing", None),
    ],
)
def test_refusal(rc: int, said: str, expected: str | None) -> None:
    prepared = prepare(("true",), root=True)
    refusal = prepared.refusal("h", rc, said.format(mark=prepared.mark).encode())
    assert (refusal is None) == (expected is None)
    if refusal is not None and expected:
        assert expected in str(refusal)
        assert refusal.kind == "sudo"


def test_without_root_words_are_untouched() -> None:
    prepared = prepare(("echo", "a b"), root=False)
    assert (prepared.argv, prepared.line) == (("echo", "a b"), "echo 'a b'")
    assert prepared.refusal("h", 126, b" missing") is None
