"""What the controller remembers from one look to the next. Lost, it begins anew: ages count from then on.

`state.json` is its own, `status.json` what `hostler status` shows; both in its folder on the gateway's host, 0600.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostler import operator
from hostler.codec import decode, encode
from hostler.controller.frozen import Frozen

STATE, STATUS = "state.json", "status.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Last:
    """The last update that was tried. `at` in seconds since 1970."""

    model: str = ""
    what: str = ""
    at: float = 0.0
    ended: str = ""  # good, went back, failed
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    looked: float = 0.0  # when registries and hubs were asked
    frozen: Mapping[str, Frozen] = field(default_factory=dict[str, Frozen])
    took: Mapping[str, float] = field(
        default_factory=dict[str, float]
    )  # model -> when an update of it was tried
    failed: Mapping[str, float] = field(
        default_factory=dict[str, float]
    )  # when one failed without going back
    lasted: Mapping[str, float] = field(
        default_factory=dict[str, float]
    )  # seconds that the last good one took
    unknown: Mapping[str, str] = field(default_factory=dict[str, str])  # what could not be asked for, and why
    last: Last = field(default_factory=Last)
    resumed: str = ""  # number of the release, interrupted, that was gone on with
    halted: str = ""  # why nothing is done any more until somebody says go on; empty: it goes on
    told: Mapping[str, str] = field(default_factory=dict[str, str])  # event -> what was said of it last


def load(folder: Path) -> Memory:
    """A file that is not whole, or of another version, is as good as none."""
    try:
        return decode(Memory, operator.read_json(folder / STATE), STATE)
    except ValueError:
        return Memory()


def save(folder: Path, memory: Memory) -> None:
    operator.write_json(folder / STATE, encode(memory))


def show(folder: Path, status: Mapping[str, Any]) -> None:
    """For `hostler status`: {"at", "version", "state", "text", "next", "waiting", "last"}."""
    operator.write_json(folder / STATUS, dict(status))
