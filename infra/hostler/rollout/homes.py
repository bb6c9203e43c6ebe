"""Which host has the stack's record, as far as it may say so itself: that by which the stack file has the gateway, and that
which had it when this machine looked last.

Each host could say that it is the home and has the newest record; keys, the stack file that is applied as root, and what is
done next would then be its own (adr/0037). Kept beside this machine's other files of the stack.
"""

from __future__ import annotations

from contextlib import suppress

from hostler import operator
from hostler.hosts import ways
from hostler.record.types import Record

NAME = "home.json"


def trusted(stack: str, *named: str) -> tuple[str, ...]:
    """`named`: by the file, and by Pulumi's state; empty ones are none. The controller trusts the host on which it is."""
    if ways.home():
        return (ways.home(),)
    return tuple(dict.fromkeys(name for name in (*named, _remembered(stack)) if name))


def remember(stack: str, host: str) -> None:
    """After a commit there, and after a look that found it there."""
    if host == _remembered(stack):
        return
    with suppress(OSError):  # no room here: the next look is as good as a first one
        operator.write_json(operator.stack_home(stack) / NAME, {"host": host})


def found(stack: str, home: tuple[str, Record] | None) -> Record | None:
    """The record of `store.at_home`, remembered."""
    if home is None:
        return None
    if home[1].stack == stack:
        remember(stack, home[0])
    return home[1]


def _remembered(stack: str) -> str:
    with suppress(OSError, ValueError):
        return str(operator.read_json(operator.stack_home(stack) / NAME).get("host", ""))
    return ""
