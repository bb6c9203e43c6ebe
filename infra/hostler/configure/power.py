"""Power limits of a pool's cards: what is wanted, what a card can do, what differs."""

from __future__ import annotations

import json
from collections.abc import Iterator

from hostler import resources
from hostler.configure.changes import Changes, change
from hostler.configure.types import Notice
from hostler.hosts.types import Card, Host, Seen
from hostler.manifest.contents import Text
from hostler.manifest.items import File, Item, Manifest, Part, PowerLimit, Unit
from hostler.stackfile.sections import StackFile

WISH = "/etc/hostler/power.json"
UNIT = "hostler-power.service"
FILE = f"/etc/systemd/system/{UNIT}"
SAME_W = 0.5


def wanted(file: StackFile, host: Host) -> float | None:
    """Watts for each card of a host; None: as it is."""
    pool = file.stack.pools.get(host.pool)
    return pool.power.limit if pool and pool.power else None


def items(file: StackFile, host: Host, seen: Seen | None) -> tuple[Item, ...]:
    """A limit for each card that has one, and what sets it again at a boot."""
    watts = wanted(file, host)
    cards = sorted(card.uuid for card in _able(seen)) if watts is not None else []
    if watts is None or not cards:
        return ()
    text = json.dumps(dict.fromkeys(cards, watts), indent=1) + "\n"
    return (
        File(path=FILE, part=Part.BASE, content=Text(text=(resources.templates() / UNIT).read_text())),
        File(path=WISH, part=Part.BASE, content=Text(text=text)),
        Unit(name=UNIT, part=Part.BASE, active=False),
        *(PowerLimit(card=card, watts=watts) for card in cards),
    )


def _able(seen: Seen | None) -> Iterator[Card]:
    """Cards whose limit the driver knows: laptops' and virtual ones' it does not."""
    yield from (
        card for card in (seen.facts.cards if seen and seen.facts else ()) if card.power_limit_w is not None
    )


def notices(file: StackFile, host: Host, seen: Seen) -> Iterator[Notice]:
    """A limit outside of what a card can do, which its driver would refuse; a card without one."""
    watts = wanted(file, host)
    if watts is None or seen.facts is None:
        return
    where = file.where(f"pools.{host.pool}.power")
    for card in seen.facts.cards:
        name = f"{host.name}: card {card.index} ({card.name})"
        if card.power_limit_w is None:
            yield Notice(level="warning", where=where, text=f"{name} has no power limit that could be set")
        elif not _in_range(card, watts):
            text = (
                f"{name} takes {_watts(card.power_min_w)} to {_watts(card.power_max_w)}, not {_watts(watts)}"
            )
            yield Notice(level="refuse", where=where, text=text)


def _in_range(card: Card, watts: float) -> bool:
    least, most = card.power_min_w, card.power_max_w
    return (least is None or watts >= least) and (most is None or watts <= most)


def difference(manifest: Manifest, seen: Seen, item: PowerLimit) -> Changes:
    """What the driver says against what is wanted. A card that is missing now has its own notice."""
    card = next((card for card in _able(seen) if card.uuid == item.card), None)
    if card is None or card.power_limit_w is None or abs(card.power_limit_w - item.watts) < SAME_W:
        return
    now, then = _watts(card.power_limit_w), _watts(item.watts)
    yield change(
        manifest,
        item.part,
        f"power:{item.card}",
        now,
        then,
        f"the power limit of card {card.index} ({card.name})",
    )


def _watts(value: float | None) -> str:
    return "?" if value is None else f"{value:g} W"
