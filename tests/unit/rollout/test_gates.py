"""What a plan must say before the yes, and what stops it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from hostler.configure.types import Notice, Plan
from hostler.hosts.types import Absent, Driver, Observed, Seen, Unknown, Value
from hostler.models.types import Placement, Rejected
from hostler.record.types import Expected, Record
from hostler.rollout import gates
from worlds import configure_world as world

PRIVATE, PUBLIC, PUBLIC_6 = "10.0.0.1", "8.8.8.8", "2001:4860:4860::8888"
BROKEN = Driver(state="broken", version="", detail="NVML: driver/library version mismatch")


def host(number: int, **facts: Any) -> Seen:
    return replace(world.bare(number), facts=world.facts(number, **facts))


def notices(
    text: str = world.STACK,
    seen: Mapping[str, Seen] | None = None,
    placement: Placement | None = None,
    record: Record | None = None,
    gateway: str = "gpu-1",
) -> tuple[Notice, ...]:
    seen = {"gpu-1": host(1), "gpu-2": host(2)} | dict(seen or {})
    placement = placement or world.placement()
    return gates.notices(world.stack(text), world.hosts(), seen, placement, record or world.record(), gateway)


def refused(found: tuple[Notice, ...], *, allow_downtime: bool = True, **downtime: float) -> str:
    """What the plan is refused with; empty when it is not."""
    plan = Plan(
        stack="office",
        file="",
        observed="",
        release=world.release(),
        placement=world.placement(),
        changes=(),
        notices=found,
        downtime_s=downtime,
    )
    try:
        gates.refuse(plan, allow_downtime=allow_downtime)
    except gates.PlanRefused as error:
        return f"exit {int(error.code)}: {error}"
    return ""


def test_a_private_address_needs_no_tls_and_the_plan_says_so() -> None:
    found = notices()
    assert [(n.level, "in the clear" in n.text) for n in found] == [("note", True)]
    assert not refused(found)


@pytest.mark.parametrize("address", [PUBLIC, PUBLIC_6])
def test_a_public_address_needs_tls_where_the_gateway_listens(address: str) -> None:
    """It listens on IPv4 alone: every host at home has a global IPv6 address."""
    why = refused(notices(seen={"gpu-1": host(1, addresses=(PRIVATE, address))}))
    assert (PUBLIC in why and "private-ca" in why) is (address == PUBLIC)
    assert bool(why) is (address == PUBLIC)


@pytest.mark.parametrize("tls", ["private-ca", "{cert: llm.pem, key: llm.key}"])
def test_a_public_address_with_tls_is_fine(tls: str) -> None:
    text = f"{world.STACK}gateway: {{tls: {tls}}}\n"
    assert notices(text, {"gpu-1": host(1, addresses=(PUBLIC,))}) == ()


def test_none_is_refused_on_a_public_address_even_when_it_is_asked_for() -> None:
    text = f"{world.STACK}gateway: {{tls: none}}\n"
    assert PUBLIC in refused(notices(text, {"gpu-1": host(1, addresses=(PUBLIC,))}))


def test_a_name_for_a_public_address_is_public() -> None:
    text = f"{world.STACK}gateway: {{address: {PUBLIC}}}\n"
    assert PUBLIC in refused(notices(text))


def test_it_is_the_gateways_next_host_that_counts() -> None:
    """The record still names the old one when the gateway moves."""
    seen = {"gpu-2": host(2, addresses=(PUBLIC,))}
    assert not refused(notices(seen=seen, gateway="gpu-1"))
    assert PUBLIC in refused(notices(seen=seen, gateway="gpu-2"))


def test_a_replica_that_fits_nowhere_is_refused_with_each_reason() -> None:
    rejected = (
        Rejected(replica="chat-1", where="gpu-1", reason="needs 30 GiB, free 24 GiB"),
        Rejected(replica="chat-1", where="gpu-2", reason="its card is another model's"),
        Rejected(replica="chat-0", where="gpu-2", reason="of no interest"),
    )
    placement = replace(world.placement("gpu-1"), missing=("chat-1",), rejected=rejected)
    why = refused(notices(placement=placement))
    assert "gpu-1: needs 30 GiB, free 24 GiB; gpu-2: its card is another model's" in why
    assert "of no interest" not in why
    assert "office.yaml:" in why


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ({"os_id": "debian", "os_version": "12"}, "repos/debian12/x86_64/cuda-keyring"),
        ({"os_id": "ubuntu", "os_version": "24.04"}, "nvidia-headless-no-dkms-580-server-open"),
    ],
)
def test_a_host_without_a_driver_is_refused_with_its_own_commands(system: dict[str, str], words: str) -> None:
    why = refused(notices(seen={"gpu-2": host(2, driver=Driver(state="missing"), **system)}))
    assert "gpu-2" in why
    assert "no driver" in why
    assert words in why
    assert "sudo reboot" in why


def test_a_broken_driver_says_what_it_said() -> None:
    assert BROKEN.detail in refused(notices(seen={"gpu-2": host(2, driver=BROKEN)}))


def test_a_card_that_fell_out_is_a_warning() -> None:
    cards = (("GPU-1", "RTX 3090", 24576), ("GPU-gone", "A10G", 23028))
    expected = Expected(machine_id="machine-1", cards=cards, driver="580.1", boot_id="boot")
    found = [n for n in notices(record=world.record(expected={"gpu-1": expected})) if n.level == "warning"]
    assert [(n.where, n.text) for n in found] == [("gpu-1", "A10G GPU-gone is missing; it was there before")]
    assert not refused(tuple(found))


@pytest.mark.parametrize(
    ("owned", "machine", "warned"),
    [(True, "other", True), (False, "machine-1", True), (False, "other", False)],
)
def test_a_rented_machine_that_replaces_another_has_cards_of_its_own(
    owned: bool, machine: str, warned: bool
) -> None:
    expected = Expected(machine_id=machine, cards=(("GPU-gone", "A10G", 23028),))
    hosts = [replace(world.hosts()[0], owned=owned)]
    found = list(gates._cards(hosts, {"gpu-1": host(1)}, world.record(expected={"gpu-1": expected})))
    assert bool(found) is warned


TOOLKIT, SETTINGS = "package:nvidia-container-toolkit", "json:/etc/docker/daemon.json"
INSTALLED = Value({"version": "1", "hold": False, "state": "installed"}, world.AT)


@pytest.mark.parametrize(
    ("facts", "observed", "level", "words"),
    [
        ({}, {TOOLKIT: INSTALLED}, "note", "live-restore is left out"),
        ({}, {}, "warning", "restarted once, so that it finds the toolkit"),
        ({"docker_waits": True}, {TOOLKIT: INSTALLED}, "warning", "restarted with the next change"),
        ({"cards": (), "driver": Driver(state="none")}, {}, "note", "live-restore is left out"),
        (
            {},
            {SETTINGS: Value({"live-restore": True}, world.AT)},
            "refuse",
            "with which Docker does not start",
        ),
    ],
)
def test_a_swarms_owner_is_told(
    facts: dict[str, Any], observed: dict[str, Value], level: str, words: str
) -> None:
    member = replace(host(2, docker_swarm="active", **facts), observed=observed)
    found = [n for n in notices(seen={"gpu-2": member}) if n.where == "gpu-2"]
    assert [(n.level, words in n.text) for n in found] == [(level, True)]


LOGIN = {"uid": 1001, "home": "/home/hostler", "shell": "/bin/bash", "like_ours": False}


@pytest.mark.parametrize(
    ("account", "before", "refuses"),
    [
        (Absent(world.AT), None, False),
        (Unknown("the host was not asked", world.AT), None, False),
        (Value({**LOGIN, "like_ours": True}, world.AT), None, False),
        (Value(LOGIN, world.AT), None, True),
        (Value(LOGIN, world.AT), ["root", "hostler"], True),
        (Value(LOGIN, world.AT), ["root"], False),
    ],
    ids=["none", "unknown", "like ours", "a login", "a login, in the baseline", "made by us"],
)
def test_somebodys_login_is_not_taken_over(
    account: Observed, before: list[str] | None, refuses: bool
) -> None:
    baseline = None if before is None else {"accounts": before}
    member = replace(host(2), observed={"account:hostler": account}, baseline=baseline)
    why = refused(notices(seen={"gpu-2": member}))
    assert bool(why) is refuses
    if refuses:
        assert "gpu-2" in why
        assert "uid 1001, home /home/hostler, shell /bin/bash" in why
        assert "rename that account" in why


def test_the_only_replica_needs_a_word_for_its_downtime() -> None:
    why = refused((), allow_downtime=False, chat=20.0)
    assert why.startswith("exit 9: ")
    assert "about 20 s" in why
    assert not refused((), allow_downtime=True, chat=20.0)


def moved(text: str, *, serves: bool, before: str = "gpu-2") -> tuple[Notice, ...]:
    hosts = {one.name: one for one in world.hosts()}
    record = replace(world.record(), gateway_host=before, hosts=hosts)
    return tuple(gates.moved(world.stack(text), record, hosts["gpu-1"], serves=serves))


def test_a_gateway_that_moves_cuts_its_clients_and_says_where_they_find_it() -> None:
    found = moved(world.STACK, serves=True)
    why = refused(found, allow_downtime=False)
    assert "exit 9" in why
    assert "from gpu-2: clients of" in why
    assert "--allow-downtime" in found[0].next_step
    assert not refused(found, allow_downtime=True)


def test_a_gateway_that_moves_and_has_a_name_of_its_own() -> None:
    (found,) = moved(f"{world.STACK}gateway: {{address: llm.example}}\n", serves=True)
    assert "llm.example has to point to" in found.text


def test_a_gateway_without_clients_moves_with_a_warning() -> None:
    found = moved(world.STACK, serves=False)
    assert [one.level for one in found] == ["warning"]
    assert not refused(found, allow_downtime=False)


def test_a_gateway_that_stays_says_nothing() -> None:
    assert moved(world.STACK, serves=True, before="gpu-1") == ()
