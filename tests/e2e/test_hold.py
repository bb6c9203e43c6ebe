"""A model's only replica is exchanged: its requests wait at the gateway, and each is answered whole."""

from __future__ import annotations

import pytest

from e2e.desk import Desk, container, replica_of
from e2e.load import Load
from lab.hosts import Host

pytestmark = [pytest.mark.lab, pytest.mark.soak]


def test_an_only_replica_is_exchanged_under_load(desk: Desk, hosts: dict[str, Host]) -> None:
    desk.edit("    replicas: 2 ", "    exchange: in-place\n    replicas: 1 ")
    desk.up()
    host = next(h for h in hosts.values() if "hostler-chat-0" in h.run(["docker", "ps"]).stdout)
    before = container(host, replica_of(host))
    desk.edit("context: 2k ", "context: 3k ")
    with Load(desk) as load:
        done = desk.up()
        whole, broken = load.end()
    assert "held: chat waits about" in done.err
    assert broken == ""
    assert whole > 0
    assert container(host, replica_of(host)) != before
    assert {r["context"] for r in desk("status", "--json").json["replicas"]} == {3072}
    assert desk.plan() == []
    with Load(desk) as load:
        rolled = desk("roll", "chat", "--json")
        whole, broken = load.end()
    assert "held: chat waits about" in rolled.err
    assert broken == ""
    assert whole > 0
