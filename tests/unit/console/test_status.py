"""What `hostler status` calls a replica."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest

from hostler.console import status
from hostler.console.out import Out
from hostler.hosts.types import PARKED, Absent, Driver, Facts, Host, Observed, Seen, Ssh, Unknown, Value
from hostler.models.types import Member, Replica
from hostler.record.types import Expected, Record

AT = 1000.0
REPLICA = Replica(
    id="chat-0", model="chat", members=(Member(host="gpu-2", cards=("GPU-1",), port=18080),), need_mib=1
)
HOSTS = tuple(Host(name=name, pool="rack", ssh=Ssh(address=name)) for name in ("gpu-1", "gpu-2"))
FACTS = Facts(
    machine_id="m",
    hostname="h",
    os_id="debian",
    os_version="12",
    codename="bookworm",
    os_name="Debian 12",
    arch="x86_64",
    kernel="6",
    python="3.11",
    systemd="252",
    cpus=1,
    memory=1,
    disk_total=1,
    disk_free=1,
    boot_id="b",
    driver=Driver(state="working"),
)
ENGINE = {"health": 200, "running": 1, "waiting": 0, "tokens": 5, "context": 2048, "draining": False}


def route(word: str) -> Value:
    return Value({"status": word, "sessions": 3, "queued": 2, "check": "L7OK"}, AT)


def row(engine: dict[str, Any], home: dict[str, Observed], home_error: str = "") -> dict[str, Any]:
    """The replica's row: its engine's own word on gpu-2, the gateway's on gpu-1."""
    gateway = Seen(host="gpu-1", at=AT, seconds=0.1, facts=FACTS, observed=home, error=home_error)
    other = replace(gateway, host="gpu-2", observed={"replica:chat-0": Value(engine, AT)}, error="")
    record = Record(uid="u", stack="s", gateway_host="gpu-1", replicas=(REPLICA,))
    found = status.report(HOSTS, {"gpu-1": gateway, "gpu-2": other}, record, AT + 1)
    state = found["replicas"][0]["state"]
    counted = {"ready": int(state == "ready"), "asleep": int(state == "asleep")}
    assert found["models"] == [{"name": "chat", "replicas": 1, **counted}]
    return found["replicas"][0]


@pytest.mark.parametrize(
    ("home", "state"),
    [
        ({"route:chat-0": route("UP")}, "ready"),
        ({"route:chat-0": route("UP 1/3")}, "ready"),
        ({"route:chat-0": route("no check")}, "ready"),
        ({"route:chat-0": route("DOWN")}, "ready, not routed"),
        ({"route:chat-0": route("DOWN 1/2")}, "ready, not routed"),
        ({"route:chat-0": route("NOLB")}, "ready, not routed"),
        ({"routes:*": Value([], AT)}, "ready, not routed"),
        ({"routes:*": Unknown("no answer", AT)}, "ready, route unknown"),
        ({"route:chat-0": Absent(AT), "routes:*": Value([], AT)}, "ready, not routed"),
    ],
)
def test_ready_only_where_the_gateway_routes_to_it(home: dict[str, Observed], state: str) -> None:
    assert row(ENGINE, home)["state"] == state


def test_a_gateway_that_cannot_be_asked_is_unknown() -> None:
    assert row(ENGINE, {}, "no answer")["state"] == "ready, route unknown"


@pytest.mark.parametrize(
    ("engine", "state"),
    [({"health": 503}, "loading"), ({"health": 0}, "not answering"), ({"draining": True}, "draining")],
)
def test_the_engines_own_word_comes_first(engine: dict[str, Any], state: str) -> None:
    assert row({**ENGINE, **engine}, {"route:chat-0": route("UP")})["state"] == state


def test_what_the_engine_does_not_count_the_gateway_does() -> None:
    found = row({**ENGINE, "running": None, "waiting": None}, {"route:chat-0": route("UP")})
    assert (found["running"], found["waiting"]) == (3, 2)
    own = row(ENGINE, {"route:chat-0": route("UP")})
    assert (own["running"], own["waiting"]) == (1, 0)


def test_one_that_sleeps_is_asleep_and_says_why() -> None:
    mark = {"state": "asleep", "since": AT - 59, "why": "idle for 20 min", "by": "the host's own switch"}
    found = row({**ENGINE, "health": 0, "asleep": mark}, {"route:chat-0": route("DOWN")})
    assert found["state"] == "asleep"
    assert found["asleep"] == {"since_s": 60.0, "why": "idle for 20 min"}
    assert row({**ENGINE, "asleep": {**mark, "state": "waking"}}, {})["state"] == "waking"
    falling = {**ENGINE, "draining": True, "asleep": {**mark, "state": "draining"}}
    assert row(falling, {"route:chat-0": route("NOLB")})["state"] == "draining"


def test_a_host_that_gave_itself_back_is_parked_and_no_error() -> None:
    away = Seen(
        host="gpu-2", at=AT, seconds=0.0, error=PARKED, error_kind="absent", next_step="hostler wake rack"
    )
    home = Seen(host="gpu-1", at=AT, seconds=0.1, facts=FACTS)
    expected = {"gpu-2": Expected(machine_id="m", cards=(("GPU-1", "RTX 3090", 24576),))}
    record = Record(uid="u", stack="s", gateway_host="gpu-1", replicas=(REPLICA,), expected=expected)
    said, data = StringIO(), StringIO()
    found = status.report(HOSTS, {"gpu-1": home, "gpu-2": away}, record, AT + 1)
    status.show(found, Out(stdout=data, stderr=said))
    assert [one["state"] for one in found["replicas"]] == ["parked"]
    assert found["cards"] == []  # nobody misses them
    assert "error" not in said.getvalue()
    assert f"note: gpu-2: {PARKED}\nnext: hostler wake rack" in said.getvalue()
    assert [line.split()[2] for line in data.getvalue().splitlines() if line.startswith("gpu-2")] == [
        "parked"
    ]
