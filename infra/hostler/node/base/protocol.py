"""Requests and answers: one JSON line in, JSON lines out; the last line is the answer, earlier ones are progress.

A failure is a last line {"error": kind, "message": ..., "next": ...} and an exit status that is not 0.
"""

from __future__ import annotations

import json
import sys
from typing import Any, BinaryIO, Dict, Optional

Request = Dict[str, Any]

REFUSED = 3  # exit status: would cut requests, or another stack's
RESTORED = 4  # exit status: failed, and went back where that was possible
STEP = 65536  # bytes of one read


class NodeError(Exception):
    """What a person is told. `kind` is for programs: usage, other-stack, stale, busy, disk, failed, bug..."""

    def __init__(self, kind: str, message: str, next_step: str = "", rc: int = 1, **more: Any) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.next_step = next_step
        self.rc = rc
        self.more = more

    def as_json(self) -> Dict[str, Any]:
        return {"error": self.kind, "message": self.message, "next": self.next_step, **self.more}


class Answers:
    """Where a command says what it has to say; each line is flushed at once."""

    def __init__(self, out: Optional[BinaryIO] = None) -> None:
        self._out: BinaryIO = sys.stdout.buffer if out is None else out

    def say(self, **values: Any) -> None:
        """One line. ASCII only, so that no locale on the way can change it."""
        self.say_value(values)

    def say_value(self, value: Any) -> None:
        self._out.write(json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n")
        self._out.flush()


def parse(line: bytes) -> Request:
    """A request line; raises NodeError of kind usage."""
    try:
        request = json.loads(line)
    except ValueError as error:
        raise NodeError("usage", "the request is not JSON: %s" % error, rc=2) from error
    if not isinstance(request, dict):
        raise NodeError("usage", "the request is not a JSON object", rc=2)
    return dict(request)  # pyright: ignore[reportUnknownArgumentType]


def as_dict(value: Any) -> Dict[str, Any]:
    """A JSON object; empty for anything else."""
    return dict(value) if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownArgumentType]


def text(request: Request, key: str, default: Optional[str] = None) -> str:
    """A string of the request; raises NodeError when it is missing and has no default."""
    value = request.get(key, default)
    if not isinstance(value, str):
        raise NodeError("usage", "%s: expected a string named %r" % (request.get("op", "?"), key), rc=2)
    return value


def number(request: Request, key: str, default: Optional[float] = None) -> float:
    """A number of the request (options of a command line arrive as strings)."""
    value = request.get(key, default)
    try:
        return float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        raise NodeError(
            "usage", "%s: expected a number named %r" % (request.get("op", "?"), key), rc=2
        ) from None


def identity(request: Request, key: str = "id") -> str:
    """A name that becomes part of a path or a unit: lower case letters, digits, `.`, `_` and `-`, no leading `.` or `-`."""
    value = text(request, key)
    good = bool(value) and len(value) <= 128 and value[0] not in ".-"
    if not good or not all(c.isascii() and (c.isalnum() or c in "._-") for c in value):
        raise NodeError("usage", "%s: %r is not a name" % (request.get("op", "?"), value), rc=2)
    return value
