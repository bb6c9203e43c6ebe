"""What a stack rents, as it is now: machines in the state and whether they still are there, and their hosts.

The state is asked first (which machines are ours), then AWS (do they run, and where), then the hosts themselves.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hostler import operator
from hostler.cloud import live, predicted
from hostler.cloud.slots import Slots, decide
from hostler.cloud.types import Price, Rented
from hostler.errors import Problem
from hostler.hosts.types import PARKED, Host, Seen, Slot, Ssh
from hostler.record.types import Record
from hostler.rollout import givenback, stackkey
from hostler.stackfile import idling
from hostler.stackfile.defaults import ends
from hostler.stackfile.sections import StackFile

if TYPE_CHECKING:
    from hostler.provision.fleet import Fleet
    from hostler.provision.types import Notice

# a document beside the state: slot -> {"keys": [host keys, the first one last], "user", "met", "silent", "price"}
HOSTS = "hosts"
REGIONS = "regions"  # another: {"regions": [all that were ever used]}
HOME = "home"  # another: {"slot": the one with the gateway}
MARK = "rented.json"  # on this machine: that the stack has a state in a bucket, and where
USER = "ubuntu"  # of all images by name
NOT_RENTED = "not rented yet"
DEAD_S = 40 * 60.0  # after its start: ten minutes more than an instance has that nobody adopts
ACCOUNT = "s3://"  # the account's own bucket of the stack
# fields of a slot
OF_THE_MACHINE = ("machine", "instance", "region", "zone", "market", "price", "price_source", "since")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one run does beside the file: pools whose machines all are wanted (`wake`), or none (`park`); parked slots that
    are wanted (`need`); slots whose machines get successors (`renew`); on the way back from that, those that stay (`keep`) and
    successors that go (`drop`); and slots that could not be filled and are gone on without (`leave`), or were filled by it
    (`filled`)."""

    wake: tuple[str, ...] = ()
    need: tuple[str, ...] = ()
    park: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    renew: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """`stood`: slots of the state; `rented`: those whose machine is there; `dead`: those whose machine never answered
    and should have ended itself. `uid`: the state's. `why`: not empty where AWS could not be asked: then all of it is as
    it was last known (lastknown.py)."""

    uid: str
    home: str  # the slot that had the gateway at the end of the last `up`; empty: none
    dead: tuple[str, ...]
    stood: tuple[str, ...]
    rented: Mapping[str, Rented]
    hosts: Mapping[str, Host]
    documents: Mapping[str, Any]  # of the hosts: keys, users, and at what price they were rented
    regions: tuple[str, ...]
    slots: Slots = field(default_factory=lambda: Slots(slots={}))
    ended: Mapping[str, str] = field(
        default_factory=dict[str, str]
    )  # AWS's code of how a machine ended, by slot
    gave: Mapping[str, str] = field(
        default_factory=dict[str, str]
    )  # the same, of those that gave themselves back
    why: tuple[Problem, ...] = ()
    at: float = 0.0  # when it was last known, in seconds since 1970; 0: never

    @property
    def in_use(self) -> Mapping[str, Rented]:
        """Without those that are stopped while their slots are parked."""
        slots, stops = self.slots.slots, self.slots.stop
        return {
            name: machine
            for name, machine in self.rented.items()
            if name in stops or not (name in slots and slots[name].stopped)
        }

    @property
    def resting(self) -> tuple[str, ...]:
        """The others."""
        return tuple(name for name in self.rented if name not in self.in_use)

    @property
    def unmet(self) -> tuple[str, ...]:
        """They still have the host key of their birth, and end themselves half an hour after it."""
        return tuple(slot for slot in self.rented if not self.documents.get(slot, {}).get("met"))

    @property
    def lost(self) -> tuple[str, ...]:
        """Ended outside of hostler: by hand, by the spot market, or by themselves."""
        return tuple(slot for slot in self.stood if slot not in (*self.rented, *self.dead))


def rents(file: StackFile) -> bool:
    """Whether it does, or did from this machine."""
    return any(pool.aws for pool in file.stack.pools.values()) or bool(_mark(file))


def fleet_of(file: StackFile, *, uid: str = "", notice: Notice | None = None) -> Fleet:
    """The stack's Pulumi, with its state where it is."""
    from hostler.provision.fleet import Fleet
    from hostler.provision.types import silent

    if not rents(file):
        return Fleet(file.stack.stack, uid=uid, notice=notice or silent)
    mark = _mark(file)
    regions = [region for pool in file.stack.pools.values() if pool.aws for region in pool.aws.regions]
    return Fleet(
        file.stack.stack,
        uid=uid,
        state=bucket_of(file) or mark.get("state") or ACCOUNT,
        key=key_of(file) if regions else mark.get("kms", ""),
        region=next(iter(regions), mark.get("region", "")),
        notice=notice or silent,
    )


def remember(file: StackFile) -> None:
    """That this stack has a state in a bucket, for the day on which its file has no pool that says so."""
    regions = [region for pool in file.stack.pools.values() if pool.aws for region in pool.aws.regions]
    if regions:
        path = operator.stack_home(file.stack.stack) / MARK
        found = {"state": bucket_of(file) or ACCOUNT, "region": regions[0], "kms": key_of(file)}
        operator.write_json(path, found)


def bucket_of(file: StackFile) -> str:
    return (file.stack.state.bucket if file.stack.state else None) or ""


def key_of(file: StackFile) -> str:
    return (file.stack.state.kms if file.stack.state else None) or ""


def _mark(file: StackFile) -> dict[str, Any]:
    return operator.read_json(operator.stack_home(file.stack.stack) / MARK)


def known(file: StackFile) -> Cloud:
    """Of a stack that rents. Raises ProvisionError where AWS cannot be asked: what is not known is not gone."""
    fleet = fleet_of(file)
    stood = {machine.slot: machine for machine in fleet.rented()}
    documents = dict(fleet.document(HOSTS) or {})
    used = (fleet.document(REGIONS) or {}).get("regions", ())
    look = live.look(stood.values())
    there = look.there
    dead = [slot for slot, machine in there.items() if _dead(machine, documents.get(slot, {}), time.time())]
    rented = {slot: machine for slot, machine in there.items() if slot not in dead}
    key = str(stackkey.path(file, fleet)) if rented else ""
    return Cloud(
        uid=fleet.state_uid(),
        home=str((fleet.document(HOME) or {}).get("slot", "")),
        dead=tuple(dead),
        stood=tuple(stood),
        rented=rented,
        hosts={slot: _host(file, machine, documents.get(slot, {}), key) for slot, machine in rented.items()},
        documents=documents,
        regions=tuple(used),
        ended=look.ended,
    )


def _dead(machine: Rented, document: Mapping[str, Any], now: float) -> bool:
    """It was never met, so it serves nobody; and a run gave it up, or its birth's lease did not end it: user data never
    ran."""
    if document.get("met"):
        return False
    given_up = document.get("silent") == machine.id
    return given_up or (machine.since is not None and now - machine.since > DEAD_S)


def host_of(
    machine: Rented, document: Mapping[str, Any], key: str, public: str | None = None, where: str = ""
) -> Host:
    """`key`: the file of the private key; `public`: the host key that must be shown."""
    return Host(
        name=machine.slot,
        pool=machine.pool,
        ssh=Ssh(
            address=machine.public_ip or machine.private_ip,
            user=document.get("user", USER),
            port=22,
            key=key,
            host_key=public,
        ),
        owned=False,
        where=where,
    )


def _host(file: StackFile, machine: Rented, document: Mapping[str, Any], key: str) -> Host:
    keys = document.get("keys") or [None]
    return host_of(machine, document, key, keys[0], file.where(f"pools.{machine.pool}"))


def decided(file: StackFile, cloud: Cloud, record: Record | None, turn: Turn) -> Cloud:
    """With what becomes of each slot, and what is known of its machine."""
    known: Mapping[str, Slot] = record.slots if record else {}
    gave = givenback.of(file, cloud, known, wake=turn.wake, need=turn.need)
    park = [name for name, slot in {**known, **pools(cloud)}.items() if slot.pool in turn.park]
    rest = [name for name, slot in known.items() if slot.stopped or name in gave or slot.pool in turn.park]
    slots = decide(
        file.stack, known, cloud.rented, wake=turn.wake, need=turn.need, park=[*park, *gave], leave=turn.leave,
        filled=turn.filled, renew=turn.renew, rest=[name for name in rest if idling.stops_in_the_cloud(file.stack, known[name].pool)],
    )  # fmt: skip
    described = {name: _described(slot, cloud) for name, slot in slots.slots.items()}
    decided = replace(cloud, slots=replace(slots, slots=described), gave=gave)
    return replace(decided, hosts={name: cloud.hosts[name] for name in decided.in_use})


def _described(slot: Slot, cloud: Cloud) -> Slot:
    """With its machine; a parked one keeps what is known of its last, one that is to be filled has none."""
    machine = cloud.rented.get(slot.name)
    if machine is None:
        empty = Slot(name=slot.name)
        gone = {name: getattr(empty, name) for name in OF_THE_MACHINE}
        return slot if slot.state == "parked" else replace(slot, **gone)
    has = machine.candidate
    price = _price(slot, machine, cloud.documents.get(slot.name, {}).get("price", {}))
    return replace(
        slot, machine=machine.id, instance=has.instance, region=has.region, zone=has.zone, market=has.market,
        since=machine.since, price=price.amount, price_source=price.source,
    )  # fmt: skip


def _price(slot: Slot, machine: Rented, paper: Mapping[str, Any]) -> Price:
    """As it was written down when it was rented: beside the state, or in the record."""
    if paper.get("machine") == machine.id:
        return Price(amount=paper["usd"], source=paper["source"])
    if slot.machine == machine.id:
        return Price(amount=slot.price, source=slot.price_source)
    return Price(amount=None, source="nobody wrote it down when it was rented")


def pools(cloud: Cloud) -> dict[str, Slot]:
    """The slots of machines that are there."""
    return {name: Slot(name=name, pool=machine.pool) for name, machine in cloud.rented.items()}


def wanted(file: StackFile, cloud: Cloud) -> tuple[Host, ...]:
    """The hosts that the stack shall have; those without a machine have no address."""
    return tuple(
        cloud.hosts.get(name) or predicted.host(name, cloud.slots.slots[name].pool, _where(file, cloud, name))
        for name in cloud.slots.of("wanted")
    )


def _where(file: StackFile, cloud: Cloud, slot: str) -> str:
    return file.where(f"pools.{cloud.slots.slots[slot].pool}.aws")


def stopped(cloud: Cloud, at: float) -> dict[str, Seen]:
    """What a look at machines that are stopped answers: none has an address."""
    return {
        slot: Seen(
            host=slot,
            at=at,
            seconds=0.0,
            error="its instance is stopped",
            error_kind="stopped",
            next_step="`hostler up` starts it",
        )
        for slot, machine in cloud.rented.items()
        if machine.stopped
    }


def goes(seen: Seen) -> Seen:
    """Of one that is stopped, and will be ended: that nobody answers there is as it should be."""
    return replace(seen, error=PARKED, error_kind="absent")


def absent(cloud: Cloud, at: float) -> dict[str, Seen]:
    """What a look at slots without a machine answers."""
    return {
        slot: Seen(
            host=slot,
            at=at,
            seconds=0.0,
            error="its instance is gone" if slot in cloud.lost else NOT_RENTED,
            error_kind="absent",
            next_step="`hostler up` rents it",
        )
        for slot in cloud.slots.fill
    }


def gateway_slot(file: StackFile, hosts: Sequence[Host], before: str = "") -> str:
    """The rented host that has the gateway where no owned one does; empty: an owned host has it. `before`: the host
    that has it now, which keeps it as long as it is wanted."""
    if file.stack.gateway.host:
        return ""
    staying = {name for name, pool in file.stack.pools.items() if not ends(pool)}
    names = [host.name for host in hosts if host.pool in staying and not host.owned]
    return before if before in names else next(iter(names), "")


def with_uid(record: Record, cloud: Cloud | None) -> Record:
    """A first record of a stack whose state knows its uid: another would not be let near it."""
    return replace(record, uid=cloud.uid) if cloud and cloud.uid else record
