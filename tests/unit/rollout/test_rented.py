"""What a stack rents: the gateway stays, what never answered is dead, and nothing is asked or ended without a uid."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.cloud import account, egress
from hostler.cloud.slots import decide
from hostler.cloud.types import Candidate, Rented
from hostler.console.out import Out
from hostler.errors import HostError, ProvisionError, RefusedError
from hostler.hosts.types import Host, Seen, Ssh
from hostler.models.types import Member, Replica
from hostler.record.types import Record
from hostler.rollout import ending, networks, rented, renting, wishing
from hostler.rollout.rented import Cloud
from hostler.stackfile.fields import Range
from hostler.stackfile.sections import Aws, Gateway, Pool, Stack

AWS = Aws(regions=("eu-central-1",), instances=("g5.xlarge",))
HAS = Candidate(region="eu-central-1", zone="eu-central-1a", instance="g5.xlarge", market="on-demand")


def file(gateway: Gateway | None = None, **pools: Pool) -> Any:
    stack = Stack(stack="office", pools=pools, models={}, gateway=gateway or Gateway())
    return SimpleNamespace(stack=stack, path="office.yaml", where=lambda path: path)


def machine(slot: str, pool: str = "big", **more: Any) -> Rented:
    return Rented(
        slot=slot, pool=pool, id=f"i-{slot}", candidate=HAS, public_ip="203.0.113.9", private_ip="", uid="u", **more
    )  # fmt: skip


def host(name: str, pool: str = "big") -> Host:
    return Host(name=name, pool=pool, ssh=Ssh(address="203.0.113.9"), owned=False)


def cloud(*machines: Rented, met: bool = True, uid: str = "u") -> Cloud:
    there = {one.slot: one for one in machines}
    return Cloud(
        uid=uid,
        home="",
        dead=(),
        stood=tuple(there),
        rented=there,
        hosts={slot: host(slot) for slot in there},
        documents={slot: {"met": met} for slot in there},
        regions=("eu-central-1",),
    )


RENTS = file(big=Pool(aws=AWS, count=Range(1, 1)), also=Pool(aws=AWS, count=Range(1, 1)))


def test_a_gateway_stays_where_it_is() -> None:
    hosts = (host("also-0", "also"), host("big-0"), host("big-1"))
    assert rented.gateway_slot(RENTS, hosts) == "also-0"
    assert rented.gateway_slot(RENTS, hosts, "big-1") == "big-1"
    assert rented.gateway_slot(RENTS, hosts, "big-7") == "also-0"


def test_a_gateway_is_never_on_a_pool_that_is_given_back() -> None:
    one = file(big=Pool(aws=replace(AWS, spot="prefer"), count=Range(1, 1)))
    assert rented.gateway_slot(one, (host("big-0"),)) == ""


@pytest.mark.parametrize(
    ("met", "since", "dead"),
    [(False, 3000.0, True), (False, 1200.0, False), (True, 3000.0, False), (False, None, False)],
)
def test_what_never_answered_and_did_not_end_itself_is_dead(
    met: bool, since: float | None, dead: bool
) -> None:
    one = machine("big-0", since=None if since is None else 10_000.0 - since)
    assert rented._dead(one, {"met": met}, 10_000.0) is dead


def test_no_uid_means_nobody() -> None:
    with pytest.raises(ValueError, match="no stack's"):
        account.holdings(["eu-central-1"], "")


def observed(record: Record | None, *, reached: bool, met: bool = True, uid: str = "u") -> Any:
    found = cloud(machine("big-0"), met=met, uid=uid)
    seen = Seen(host="big-0", at=0.0, seconds=0.0, error="" if reached else "no answer")
    return SimpleNamespace(
        cloud=found,
        record=record,
        seen={"big-0": seen},
        gateway=host("big-0"),
        every=(host("big-0"),),
        file=RENTS,
    )


RECORD = Record(
    uid="u",
    stack="office",
    gateway_host="big-0",
    replicas=(
        Replica(id="chat-0", model="chat", members=(Member(host="big-0", port=18080, cards=()),), need_mib=1),
    ),
)


@pytest.mark.parametrize("record", [RECORD, None])
def test_what_does_not_answer_may_be_busy(record: Record | None) -> None:
    out = Out(stderr=StringIO())
    with pytest.raises(RefusedError) as raised:
        ending.drain(observed(record, reached=False), out, cut=False)
    assert [problem.where for problem in raised.value.problems] == ["big-0"]
    assert "--cut" in raised.value.problems[0].next_step
    ending.drain(observed(record, reached=False), out, cut=True)


def test_what_was_never_met_serves_nobody() -> None:
    ending.drain(observed(None, reached=False, met=False), Out(stderr=StringIO()), cut=False)


def test_without_a_uid_nothing_is_ended() -> None:
    held = ending.Held(holdings=(), regions=("eu-central-1",), state=True)
    with pytest.raises(ProvisionError, match="uid"):
        ending.end(observed(None, reached=False, uid=""), "", held, Out(stderr=StringIO()))


def test_auto_lets_all_operators_in(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Any] = {}
    fleet: Any = SimpleNamespace(document=kept.get, keep=kept.__setitem__)
    observation = observed(RECORD, reached=True)
    for who, where in (
        ("ada@desk", "203.0.113.7/32"),
        ("ben@train", "198.51.100.2/32"),
        ("ada@desk", "203.0.113.8/32"),
    ):
        monkeypatch.setattr(networks, "owner", lambda who=who: who)
        monkeypatch.setattr(egress, "here", lambda where=where: where)
        networks.note(observation, fleet)
    assert networks.ours(observation, fleet) == ("198.51.100.2/32", "203.0.113.8/32")


def test_a_gateways_host_that_cannot_say_where_it_is_is_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Any] = {}
    fleet: Any = SimpleNamespace(document=kept.get, keep=kept.__setitem__)
    observation = observed(RECORD, reached=True)
    observation.gateway = replace(host("gpu-1"), owned=True)
    observation.seen["gpu-1"] = Seen(host="gpu-1", at=0.0, seconds=0.0)
    monkeypatch.setattr(egress, "here", lambda: "203.0.113.7/32")

    def silent(_: Host) -> str:
        raise HostError.of("gpu-1", expected="an answer", got="timed out")

    monkeypatch.setattr(networks.meeting, "egress_of", silent)
    with pytest.raises(HostError):
        networks.ours(observation, fleet)
    monkeypatch.setattr(networks.meeting, "egress_of", lambda _: "192.0.2.1/32")
    networks.note(observation, fleet)
    monkeypatch.setattr(networks.meeting, "egress_of", silent)
    assert networks.ours(observation, fleet) == ("192.0.2.1/32", "203.0.113.7/32")
    observation.gateway = host("big-0")  # it moved: its former host is let in no more
    assert networks.ours(observation, fleet) == ("203.0.113.7/32",)


@pytest.mark.parametrize(
    ("reached", "met", "here", "asks"),
    [
        (False, True, "198.51.100.9/32", True),
        (False, True, "203.0.113.7/32", False),  # it is let in already: the host is silent for another reason
        (True, True, "198.51.100.9/32", False),
        (False, False, "198.51.100.9/32", False),  # never met: it is not the network that is in the way
    ],
)
def test_a_new_network_is_let_in_after_a_yes(
    reached: bool, met: bool, here: str, asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, Any] = {networks.DOCUMENT: {networks.owner(): "203.0.113.7/32"}}
    fleet: Any = SimpleNamespace(document=kept.get, keep=kept.__setitem__)
    done: list[str] = []
    monkeypatch.setattr(renting.wishing, "fleet_of", lambda *_: fleet)
    monkeypatch.setattr(renting, "_without", lambda *_: done.append("rent"))
    monkeypatch.setattr(egress, "here", lambda: here)
    observation = observed(None, reached=reached, met=met)
    assert renting.let_in(observation, Out(stderr=StringIO()), yes=True) is asks
    assert done == (["rent"] if asks else [])
    assert kept[networks.DOCUMENT] == {networks.owner(): here if asks else "203.0.113.7/32"}


@pytest.mark.parametrize(("state", "asks"), [("stopped", True), ("running", False)])
def test_a_gateway_that_was_stopped_is_started_after_a_yes(
    state: str, asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(renting.live, "start", lambda machines, _: begun.extend(one.slot for one in machines))
    observation = observed(None, reached=False)
    observation.home_known = False
    observation.cloud = cloud(machine("big-0", state=state))
    assert renting.started(observation, Out(stderr=StringIO()), yes=True) is asks
    assert begun == (["big-0"] if asks else [])
    observation.home_known = True
    assert not renting.started(observation, Out(stderr=StringIO()), yes=True)


def test_slots_of_parked_pools_are_given_back() -> None:
    found = rented.decided(RENTS, cloud(machine("big-0")), None, rented.Turn(park=("big",)))
    assert found.slots.retire == ("big-0",)
    assert decide(RENTS.stack, {}, found.rented).retire == ()


@pytest.mark.parametrize(
    ("gateway", "before", "slots"),
    [
        (host("big-1"), "big-0", ("big-1", "big-0")),  # until the end of the run, in this order
        (host("big-0"), "big-0", ("big-0",)),
        (host("big-1"), "big-7", ("big-1",)),  # its machine is gone
        (replace(host("gpu-1", "home"), owned=True), "big-0", ("big-0",)),
        (replace(host("gpu-1", "home"), owned=True), "gpu-1", ()),
        (host("big-0"), "", ("big-0",)),
    ],
)
def test_while_the_gateway_moves_both_hosts_are_reached(
    gateway: Host, before: str, slots: tuple[str, ...]
) -> None:
    record = replace(RECORD, gateway_host=before) if before else None
    found: Any = SimpleNamespace(record=record, gateway=gateway)
    assert wishing.gateway_slots(found, cloud(machine("big-0"), machine("big-1"))) == slots
