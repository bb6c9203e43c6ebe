"""This machine's own folders: state that must stay (0700), never anything of the stack that the hosts know."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

CONTROLLER = "HOSTLER_CONTROLLER"  # as hosts.ways has it, which is above this


def state_home() -> Path:
    """The user's state folder of hostler, made 0700."""
    from platformdirs import user_state_path

    return _private(user_state_path("hostler"))


def cache_home() -> Path:
    from platformdirs import user_cache_path

    return _private(user_cache_path("hostler"))


def stack_home(stack: str) -> Path:
    """What this operator keeps of one stack: Pulumi's local state, keys shown once."""
    return _private(state_home() / "stacks" / stack)


def named_file(stack_file: str, name: str) -> Path:
    """A file that a stack file names: beside it, or where `name` says. The controller has copies of its own."""
    if there := os.environ.get(CONTROLLER):
        return Path(there) / "files" / short_name(name)
    return Path(stack_file).parent / Path(name).expanduser()


def short_name(name: str) -> str:
    """Of such a copy: never a path."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Atomic, 0600."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, sort_keys=True)
    fresh.replace(path)


def _private(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path
