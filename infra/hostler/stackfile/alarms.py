"""Those who are told of something: `alarms` and `updates.notify`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .notes import Notes
from .outside import Notify
from .sections import Stack


def told(path: str, those: Sequence[Notify], stack: Stack, notes: Notes) -> None:
    """Notes each of them who could not be told."""
    for index, one in enumerate(those):
        _one(f"{path}[{index}]", one, stack, notes)


def _one(path: str, one: Notify, stack: Stack, notes: Notes) -> None:
    ways = [key for key in ("url", "secret", "command") if getattr(one, key) is not None]
    if len(ways) != 1:
        if not notes.troubled(path):
            got = " and ".join(ways) or "none of them"
            notes.about(path, "one of url, secret, command", got, "keep one")
    elif one.url and not re.match(r"https?://[^/]", one.url):
        notes.about(path, "an address that begins with https://", one.url, "or a command: {command: ...}")
    elif one.secret and one.secret not in stack.secrets and not notes.troubled("secrets"):
        got = f"{one.secret}, which is not there"
        notes.about(path, "a name under `secrets`", got, f"add it to secrets: {{{one.secret}: env}}")
