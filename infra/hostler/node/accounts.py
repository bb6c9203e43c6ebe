"""Accounts and groups, and commands whose failure is an error."""

from __future__ import annotations

from typing import Callable

from . import shell
from .protocol import NodeError


def has_account(name: str) -> bool:
    return shell.run(("getent", "passwd", name)).ok


def has_group(name: str) -> bool:
    return shell.run(("getent", "group", name)).ok


def ran(*words: str) -> Callable[[], None]:
    """A command for later; it raises NodeError with the command's own last line."""

    def run() -> None:
        result = shell.run(words)
        if not result.ok:
            raise NodeError("failed", result.why)

    return run
