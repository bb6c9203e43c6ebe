"""The sweep: what an account holds of a stack that neither its state nor its record knows, and whose lease is over.

Asked beside what takes longer anyway. Only told here: `up` and `doctor --remove-strays` end it (strays.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any

from hostler.cloud import account, money, prices
from hostler.cloud.types import Holding, Price
from hostler.errors import HostlerError, Problem
from hostler.record.types import Record
from hostler.rollout import rented
from hostler.rollout.rented import Cloud
from hostler.stackfile.sections import StackFile

SOON_S = 3 * 86400.0  # so near the end of a lease somebody should know
DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    holding: Holding
    price: Price  # USD an hour; of the spot market: at most

    @property
    def name(self) -> str:
        return named(self.holding)

    @property
    def cost(self) -> str:
        """`1.21 USD/h`, `at most 1.21 USD/h`, `price unknown (WHY)`, or nothing."""
        amount = self.price.amount
        if amount is None:
            return f"price unknown ({self.price.source})"
        most = "at most " if self.holding.market == "spot" else ""
        return f"{most}{money.amount(amount)} USD/h" if amount else "costs nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """`why`: not empty where it could not be asked: then nothing is known, which is not nothing."""

    strays: tuple[Stray, ...] = ()
    why: tuple[Problem, ...] = ()


def named(holding: Holding) -> str:
    return f"{holding.kind} {holding.id}" + (f" ({holding.slot})" if holding.slot else "")


def regions(file: StackFile, cloud: Cloud | None) -> tuple[str, ...]:
    """Every region that the stack ever used, as far as is known, and those of its file."""
    named = [region for pool in file.stack.pools.values() if pool.aws for region in pool.aws.regions]
    return tuple(dict.fromkeys((*(cloud.regions if cloud else ()), *named)))


def listed(file: StackFile, cloud: Cloud, uid: str) -> tuple[Holding, ...]:
    """Raises ProvisionError. The account is asked before the state: what is made meanwhile is in the state by then."""
    if not uid:
        return ()
    held = account.holdings(regions(file, cloud), uid, buckets=False)
    resources = rented.fleet_of(file).export().get("resources") or ()
    known = [str(item["id"]) for item in resources if item.get("id")]
    return account.strays(held, uid, known, time.time())


def unrecorded(found: tuple[Holding, ...], record: Record | None) -> tuple[Holding, ...]:
    """Without the machines of which the record says that a slot has them, and their disks."""
    slots = record.slots.values() if record else ()
    ours = {slot.machine for slot in slots if slot.machine and (slot.state != "parked" or slot.stopped)}
    return tuple(one for one in found if one.id not in ours and one.part_of not in ours)


def ask(file: StackFile, cloud: Cloud) -> Swept:
    """With what each costs. Raises nothing of ours: that it cannot be known is an answer."""
    if cloud.why:
        return Swept(why=cloud.why)
    try:
        found = listed(file, cloud, cloud.uid)
        return Swept(strays=tuple(Stray(holding=one, price=prices.of_holding(one)) for one in found))
    except HostlerError as error:
        return Swept(why=error.problems)


class Beside:
    """It, asked while something else goes on."""

    def __init__(self, file: StackFile, cloud: Cloud) -> None:
        self._found: Swept | None = None
        self._thread = Thread(target=self._ask, args=(file, cloud), name="sweep", daemon=True)
        self._thread.start()

    def _ask(self, file: StackFile, cloud: Cloud) -> None:
        self._found = ask(file, cloud)

    def answer(self, record: Record | None, limit_s: float | None = None) -> Swept:
        """Waits, `limit_s` at most."""
        self._thread.join(limit_s)
        if self._found is None:
            return Swept(why=(_late(limit_s),))
        ours = {one.id for one in unrecorded(tuple(s.holding for s in self._found.strays), record)}
        return replace(self._found, strays=tuple(s for s in self._found.strays if s.holding.id in ours))


def _late(limit_s: float | None) -> Problem:
    within = f" within {limit_s:.0f} s" if limit_s is not None else ""
    return Problem(
        where="AWS",
        expected=f"what the account holds of the stack{within}",
        got="no answer",
        next_step="hostler doctor",
    )


def row(swept: Swept | None) -> dict[str, Any] | None:
    """For `--json`; None: the stack rents nothing."""
    if swept is None:
        return None
    return {
        "known": not swept.why,
        "error": str(swept.why[0]) if swept.why else None,
        "next": swept.why[0].next_step if swept.why else None,
        "things": [_thing(one) for one in swept.strays],
    }


def _thing(stray: Stray) -> dict[str, Any]:
    one = stray.holding
    return {
        "kind": one.kind,
        "id": one.id,
        "region": one.region,
        "slot": one.slot or None,
        "what": one.what or None,
        "lease": one.lease,
        "usd_h": stray.price.amount,
        "source": stray.price.source,
    }


def lines(swept: Swept | None) -> Iterator[str]:
    """For people."""
    if swept is None:
        return
    for stray in swept.strays:
        yield f"warning: stray {stray.name} in {stray.holding.region}, {stray.cost}: no state knows it, and its lease is over"
    if swept.strays:
        yield "next: `hostler up` ends strays after a yes; `hostler doctor --remove-strays` ends nothing else"
    if swept.why:
        yield f"warning: strays are not known: {swept.why[0]}"


def leases(cloud: Cloud | None, now: float) -> Iterator[dict[str, str]]:
    """A warning for each machine that serves and whose lease is over soon, as `status` has them."""
    for slot, machine in sorted(cloud.rented.items()) if cloud else ():
        left = machine.lease - now
        if cloud and slot not in cloud.unmet and machine.lease and left < SOON_S:
            when = f"ends in {left / DAY_S:.1f} days" if left > 0 else "is over"
            text = f"its lease {when}, and then it counts as a stray where its state is lost; `hostler up` renews it"
            yield {"level": "warning", "host": slot, "text": text}
