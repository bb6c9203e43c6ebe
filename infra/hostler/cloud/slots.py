"""Which slots a stack has: what stands stays, what is missing is filled, what is too much or no longer fits retires.

Pure. A slot is never given another machine while it has one: where the file asks for something else (another type,
image, disk), a new slot comes beside it, and it retires when it is drained.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from hostler.cloud.types import Rented
from hostler.hosts.types import Slot
from hostler.stackfile.fields import Range
from hostler.stackfile.sections import Aws, Pool, Stack

GIB = 2**30
OLD = "it is older than `max_age`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """What becomes of each slot, by name; `why` where it is not as it was."""

    slots: Mapping[str, Slot]
    fill: tuple[str, ...] = ()  # wanted, and without a machine
    retire: tuple[str, ...] = ()  # have a machine that goes, or is stopped
    stop: tuple[str, ...] = ()  # of those, the ones that are only stopped, and keep their disks
    why: Mapping[str, str] = field(default_factory=dict[str, str])

    def of(self, state: str) -> tuple[str, ...]:
        return tuple(name for name, slot in self.slots.items() if slot.state == state)


def decide(
    stack: Stack,
    known: Mapping[str, Slot],
    rented: Mapping[str, Rented],
    *,
    wake: Collection[str] = (),
    need: Collection[str] = (),
    park: Collection[str] = (),
    leave: Collection[str] = (),
    filled: Collection[str] = (),
    rest: Collection[str] = (),
    renew: Collection[str] = (),
) -> Slots:
    """`known`: the record's; `rented`: machines in the state, by slot. `wake`: pools of which all slots are wanted;
    `need`: parked slots that are wanted, and no others; `park`: slots that are given back now; `leave`: slots that could not be filled, and are gone on without; `filled`:
    parked ones that this run has filled already, which the record does not know yet; `rest`: those that have a machine while
    they are parked, stopped already or stopped by this run; `renew`: those whose machines are too old, and get successors."""
    found: dict[str, Slot] = {}
    why: dict[str, str] = {}
    for name, pool in stack.pools.items():
        mine = _of_pool(name, pool, known, rented)
        if pool.aws and pool.count:
            without = [slot for slot in leave if _order(slot)[0] == name and slot not in rented]
            stood = [n for n, s in known.items() if s.pool == name and s.state == "wanted" and n not in park]
            stood += [n for n in need if n in mine and n not in stood]
            mine = {n: _woken(s, (*filled, *need), pool.aws) for n, s in mine.items() if n not in without}
            found |= _pool(
                name, pool.aws, pool.count, mine, rented, wake=name in wake, park=park, why=why,
                have=len(stood) if known else None, without=len(without), rest=rest, renew=renew,
            )  # fmt: skip
        else:
            found |= _leaving(mine, rented, f"pool {name} rents nothing any more", why)
    stray = {n: s for n, s in _known(known, rented).items() if s.pool not in stack.pools}
    found |= _leaving(stray, rented, "its pool is no longer in the stack file", why)
    found = dict(sorted(found.items(), key=lambda item: _order(item[0])))
    stop = tuple(
        name for name, slot in found.items() if slot.stopped and name in park and not rented[name].stopped
    )
    return Slots(
        slots=found,
        fill=tuple(name for name, slot in found.items() if slot.state == "wanted" and name not in rented),
        retire=tuple(
            name
            for name, slot in found.items()
            if slot.state != "wanted" and name in rented and (not slot.stopped or name in stop)
        ),
        stop=stop,
        why=why,
    )


def unfit(slot: Slot, machine: Rented, aws: Aws) -> str:
    """Why a machine is not what the stack file asks for; empty when it is."""
    has = machine.candidate
    if has.instance not in aws.instances:
        return f"{has.instance} is no longer among {', '.join(aws.instances)}"
    if has.region not in aws.regions:
        return f"{has.region} is no longer among {', '.join(aws.regions)}"
    if (has.market == "spot") == (aws.spot == "never") and aws.spot != "prefer":
        return f"it is {has.market}, and the file says `spot: {aws.spot}`"
    for what, was, now in (
        ("image", slot.image, aws.image),
        ("disk", slot.disk_gib and f"{slot.disk_gib} GiB", f"{gib(aws.disk)} GiB"),
        ("subnet", slot.subnet, aws.subnet or ""),
    ):
        if was and was != now:
            return f"{what}: {was} => {now or 'a network of its own'}"
    return ""


def gib(size: int) -> int:
    """Whole GiB, as disks are sold."""
    return -(-size // GIB)


def _of_pool(
    pool: str, section: Pool, known: Mapping[str, Slot], rented: Mapping[str, Rented]
) -> dict[str, Slot]:
    """A machine that the record does not know was made by a run that ended early: it is as the file asks."""
    return {
        name: _asked(slot, section.aws) if name not in known and section.aws else slot
        for name, slot in _known(known, rented).items()
        if slot.pool == pool
    }


def _known(known: Mapping[str, Slot], rented: Mapping[str, Rented]) -> dict[str, Slot]:
    return {**{name: Slot(name=name, pool=machine.pool) for name, machine in rented.items()}, **known}


def _asked(slot: Slot, aws: Aws) -> Slot:
    return replace(slot, image=aws.image, disk_gib=gib(aws.disk), subnet=aws.subnet or "")


def _leaving(
    slots: Mapping[str, Slot], rented: Mapping[str, Rented], reason: str, why: dict[str, str]
) -> dict[str, Slot]:
    gone = {name: _goes(slot) for name, slot in slots.items() if name in rented}
    why.update(dict.fromkeys(gone, reason))
    return gone


def _goes(slot: Slot) -> Slot:
    return replace(slot, state="retiring", stopped=False)


def _pool(
    name: str,
    aws: Aws,
    count: Range,
    mine: Mapping[str, Slot],
    rented: Mapping[str, Rented],
    *,
    wake: bool,
    park: Collection[str],
    why: dict[str, str],
    have: int | None,
    without: int,
    rest: Collection[str],
    renew: Collection[str],
) -> dict[str, Slot]:
    """`have`: how many the record wants; None: nobody knows, and those that are there are as many."""
    found: dict[str, Slot] = {}
    wanted: list[Slot] = []
    replaced = 0
    for slot in _ordered(mine.values()):
        if slot.state == "retiring":
            found |= {slot.name: _goes(slot)} if slot.name in rented else {}
        elif slot.name in park or (slot.state == "parked" and not wake):
            slept = slot.given_back or slot.name in park
            there = slot.name in rented
            no_more = unfit(slot, rented[slot.name], aws) if there and slot.name in rest else ""
            stopped = there and slot.name in rest and not no_more
            found[slot.name] = replace(slot, state="parked", given_back=slept, stopped=stopped)
            if there:
                how = "stopped" if stopped else "given back"
                why[slot.name] = no_more or f"{how}: parked until it is woken"
        elif slot.name in rented and (
            reason := OLD if slot.name in renew else unfit(slot, rented[slot.name], aws)
        ):
            found[slot.name] = _goes(slot)
            why[slot.name] = reason
            replaced += 1
        else:
            wanted.append(replace(slot, state="wanted", given_back=False, stopped=False))
    asleep = sum(slot.given_back for slot in found.values() if slot.state == "parked")
    low = max(0, count.low - asleep)
    have = len(wanted) + replaced if have is None else have
    target = count.high if wake else min(max(have, low), count.high)
    target = max(0, target - without)
    for slot in _too_many(wanted, rented, target):
        wanted.remove(slot)
        if slot.name in rented:
            found[slot.name] = _goes(slot)
            why[slot.name] = f"`count: {count}`"
    resting = [s for s in _ordered(found.values()) if s.state == "parked" and s.name not in rented]
    resting = [slot for slot in resting if not slot.given_back]
    while len(wanted) < target:
        slot = replace(resting.pop(0), state="wanted") if resting else _new(name, {*mine, *found, *rented})
        wanted.append(slot)
        found[slot.name] = slot
    found |= {slot.name: slot if slot.name in rented else _asked(slot, aws) for slot in wanted}
    return _parked(name, aws, found, rented, max(0, count.high - len(wanted)), why, f"`count: {count}`")


def _woken(slot: Slot, filled: Collection[str], aws: Aws) -> Slot:
    """What this run filled, or needs, is wanted, and as the file asks now; one that was stopped is as it was."""
    if slot.name not in filled:
        return slot
    if slot.stopped:
        return replace(slot, state="wanted", given_back=False, stopped=False)
    return _asked(replace(slot, state="wanted", given_back=False), aws)


def _too_many(wanted: Collection[Slot], rented: Mapping[str, Rented], target: int) -> Iterator[Slot]:
    """Those without a machine first, then the highest numbers."""
    last = sorted(wanted, key=lambda slot: (slot.name in rented, tuple(-n for n in _order(slot.name)[1:])))
    yield from last[: max(0, len(wanted) - target)]


def _parked(
    pool: str,
    aws: Aws,
    found: dict[str, Slot],
    rented: Mapping[str, Rented],
    room: int,
    why: dict[str, str],
    reason: str,
) -> dict[str, Slot]:
    """As many are parked as the count leaves; a machine that is being given back keeps its slot."""
    parked = [slot for slot in _ordered(found.values()) if slot.state == "parked"]
    parked.sort(key=lambda slot: (not slot.stopped, not slot.given_back))
    for slot in parked[room:]:
        if slot.name not in rented:
            del found[slot.name]
        elif slot.stopped:
            found[slot.name] = _goes(slot)
            why[slot.name] = reason
    for _ in range(room - len(parked)):
        slot = replace(_asked(_new(pool, {*found, *rented}), aws), state="parked")
        found[slot.name] = slot
    return found


def _new(pool: str, taken: Collection[str]) -> Slot:
    number = next(n for n in range(len(taken) + 1) if f"{pool}-{n}" not in taken)
    return Slot(name=f"{pool}-{number}", pool=pool)


def _ordered(slots: Iterable[Slot]) -> list[Slot]:
    return sorted(slots, key=lambda slot: _order(slot.name))


def _order(name: str) -> tuple[str, int]:
    head, _, number = name.rpartition("-")
    return head, int(number) if number.isdigit() else 0
