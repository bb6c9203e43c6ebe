"""What looks at replicas is on each host that has some, goes with the last of them, and its word is in the plan."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from hostler.configure import variables, watching
from hostler.configure.difference import difference
from hostler.hosts.types import Value
from hostler.manifest.contents import Text
from hostler.models.types import Placement
from hostler.node.watch import stall, watched
from worlds import configure_world as world


def test_a_host_with_replicas_has_the_timer_and_the_limits() -> None:
    found = world.manifests()["gpu-1"]
    texts = {file.path: file.content.text for file in found.files if isinstance(file.content, Text)}
    assert set(watching.FILES) <= texts.keys()
    assert json.loads(texts[watching.LIMITS])["stalled_s"] == 120
    assert watching.UNITS[0] in [unit.name for unit in found.units]
    assert variables.host_variables(found)["base_timers"] == ["watch-timer"]
    assert difference(found, world.as_wanted(found)) == ()


def test_the_hosts_side_knows_the_same() -> None:
    """One place for numbers that two programs have."""
    assert stall.Limits.of(asdict(watching.Limits())) == stall.Limits()
    assert (watching.LIMITS, *watching.UNITS) == (watched.LIMITS, watched.TIMER, watched.SERVICE)


def test_where_no_replica_is_left_it_goes() -> None:
    was = world.manifests()["gpu-1"]
    now = world.manifests(placed=Placement(replicas=()))["gpu-1"]
    assert variables.host_variables(now)["base_timers"] == []
    seen = world.as_wanted(was)
    ours = {**seen.ours, "files": (*seen.ours.get("files", ()), watching.LIMITS, *watching.FILES)}
    found = difference(now, replace(seen, ours=ours))
    gone = {change.item for change in found if change.action == "remove"}
    assert {f"path:{path}" for path in (watching.LIMITS, *watching.FILES)} <= gone
    assert variables.host_variables(now, found)["base_timers"] == ["watch-timer"]


@pytest.mark.parametrize(
    ("watch", "why"),
    [
        (None, "it must serve"),
        ({"state": "", "why": ""}, "it must serve"),
        ({"state": "out", "why": "stalled 02:13, after 3 restarts within an hour"}, "stalled 02:13, after 3 restarts within an hour"),
        ({"state": "loop", "why": "restart loop: 5 starts in 4 min, last: bye"}, "restart loop: 5 starts in 4 min, last: bye"),
    ],
)  # fmt: skip
def test_the_plan_says_why_a_replica_stands_still(watch: object, why: str) -> None:
    found = world.manifests()["gpu-1"]
    seen = world.as_wanted(found)
    stopped = {
        "container:chat-0": Value({"spec": found.containers[0].digest, "running": False, "exit_code": 137}, world.AT),
        "replica:chat-0": Value({"health": 0, "draining": False, "watch": watch}, world.AT),
    }  # fmt: skip
    changes = difference(found, replace(seen, observed={**seen.observed, **stopped}))
    assert [(c.item, c.now, c.why) for c in changes] == [("container:chat-0", "stopped (exit code 137)", why)]


@pytest.mark.parametrize(
    ("signals", "shown"),
    [
        ({"health": 200, "draining": False}, []),
        ({"health": 200, "draining": True}, [("container:chat-0", "drained", "it gets no requests", "chat-0")]),
        (
            {"health": 200, "draining": True, "watch": {"state": "out", "why": "stalled 02:13"}},
            [("container:chat-0", "drained", "stalled 02:13", "chat-0")],
        ),
        ({"health": 200, "draining": True, "watch": {"state": "restarting", "why": "stalled 02:13"}}, []),
        ({"health": 200, "draining": False, "watch": {"state": "out", "why": "stalled 02:13"}}, []),
    ],
    ids=["serves", "drained", "left out", "being restarted", "back, and not looked at yet"],
)  # fmt: skip
def test_one_that_runs_and_is_drained_is_in_the_plan(signals: dict[str, object], shown: object) -> None:
    """Else nobody would ever bring it back."""
    found = world.manifests()["gpu-1"]
    seen = world.as_wanted(found)
    observed = {**seen.observed, "replica:chat-0": Value(signals, world.AT)}
    changes = difference(found, replace(seen, observed=observed))
    assert [(c.item, c.now, c.why, c.replica) for c in changes] == shown
    assert variables.host_variables(found, changes)  # what the run is told


def test_what_systemd_reads(tmp_path: Path) -> None:
    timer, service = (watching.text_of(name) for name in watching.UNITS)
    assert "OnUnitActiveSec=30s" in timer
    assert "hostler-node watch\n" in service
