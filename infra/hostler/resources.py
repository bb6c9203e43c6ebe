"""Where playbooks, templates and stacks are: in the wheel below hostler/share, in a checkout at its top."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def share() -> Path:
    """The folder that holds playbooks/, templates/ and stacks/."""
    packed = _PACKAGE / "share"
    return packed if packed.is_dir() else _PACKAGE.parent.parent


def playbooks() -> Path:
    return share() / "playbooks"


def templates() -> Path:
    return share() / "templates"


def stacks() -> Path:
    return share() / "stacks"
