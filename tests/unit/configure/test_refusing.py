"""Whether the gateway refuses keys: where somebody is there who says which."""

from __future__ import annotations

import pytest

from hostler.configure import controller, doors
from hostler.configure.ask import generic
from hostler.configure.wish import Wish
from hostler.controller.service.gateway import RUN, SPENT
from hostler.gateway import render
from hostler.gateway.specs import Paths
from hostler.node.site import running
from worlds import configure_world as world


@pytest.mark.parametrize(
    ("more", "refuses"),
    [
        ("", False),
        ("budget: {month: 300 EUR, keys: {ci: 20 EUR}}\n", False),
        ("budget: {keys: {app: 20 EUR, ci: {act: 20 EUR}}}\n", True),
    ],
)
def test_where_a_key_acts(more: str, refuses: bool) -> None:
    file = world.stack(world.STACK + more)
    wish = Wish(
        file=file, hosts=world.hosts(), seen=world.seen_hosts(), release=world.release(),
        placement=world.placement(), record=world.record(),
    )  # fmt: skip
    spec = doors.gateway_spec(wish)
    assert spec.refuses is refuses
    text = next(str(one.content) for one in render.gateway_files(spec) if one.path.endswith("haproxy.cfg"))
    assert text.count("map(opt@/run/hostler/gateway/spent.map)") == refuses  # not for what comes from a wake
    assert not refuses or controller.units(file.stack)[controller.SERVICE]


def test_status_reads_what_the_gateway_has() -> None:
    there = Paths(etc="/etc/hostler/gateway", run="/run/hostler/gateway").spent
    assert there == controller.SPENT == running.SPENT == str(RUN / SPENT)
    assert f"text:{there}" in generic()
