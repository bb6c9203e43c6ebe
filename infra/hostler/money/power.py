"""What an owned host draws, in watts, from two looks: measured where something measures, estimated else, never left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hostler.money.looks import Draw, Machine
from hostler.money.rows import Basis

WALL = "its meter, at the wall"
CARDS = "measured at the cards"
IDLE = "power.idle: the host without its cards"
LIMITS = "power limits of cards that do not tell what they draw: more than they used"
ONCE = "cards, of which one look told what they draw"
REST = "the host without its cards is not counted: power.idle or power.meter"
NOT_TOLD = "cards tell neither what they draw nor their limit"
GAP = "nobody looked meanwhile; "
HOUR = "if it goes on as at one look; "
SILENT = "power.meter said no watts"
NOT_ASKED = "power.meter was not asked: the controller asks it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """`watts` None: not known. `part`: which of the host's several."""

    part: str
    watts: float | None
    basis: Basis
    source: str


def drawn(before: Machine, now: Machine, *, guess: str = "") -> Iterator[Drawn]:
    """The mean of both looks. `guess`: why all of it is estimated, as over a gap through which it was not looked. Where a
    meter is wanted and did not tell, what is said instead says so."""
    found = _drawn(before, now, "estimated" if guess else "measured")
    lacks = now.meter_why or before.meter_why
    for one in found:
        why = f"; {lacks}" if lacks and one.part != "wall" else ""
        yield replace(one, source=f"{guess}{one.source}{why}")


def _drawn(before: Machine, now: Machine, sure: Basis) -> Iterator[Drawn]:
    if before.meter_w is not None and now.meter_w is not None:
        yield Drawn(part="wall", watts=(before.meter_w + now.meter_w) / 2, basis=sure, source=WALL)
        return
    told, once, limits, dark = _cards(before, now)
    if told is not None:
        yield Drawn(part="cards", watts=told, basis=sure, source=CARDS)
    if once is not None:
        yield Drawn(part="once", watts=once, basis="estimated", source=ONCE)
    if limits is not None:
        yield Drawn(part="limits", watts=limits, basis="estimated", source=LIMITS)
    if dark:
        yield Drawn(part="dark", watts=None, basis="unknown", source=NOT_TOLD)
    if now.idle_w is not None:
        yield Drawn(part="idle", watts=now.idle_w, basis="estimated", source=IDLE)
    else:
        yield Drawn(part="rest", watts=None, basis="unknown", source=REST)


def _cards(before: Machine, now: Machine) -> tuple[float | None, float | None, float | None, bool]:
    """Watts of cards that told at both looks, at one of them, and the limits of those that did not; whether there are
    others."""
    told, once, limits, dark = list[float](), list[float](), list[float](), False
    for uuid in sorted({*before.cards, *now.cards}):
        pair = (before.cards.get(uuid, Draw()), now.cards.get(uuid, Draw()))
        watts = [one.watts for one in pair if one.watts is not None]
        least = next((one.limit for one in reversed(pair) if one.limit is not None), None)
        if len(watts) == 2:
            told.append(sum(watts) / 2)
        elif watts:
            once.append(watts[0])
        elif least is not None:
            limits.append(least)
        else:
            dark = True
    return _sum(told), _sum(once), _sum(limits), dark


def _sum(watts: list[float]) -> float | None:
    return sum(watts) if watts else None
