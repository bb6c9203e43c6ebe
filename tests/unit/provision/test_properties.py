"""Check and difference of owned hosts, as data."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.hosts.types import Card, Driver, Facts, Host, Seen, Ssh
from hostler.provision import properties

A = {"uuid": "GPU-a", "name": "RTX 3090", "memoryMib": 24576}
B = {"uuid": "GPU-b", "name": "NVIDIA A10G", "memoryMib": 23028}
C = {"uuid": "GPU-c", "name": "RTX 3090", "memoryMib": 24576}
FACTS = {"machineId": "0f" * 16, "cards": [A, B], "driver": "570.86"}
GOOD = {"name": "gpu-1", "address": "gpu-1.lan", "user": "ops", "port": 22, **FACTS}

WRONG = [
    ("name", "", "required"),
    ("name", "-x", "not a name"),
    ("name", "a b", "not a name"),
    ("name", "x" * 64, "not a name"),
    ("name", 7, "not a name"),
    ("address", "", "required"),
    ("address", "not an address!", "neither an IP"),
    ("address", "-oProxyCommand=x", "neither an IP"),
    ("address", "a..b", "neither an IP"),
    ("address", "a" * 64 + ".lan", "neither an IP"),
    ("address", ["gpu-1"], "neither an IP"),
    ("user", "-root", "not a user name"),
    ("user", "a b", "not a user name"),
    ("port", 0, "not a port"),
    ("port", 65536, "not a port"),
    ("port", "22", "not a port"),
    ("port", True, "not a port"),
    ("machineId", "", "not a machine id"),
    ("machineId", "a/b", "not a machine id"),
    ("driver", 570, "not text"),
    ("cards", "RTX 3090", "must be a list"),
    ("cards", ["RTX 3090"], "[0] must be a card"),
    ("cards", [A, {"uuid": "GPU-b"}], "[1] must have exactly"),
    ("cards", [{**A, "index": 0}], "[0] must have exactly"),
    ("cards", [{**A, "uuid": ""}], "[0] uuid and name"),
    ("cards", [{**A, "memoryMib": 0}], "[0] memoryMib 0"),
    ("cards", [{**A, "memoryMib": "24 GiB"}], "[0] memoryMib"),
    ("cards", [{**A, "memoryMib": True}], "[0] memoryMib"),
    ("cards", [A, A], "GPU-a is there twice"),
    ("gpus", 2, "not a property"),
]


@pytest.mark.parametrize(("key", "value", "reason"), WRONG)
def test_a_wrong_property_is_refused_by_name(key: str, value: Any, reason: str) -> None:
    faults = properties.check({**GOOD, key: value})
    assert list(faults) == [key]
    assert reason in faults[key]


@pytest.mark.parametrize("address", ["10.0.0.7", "fd00::7", "gpu-1", "gpu-1.lan", "local", "build_host"])
def test_good_addresses(address: str) -> None:
    assert properties.check({**GOOD, "address": address}) == {}


@pytest.mark.parametrize("key", properties.FACTS)
def test_facts_come_together(key: str) -> None:
    faults = properties.check({name: value for name, value in GOOD.items() if name != key})
    assert list(faults) == [key]


@pytest.mark.parametrize("key", ["name", "address", "user", "port", *properties.FACTS])
def test_what_is_not_known_yet_is_not_judged(key: str) -> None:
    assert properties.check({**GOOD, key: properties.UNKNOWN}) == {}


def test_a_host_that_was_never_seen_is_good() -> None:
    assert properties.check({"name": "gpu-1", "address": "gpu-1.lan"}) == {}


DIFFERENCES = [
    ("nothing", {}, {}),
    ("a card fell out", {"cards": [A]}, {"cards[1]": "delete"}),
    ("the first card fell out", {"cards": [B]}, {"cards[0]": "delete"}),
    ("all fell out", {"cards": []}, {"cards[0]": "delete", "cards[1]": "delete"}),
    ("a card came", {"cards": [A, B, C]}, {"cards[2]": "add"}),
    ("one card for another", {"cards": [A, C]}, {"cards[1]": "update"}),
    ("another order", {"cards": [B, A]}, {}),
    ("less memory", {"cards": [A, {**B, "memoryMib": 11514}]}, {"cards[1].memoryMib": "update"}),
    ("another driver", {"driver": "580.65"}, {"driver": "update"}),
    ("another address", {"address": "10.0.0.7"}, {"address": "update"}),
    ("another machine", {"machineId": "aa" * 16}, {"machineId": "replace"}),
    ("no user any more", {"user": None}, {"user": "delete"}),
    ("cards not known yet", {"cards": properties.UNKNOWN}, {"cards": "update"}),
]


@pytest.mark.parametrize(
    ("change", "found"), [case[1:] for case in DIFFERENCES], ids=[c[0] for c in DIFFERENCES]
)
def test_difference(change: dict[str, Any], found: dict[str, str]) -> None:
    new = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    assert properties.difference(GOOD, new) == found


def test_where_the_inputs_are_the_same_the_last_look_is_compared() -> None:
    outputs = properties.outputs_of({**FACTS, "cards": [A]}, "up")
    assert properties.drift(GOOD, outputs, GOOD) == {"cards[1]": "add"}  # the engine inverts it in a refresh
    assert properties.drift(GOOD, outputs, {**GOOD, "driver": "580"}) == {"driver": "update"}
    assert properties.drift(GOOD, properties.outputs_of(GOOD, "up"), GOOD) == {}


def test_what_cannot_be_seen_stays_expected() -> None:
    blind = {"name": "gpu-1", "address": "10.0.0.7"}
    assert properties.completed(GOOD, blind) == {**FACTS, **blind}
    assert properties.completed(GOOD, {**blind, **FACTS, "cards": []})["cards"] == []
    assert properties.completed({}, blind) == blind


SENTENCES = [
    ("cards[1]", "delete", "cards[1]: delete NVIDIA A10G GPU-b"),
    ("driver", "update", "driver: 570.86 => 580.65"),
    ("cards[0].memoryMib", "update", "cards[0].memoryMib: 24576 => 12288"),
    ("port", "add", "port: add 2222"),
]


@pytest.mark.parametrize(("path", "kind", "text"), SENTENCES)
def test_sentence(path: str, kind: str, text: str) -> None:
    new = {"driver": "580.65", "cards": [{**A, "memoryMib": 12288}], "port": 2222}
    assert properties.sentence(path, kind, GOOD, new) == text


def facts(driver: Driver) -> Facts:
    return Facts(
        machine_id="0f" * 16, hostname="gpu-1", os_id="debian", os_version="12", codename="bookworm", os_name="Debian",
        arch="x86_64", kernel="6.1", python="3.11", systemd="252", cpus=8, memory=1, disk_total=1, disk_free=1,
        boot_id="b", driver=driver,
        cards=(Card(index=1, uuid="GPU-b", name="B", memory_mib=2), Card(index=0, uuid="GPU-a", name="A", memory_mib=1)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("driver", "text"),
    [
        (Driver(state="working", version="570.86"), "570.86"),
        (Driver(state="none"), "none"),
        (Driver(state="mismatch", version="570.86"), "mismatch"),
    ],
)
def test_inputs_of_a_seen_host(driver: Driver, text: str) -> None:
    host = Host(name="gpu-1", pool="rack", ssh=Ssh(address="10.0.0.7", port=2222))
    seen = Seen(host="gpu-1", at=0, seconds=0, facts=facts(driver))
    found = properties.inputs_of(host, seen)
    assert properties.check(found) == {}
    assert found["driver"] == text
    assert [card["uuid"] for card in found["cards"]] == ["GPU-a", "GPU-b"]
    assert "user" not in found


def test_inputs_of_a_host_that_does_not_answer() -> None:
    host = Host(name="gpu-1", pool="rack", ssh=Ssh(address="10.0.0.7"))
    seen = Seen(host="gpu-1", at=0, seconds=0, facts=None, error="no route", error_kind="dead")
    assert properties.inputs_of(host, seen) == {"name": "gpu-1", "address": "10.0.0.7"}
