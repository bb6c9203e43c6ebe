"""How a replica that stalled, or would not start, is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.console import status, watched
from hostler.hosts.types import Value
from hostler.rollout import doctor
from worlds import configure_world as world

NOW = world.AT
BACK = {
    "state": "",
    "why": "",
    "event": {"at": NOW - 300, "what": "stalled 02:13, restarted, back"},
    "starts": 0,
    "in_s": 0.0,
    "last": "",
}
WHY = "restart loop: 5 starts in 4 min, last: error: out of memory"
LOOP = {**BACK, "state": "loop", "why": WHY, "event": {"at": NOW - 300, "what": WHY}, "starts": 5}
OUT = {
    **LOOP,
    "state": "out",
    "event": {"at": NOW - 300, "what": "stalled 02:13, after 3 restarts within an hour"},
}
AGAIN = {**BACK, "event": None, "starts": 3, "in_s": 118.0, "last": "error: out of memory"}
LATE = {**BACK, "event": {"at": NOW - 90000, "what": "stalled 02:13, restarted, back"}}


def engine(watch: Any, **more: Any) -> dict[str, Any]:
    return {"health": 200, "draining": False, "running": 0, "watch": watch, **more}


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (engine(BACK), "ready, not routed"),
        (engine(LOOP, health=0), "restart loop"),
        (engine(OUT, health=0, draining=True), "left out"),
        (engine({**BACK, "state": "restarting"}, draining=True), "stalled, restarting"),
        (engine(AGAIN, health=0), "starting again (3 times)"),
        (engine({**AGAIN, "starts": 1}, health=0), "not answering"),
        (engine(LOOP), "ready, not routed"),  # `up` brought it back, and the watch has not looked since
        (engine(None, draining=True), "draining"),
    ],
)
def test_its_state(value: dict[str, Any], state: str) -> None:
    assert status.state_of(value) == state


def test_its_last_event_is_a_row() -> None:
    def row(watch: Any) -> dict[str, Any]:
        return {"id": "chat-0", "host": "gpu-1", "event": watched.event(engine(watch), NOW)}

    logs = "hostler logs chat-0"
    assert list(watched.rows(map(row, (None, BACK, LOOP, AGAIN)))) == [
        ("chat-0", "gpu-1", "stalled 02:13, restarted, back", "5 min", logs),
        ("chat-0", "gpu-1", WHY, "5 min", f"{logs}; then hostler up"),
        (
            "chat-0",
            "gpu-1",
            "3 starts in 2 min, last: error: out of memory",
            "now",
            f"{logs}; then hostler up",
        ),
    ]


@pytest.mark.parametrize(
    ("watch", "found"),
    [
        (LOOP, [(True, f"chat-0: {WHY}")]),
        (OUT, [(True, "chat-0: stalled 02:13, after 3 restarts within an hour")]),
        (BACK, [(False, "chat-0: stalled 02:13, restarted, back, 5 min ago")]),
        (LATE, []),
        (None, []),
    ],
)
def test_what_doctor_says(watch: Any, found: list[tuple[bool, str]]) -> None:
    """Once: not also that it is stopped."""
    bad = any(row[0] for row in found)
    container = Value({"running": not bad, "exit_code": 1}, NOW)
    observed = {"replica:chat-0": Value(engine(watch, draining=bad), NOW), "container:chat-0": container}
    seen = replace(world.bare(1), at=NOW, observed=observed)
    assert [(one.bad, one.what) for one in doctor._containers(seen)] == found
