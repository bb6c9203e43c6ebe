"""Policies of idle hosts and replicas are where something happens, as the host's side reads them; asleep is no drift."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from hostler.configure import build, controller, doors, idling, variables
from hostler.configure.difference import difference as whole_difference
from hostler.configure.difference import observed_digest
from hostler.configure.types import Change
from hostler.configure.wish import Wish
from hostler.hosts.types import Host, Seen, Slot, Ssh, Value
from hostler.manifest.contents import Text
from hostler.manifest.items import Manifest, Part
from hostler.node.idle import policy
from hostler.node.replica import asleep
from worlds import configure_world as world

SLEEPS = world.STACK.replace(
    "replicas: 2}", "replicas: 2, idle: {after: 20m, keep: 1, hours: 'Mon-Fri 08-18'}}"
)
SUSPENDS = world.STACK.replace(
    "  rack: {hosts: [{address: 10.0.0.1, name: gpu-1, user: root}, {address: 10.0.0.2, name: gpu-2, user: ops}]}",
    "  rack: {hosts: [{address: 10.0.0.1, name: gpu-1, user: root}]}\n"
    "  box: {hosts: [{address: 10.0.0.2, name: gpu-2, user: ops, wake: '3c:ec:ef:12:34:56'}], idle: {do: suspend, after: 1h}}",
).replace("replicas: 2}", "replicas: 2, pool: [rack, box]}")
MARK = {"state": "asleep", "since": world.AT - 60, "why": "idle for 20 min", "by": "the host's own switch"}


def difference(manifest: Manifest, seen: Seen) -> tuple[Change, ...]:
    """Without the controller's own, of which this world has nothing yet."""
    return tuple(change for change in whole_difference(manifest, seen) if change.part is not Part.CONTROLLER)


def told(manifest: Manifest) -> dict[str, Any] | None:
    texts = [f.content.text for f in manifest.files if f.path == idling.FILE and isinstance(f.content, Text)]
    return json.loads(texts[0]) if texts else None


def manifests(text: str) -> dict[str, Manifest]:
    pools = {"gpu-2": "box"} if "box:" in text else {}
    there = [replace(host, pool=pools.get(host.name, host.pool)) for host in world.hosts()]
    seen, record = world.seen_hosts(), world.record()
    return build.manifests(world.stack(text), there, seen, world.release(), world.placement(), record)


def test_where_nothing_happens_nothing_looks() -> None:
    found = world.manifests()["gpu-1"]
    assert told(found) is None
    assert idling.UNITS[0] not in [unit.name for unit in found.units]


def test_each_replica_has_its_policy_and_the_first_ones_stay() -> None:
    found = manifests(SLEEPS)
    first, second = told(found["gpu-1"]), told(found["gpu-2"])
    assert first
    assert second
    expected = {
        "after_s": 1200.0,
        "do": "sleep",
        "hours": "Mon-Fri 08:00-18:00 UTC",
        "max_age_s": 0.0,
        "shadow": False,
    }
    assert first["replicas"] == {"chat-0": {**expected, "kept": True}}
    assert second["replicas"] == {"chat-1": {**expected, "kept": False}}
    assert first["host"] is None
    assert variables.host_variables(found["gpu-2"])["base_timers"] == ["watch-timer", "idle-timer"]
    assert difference(found["gpu-2"], world.as_wanted(found["gpu-2"])) == ()


def test_a_host_has_its_own_but_the_gateways_never() -> None:
    found = manifests(SUSPENDS)
    own = told(found["gpu-2"])
    assert own
    assert own["host"] == {
        "after_s": 3600.0, "do": "suspend", "hours": "", "max_age_s": 0.0, "shadow": False, "kept": False,
    }  # fmt: skip
    assert own["replicas"] == {}
    assert told(found["gpu-1"]) is None


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (0, []),
        (1, ["burst-10"]),
        (2, ["burst-10", "burst-11"]),
        (3, ["burst-9", "burst-10", "burst-11"]),
    ],
)
def test_the_first_of_a_pool_that_are_there_stay(keep: int, kept: list[str]) -> None:
    """Not one that goes, nor one that was given back; a spare one, which nobody has rented yet, after those that are there."""
    text = (
        world.STACK.replace("models:", "  burst: {aws: {regions: [eu-central-1], instances: [g5.2xlarge]}, count: 0-12, "
        f"idle: {{after: 30m, do: terminate, keep: {keep}, max_age: 12h}}}}\nmodels:").replace("replicas: 2}", "replicas: 2, pool: [rack, burst]}")
    )  # fmt: skip
    there = [
        Host(name=f"burst-{n}", pool="burst", ssh=Ssh(address=f"10.0.1.{n}", user="admin"))
        for n in (8, 10, 11)
    ]
    slots = {
        slot.name: slot
        for slot in (
            Slot(name="burst-7", pool="burst", state="parked", given_back=True),
            Slot(name="burst-8", pool="burst", state="retiring"),
            Slot(name="burst-9", pool="burst", state="parked"),
            Slot(name="burst-10", pool="burst", state="parked", given_back=True),  # and just now woken
            Slot(name="burst-11", pool="burst"),
        )
    }
    wish = build.Wish(
        file=world.stack(text), hosts=(*world.hosts(), *there), seen={}, release=world.release(),
        placement=world.placement(), record=replace(world.record(), slots=slots),
    )  # fmt: skip
    found = {
        host.name: idling.of_host(wish, host)
        for host in (*there, *(replace(there[0], name=f"burst-{n}") for n in (7, 9)))
    }
    assert [name for name in sorted(found, key=len) if (found[name] or {})["kept"]] == kept
    assert (found["burst-10"] or {})["max_age_s"] == 43200.0


def test_the_hosts_side_reads_it() -> None:
    wish = policy.parsed(told(manifests(SLEEPS)["gpu-2"]) or {})
    assert (wish.replicas["chat-1"].after_s, wish.replicas["chat-1"].do, wish.extra_s) == (
        1200.0,
        "sleep",
        300.0,
    )
    assert policy.parsed(told(manifests(SUSPENDS)["gpu-2"]) or {}).host is not None
    assert (idling.FILE, *idling.UNITS) == (policy.FILE, policy.TIMER, policy.SERVICE)
    assert idling.ASLEEP == asleep.ASLEEP


def test_its_timer_starts_what_there_is() -> None:
    timer, service = (idling.text_of(name) for name in idling.UNITS)
    assert "OnUnitActiveSec=20s" in timer
    assert "hostler-node idle-look\n" in service


def test_where_nothing_happens_any_more_it_goes() -> None:
    was, now = manifests(SLEEPS)["gpu-2"], world.manifests()["gpu-2"]
    seen = world.as_wanted(was)
    ours = {**seen.ours, "files": (*seen.ours.get("files", ()), idling.FILE, *idling.FILES)}
    found = difference(now, replace(seen, ours=ours))
    gone = {change.item for change in found if change.action == "remove"}
    assert {f"path:{path}" for path in (idling.FILE, *idling.FILES)} <= gone
    assert variables.host_variables(now, found)["base_timers"] == ["watch-timer", "idle-timer"]


def sleeping(manifest: Manifest, replica: str, mark: Mapping[str, Any] | None = MARK) -> Seen:
    """The host as it is wanted, but that one replica sleeps."""
    seen = world.as_wanted(manifest)
    container = seen.observed[f"container:{replica}"]
    assert isinstance(container, Value)
    rest = {
        f"container:{replica}": Value({**container.value, "running": False, "exit_code": 0}, world.AT),
        f"unit:hostler@{replica}.service": Value({"enabled": False, "active": "inactive"}, world.AT),
        f"replica:{replica}": Value(
            {"health": 0, "draining": False, "watch": None, "asleep": mark}, world.AT
        ),
    }
    return replace(seen, observed={**seen.observed, **rest})


@pytest.mark.parametrize("state", ["asleep", "waking"])
def test_asleep_is_no_drift(state: str) -> None:
    found = manifests(SLEEPS)["gpu-2"]
    assert difference(found, sleeping(found, "chat-1", {**MARK, "state": state})) == ()
    stopped = difference(found, sleeping(found, "chat-1", None))
    assert [change.now for change in stopped] == ["stopped (exit code 0)", "disabled, inactive"]


def test_one_that_nothing_lets_sleep_is_woken() -> None:
    found = world.manifests()["gpu-2"]
    (change,) = difference(found, sleeping(found, "chat-1"))
    assert (change.now, change.then, change.replica) == ("asleep", "running", "chat-1")
    assert change.why == "no `idle` of its model lets it sleep"
    assert variables.host_variables(found, [change])["engine_containers"] == ["chat-1"]


def test_another_version_of_one_that_sleeps_is_a_change() -> None:
    found = manifests(SLEEPS)["gpu-2"]
    seen = sleeping(found, "chat-1")
    container = seen.observed["container:chat-1"]
    assert isinstance(container, Value)
    other = {"container:chat-1": Value({**container.value, "spec": "another"}, world.AT)}
    (change,) = difference(found, replace(seen, observed={**seen.observed, **other}))
    assert change.replica == "chat-1"


def test_a_saved_plan_holds_while_one_falls_asleep() -> None:
    found = manifests(SLEEPS)["gpu-2"]
    awake = world.as_wanted(found)
    unit = {"unit:hostler@chat-1.service": Value({"enabled": True, "active": "active"}, world.AT)}
    awake = replace(awake, observed={**awake.observed, **unit})
    looked = {
        "json:/run/hostler/idle/state.json": Value({"looked": {"at": 5.0}}, world.AT)
    }  # each look another
    later = replace(awake, observed={**awake.observed, **looked})
    assert observed_digest({"gpu-2": awake}) == observed_digest({"gpu-2": later})
    assert observed_digest({"gpu-2": awake}) == observed_digest({"gpu-2": sleeping(found, "chat-1")})
    assert observed_digest({"gpu-2": awake}) != observed_digest({"gpu-2": sleeping(found, "chat-1", None)})


@pytest.mark.parametrize(
    ("more", "others"),
    [
        ("", (False, False)),
        (", else: [small]", (True, False)),
        (", else: [small], idle: 20m", (True, True)),
        (", idle: 20m", (False, True)),
    ],
)
def test_the_gateway_sends_on_what_others_stand_in_for(more: str, others: tuple[bool, bool]) -> None:
    """And to a controller: it is there then, as for what sleeps."""
    text = world.STACK.replace(
        "replicas: 2}", f'replicas: 2{more}}}\n  small: {{source: "hf:acme/tiny:Q4_0"}}'
    )
    there, seen = world.hosts(), world.seen_hosts()
    wish = Wish(
        file=world.stack(text), hosts=there, seen=seen, release=world.release(), placement=world.placement(),
        record=world.record(),
    )  # fmt: skip
    (chat,) = doors.gateway_spec(wish).models
    assert (chat.others, chat.sleeps) == others
    assert chat.to_holder == controller.units(wish.file.stack)[controller.SERVICE] == bool(more)
