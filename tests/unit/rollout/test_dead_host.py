"""A host that is off changes nothing for the others: what was known of it when it last answered still holds."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from hostler.configure import variables
from hostler.configure.entries import Template
from hostler.hosts.types import Host, Seen, Ssh
from hostler.manifest.contents import MadeOnHost, Text
from hostler.manifest.items import Manifest, Part
from hostler.record.types import Record
from hostler.rollout import planning
from hostler.rollout.observe import Observation
from hostler.rollout.planning import Draft
from worlds import configure_world as world

PIN = "/etc/hostler/tls/peers/gpu-2.crt"
CONFIGURATION = "/etc/hostler/gateway/haproxy.cfg"


def look(seen: Mapping[str, Seen], record: Record | None = None, text: str = world.STACK) -> Observation:
    hosts = world.hosts()
    return Observation(
        file=world.stack(text),
        hosts=hosts,
        gone=(),
        seen=seen,
        record=record or world.record(),
        gateway=hosts[0],
    )


def plan(observation: Observation) -> Draft:
    assert observation.record
    return planning.draft(observation, observation.record, world.release(), world.placement())


def after(first: Draft) -> dict[str, Seen]:
    """The hosts as that plan made them, the second one switched off since."""
    return {"gpu-1": world.as_wanted(first.plan.manifests["gpu-1"]), "gpu-2": world.dead(2)}


def text_of(manifest: Manifest, path: str) -> str:
    content = next(file.content for file in manifest.files if file.path == path)
    assert isinstance(content, Text)
    return content.text


@pytest.fixture
def first() -> Draft:
    return plan(look(world.seen_hosts()))


def test_nothing_differs_because_a_host_is_off(first: Draft) -> None:
    again = plan(look(after(first), first.record))
    assert again.plan.changes == ()
    (was, now) = (
        [file for file in draft.plan.manifests["gpu-1"].files if file.part is Part.GATEWAY]
        for draft in (first, again)
    )
    assert was == now
    assert again.record.expected == first.record.expected


def test_it_is_remembered_over_many_runs(first: Draft) -> None:
    record = first.record
    for _ in range(3):
        record = plan(look(after(first), record)).record
    assert record.expected["gpu-2"].edge == world.PEM["edge"]
    assert record.expected["gpu-2"].address == "10.0.0.2"


def test_a_change_meanwhile_asks_nothing_of_it(first: Draft) -> None:
    text = world.STACK + "gateway: {port: 8001}\n"
    again = plan(look(after(first), first.record, text))
    assert {change.item for change in again.plan.changes} == {
        f"path:{CONFIGURATION}",
        "path:/etc/hostler/wanted/gateway.json",
    }
    made = variables.host_variables(again.plan.manifests["gpu-1"], again.plan.changes)
    assert {f["path"]: f.get("text") for f in made["gateway_files"]}[PIN] == world.PEM["edge"]
    assert not [f for f in made["gateway_files"] if isinstance(f.get("text"), Template)]


def test_a_pin_that_was_lost_meanwhile_is_put_back(first: Draft) -> None:
    seen = after(first)
    observed = {name: found for name, found in seen["gpu-1"].observed.items() if name != f"path:{PIN}"}
    seen["gpu-1"] = replace(seen["gpu-1"], observed=observed)
    again = plan(look(seen, first.record)).plan
    (change,) = again.changes
    assert (change.item, change.action) == (f"path:{PIN}", "add")
    files = variables.host_variables(again.manifests["gpu-1"], again.changes)["gateway_files"]
    assert [file["text"] for file in files if file["path"] == PIN] == [world.PEM["edge"]]


def test_a_name_that_no_longer_resolves_changes_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of a router's own go with the host."""
    second = Host(name="gpu-2", pool="rack", ssh=Ssh(address="gpu-2.home.arpa", user="ops"))
    monkeypatch.setattr(world, "hosts", lambda: (hosts[0], second))
    hosts = (Host(name="gpu-1", pool="rack", ssh=Ssh(address="10.0.0.1", user="root")),)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [(0, 0, 0, "", ("10.0.1.2", 0))])
    seen = world.seen_hosts()
    both = world.facts(2, addresses=("10.0.0.2", "10.0.1.2"))
    first = plan(look({**seen, "gpu-2": replace(seen["gpu-2"], facts=both)}))
    assert " 10.0.1.2:8443 " in text_of(first.plan.manifests["gpu-1"], CONFIGURATION)

    def unknown(*_: Any) -> Any:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert plan(look(after(first), first.record)).plan.changes == ()


def test_a_host_that_never_came_up_is_left_out_of_the_gateway() -> None:
    """Its certificate was never made: nobody could know it at the other end."""
    first = plan(look({"gpu-1": world.bare(1), "gpu-2": world.dead(2)}))
    gateway = first.plan.manifests["gpu-1"]
    assert " chat-0 " in text_of(gateway, CONFIGURATION)
    assert "chat-1" not in text_of(gateway, CONFIGURATION)
    assert not [file for file in gateway.files if isinstance(file.content, MadeOnHost)]
    assert plan(look(after(first), first.record)).plan.changes == ()


def test_what_left_the_file_is_not_expected(first: Draft) -> None:
    """After its removal it is still among what was seen, and not among the hosts."""
    seen = {**after(first), "gpu-9": world.bare(9)}
    assert set(plan(look(seen, first.record)).record.expected) == {"gpu-1", "gpu-2"}


def test_a_gateway_that_does_not_answer_still_serves_its_own_replicas(first: Draft) -> None:
    """For `render`, whose folder may be used later."""
    seen = {**after(first), "gpu-1": world.dead(1)}
    gateway = plan(look(seen, first.record)).plan.manifests["gpu-1"]
    assert ' chat-0 "127.0.0.1' in text_of(gateway, CONFIGURATION)


def test_it_comes_in_when_it_answers(first: Draft) -> None:
    lonely = plan(look({"gpu-1": world.bare(1), "gpu-2": world.dead(2)}))
    seen = {**after(lonely), "gpu-2": world.bare(2)}
    items = {change.item for change in plan(look(seen, lonely.record)).plan.changes if change.host == "gpu-1"}
    assert {f"path:{CONFIGURATION}", f"path:{PIN}", "made:gateway"} <= items
    back = {
        "gpu-1": world.as_wanted(first.plan.manifests["gpu-1"]),
        "gpu-2": world.as_wanted(first.plan.manifests["gpu-2"], 2),
    }
    assert plan(look(back, first.record)).plan.changes == ()
