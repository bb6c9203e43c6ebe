"""A plan in a file: `plan --out FILE`, `up --plan FILE`. Applied verbatim, or refused because the world moved."""

from __future__ import annotations

import json
from pathlib import Path

from hostler import __version__
from hostler.codec import DecodeError, decode, encode
from hostler.configure.types import Plan
from hostler.errors import RefusedError, UsageError

FORMAT = 1


def save(plan: Plan, path: Path) -> None:
    """Private to its owner: it shows the stack's inside, though no secret."""
    text = json.dumps({"hostler_plan": FORMAT, "version": __version__, "plan": encode(plan)}, indent=1)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def load(path: Path) -> Plan:
    """Raises UsageError when it is no plan of this version."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        version, body = data["version"], data["plan"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _no_plan(path, str(error)) from error
    if data["hostler_plan"] != FORMAT or version != __version__:
        raise _no_plan(path, f"a plan of hostler {version}")
    try:
        return decode(Plan, body)
    except (DecodeError, ValueError) as error:
        raise _no_plan(path, str(error)) from error


def refuse_moved(saved: Plan, now: Plan) -> None:
    """The saved plan is void when the file, the hosts or the outcome differ from what it was made for."""
    moved = [
        name
        for name, old, new in (
            ("the stack file", saved.file, now.file),
            ("what is on the hosts", saved.observed, now.observed),
            ("the changes", encode(saved.changes), encode(now.changes)),
        )
        if old != new
    ]
    if moved:
        raise RefusedError.of(
            "--plan",
            expected="the world for which the plan was made",
            got=f"{' and '.join(moved)} changed since",
            next_step="make a new plan: `hostler plan --out FILE`",
        )


def _no_plan(path: Path, got: str) -> UsageError:
    return UsageError.of(
        str(path),
        expected=f"a plan of hostler {__version__}",
        got=got,
        next_step="make one: `hostler plan --out FILE`",
    )
