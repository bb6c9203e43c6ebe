"""In which order replicas are exchanged, and whether beside the old one or in place; and that a run does it so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.configure import ordering, render
from hostler.configure.connections import Connections
from hostler.configure.types import Change, Exchange
from hostler.hosts.types import CardProcess, Seen, Value
from hostler.manifest.items import Effect
from hostler.models import lying
from hostler.models.types import Member, Placement, Replica
from hostler.rollout import downtime, exchanges
from worlds import configure_world as world

from .test_downtime import ENGINE, HOLDS, change, scene, seen

TWO = world.placement()


def with_memory(found: dict[str, Seen], used_mib: int | None = 3000, **facts: Any) -> dict[str, Seen]:
    """Both cards have 24 GiB."""
    made: dict[str, Seen] = {}
    for name, host in found.items():
        assert host.facts
        cards = tuple(replace(card, used_mib=used_mib) for card in host.facts.cards)
        made[name] = replace(host, facts=replace(host.facts, **{"cards": cards, **facts}))
    return made


def busy(found: dict[str, Seen], host: str, replica: str, running: int) -> dict[str, Seen]:
    value = Value({**ENGINE.value, "running": running, "waiting": 0}, world.AT)
    old = found[host]
    return {**found, host: replace(old, observed={**old.observed, f"replica:{replica}": value})}


def both() -> list[Change]:
    return [change(), change(item="container:chat-1", host="gpu-2", replica="chat-1")]


def ways(found: dict[str, Seen], placement: Placement = TWO, hold: str = "") -> tuple[Exchange, ...]:
    changes = [c for c in both() if c.replica in {r.id for r in placement.replicas}]
    return downtime.exchanged(scene(found, hold=hold), changes, placement)


def test_the_gateway_s_own_host_is_last() -> None:
    assert [one.replica for one in ways(with_memory(seen()))] == ["chat-1", "chat-0"]


def test_the_one_with_fewer_requests_is_first() -> None:
    found = busy(busy(with_memory(seen()), "gpu-1", "chat-0", 1), "gpu-2", "chat-1", 5)
    replicas = list(TWO.replicas)
    assert [r.id for r in exchanges.in_order(replicas, found, "gpu-9")] == ["chat-0", "chat-1"]
    assert [r.id for r in exchanges.in_order(replicas, found, "gpu-1")] == ["chat-1", "chat-0"]


def test_hosts_are_not_mixed() -> None:
    """A run takes one host after the other: what two hosts lose at once is then never two of one model."""
    more = [
        Replica(id=f"{model}-{n}", model=model, members=(Member(host=host, cards=(), port=1),), need_mib=1)
        for n, host in enumerate(("gpu-1", "gpu-2"))
        for model in ("talk", "code")
    ]
    order = exchanges.in_order([*TWO.replicas, *more], seen(), "gpu-1")
    assert [r.members[0].host for r in order] == ["gpu-2"] * 3 + ["gpu-1"] * 3


def test_what_stands_still_is_not_exchanged() -> None:
    assert [one.replica for one in ways(with_memory(seen(second="DOWN")))] == ["chat-0"]


ROOM: list[tuple[dict[str, Any], str]] = [
    ({}, ""),
    ({"used_mib": 23000}, "card 0 has 1.5 GiB to spare, 2.2 needed"),
    ({"used_mib": None}, "how much memory is free is not known"),
]


@pytest.mark.parametrize(("given", "why"), ROOM)
def test_room_on_cards(given: dict[str, Any], why: str) -> None:
    assert {one.in_place for one in ways(with_memory(seen(), **given))} == {why}


def test_what_another_was_promised_is_not_free() -> None:
    member = Member(host="gpu-1", cards=("GPU-1",), port=18081)
    other = Replica(id="talk-0", model="talk", members=(member,), need_mib=20000)
    placement = Placement(replicas=(*TWO.replicas, other))
    found = with_memory(seen())
    file = world.stack()
    replica = TWO.replicas[0]
    assert exchanges.in_place(file, found, placement, replica) == "card 0 has 1.5 GiB to spare, 2.2 needed"
    holds = CardProcess(card="GPU-1", pid=1, name="x", used_mib=19000, ours=True, replica="talk-0")
    assert exchanges.in_place(file, with_memory(seen(), processes=(holds,)), placement, replica) == ""


def test_room_in_main_memory() -> None:
    replica = replace(TWO.replicas[0], members=(Member(host="gpu-1", cards=(), port=1),))
    placement = Placement(replicas=(replica,))
    for free, why in (
        (0, "how much memory is free is not known"),
        (2 << 30, "main memory has 2.0 GiB to spare, 2.2 needed"),
        (3 << 30, ""),
    ):
        found = with_memory(seen(), memory_free=free)
        assert exchanges.in_place(world.stack(), found, placement, replica) == why


def test_a_model_may_ask_for_in_place() -> None:
    file = world.stack(world.STACK.replace("replicas: 2", "replicas: 2, exchange: in-place"))
    why = exchanges.in_place(file, with_memory(seen()), TWO, TWO.replicas[0])
    assert why == "`exchange: in-place`"


ONE = world.placement("gpu-1")


def test_an_only_replica_that_has_room_is_neither_held_nor_away() -> None:
    found = with_memory(seen())
    given = ways(found, ONE)
    assert (given[0].alone, given[0].must_stay) == (True, False)  # requests would wait for it
    assert downtime.gaps(scene(found), [change()], ONE, given) == {}
    reboot = change(item="reboot", effect=Effect.REBOOT)
    assert downtime.gaps(scene(found), [change(), reboot], ONE, given) != {}


def test_in_place_that_nobody_allowed_is_not_done() -> None:
    given = ways(with_memory(seen()), ONE, hold="none")
    assert given[0].must_stay
    assert exchanges.beside_only(given, {}) == {"chat-0"}
    assert exchanges.beside_only(given, {"chat": 15.0}) == frozenset()
    assert exchanges.beside_only(ways(with_memory(seen()), TWO, hold="none"), {}) == frozenset()


def test_a_run_takes_them_so() -> None:
    made = world.manifests()
    order = [one.replica for one in ways(with_memory(seen()))]
    hosts = ordering.hosts(world.hosts(), made, order)
    assert [host.name for host in hosts] == ["gpu-2", "gpu-1"]
    found = render.inventory(hosts, made, None, {}, Connections(folder="/x"), {}, 0, order)
    assert found.groups["hostler_engine"] == ["gpu-2", "gpu-1"]
    assert ordering.replicas(["a", "chat-0", "chat-1"], order) == ["a", "chat-1", "chat-0"]


def test_the_first_of_the_run_is_baked() -> None:
    text = world.STACK.replace("replicas: 2", "replicas: 2, bake: 5m")
    made = world.manifests(file=world.stack(text))
    order = ["chat-1", "chat-0"]
    hosts = ordering.hosts(world.hosts(), made, order)
    found = render.inventory(hosts, made, both(), {}, Connections(folder="/x"), {}, 0, order)
    assert {name: v.get("engine_bakes") for name, v in found.hosts.items()} == {
        "gpu-2": {"chat-1": 300},
        "gpu-1": None,
    }


def test_how_long_it_takes_is_what_was_measured() -> None:
    path = lying.on_host(world.runs().weights)
    value = Value({**ENGINE.value, "start_s": 31.0, "start_of": path}, world.AT)
    found = seen()
    found["gpu-1"] = replace(
        found["gpu-1"], observed={**found["gpu-1"].observed, "replica:chat-0": value, **HOLDS}
    )
    assert downtime.gap(scene(found), "chat").seconds == 41
    other = Value({**value.value, "start_of": "/srv/other.gguf"}, world.AT)
    found["gpu-1"] = replace(found["gpu-1"], observed={**found["gpu-1"].observed, "replica:chat-0": other})
    assert downtime.gap(scene(found), "chat").seconds == 15
