"""What is wrong with cards, in a line each: Xid errors, memory errors, what slows them down, too few lanes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from hostler.hosts.types import Card, Facts, Seen

FEW_LANES = 4  # below it, weights are loaded slowly and tensor parallel waits for the bus
FELL_OFF = 79
# A program's own faults, and channels that are cleaned up after it was killed: no word on the card.
OF_PROGRAMS = (13, 31, 43, 45)


def warnings(seen: Seen) -> Iterator[dict[str, Any]]:
    """{"host", "card": UUID or None, "level": warning | note, "text"}: each thing once."""
    if seen.facts is None:
        return
    for card in seen.facts.cards:
        for level, text in _of_card(card):
            yield _row(seen.host, card.uuid, level, f"card {card.index} ({card.name}): {text}")
    for slot, uuid, numbers in _xids(seen.facts):
        card_or_slot = next((f"card {c.index} ({c.name})" for c in seen.facts.cards if c.uuid == uuid), slot)
        yield _row(seen.host, uuid, "warning", f"{card_or_slot}: {numbers}")


def _row(host: str, card: str | None, level: str, text: str) -> dict[str, Any]:
    return {"host": host, "card": card, "level": level, "text": text}


def _of_card(card: Card) -> Iterator[tuple[str, str]]:
    if card.ecc_errors:
        yield "warning", f"{card.ecc_errors} uncorrected memory errors"
    if card.throttled:
        yield "warning", f"slowed down: {', '.join(card.throttled)}"
    if card.pcie_width is not None and 0 < card.pcie_width < FEW_LANES:
        most = f" of {card.pcie_width_max}" if card.pcie_width_max else ""
        yield "note", f"PCIe has {card.pcie_width}{most} lanes"


def _xids(facts: Facts) -> Iterator[tuple[str, str | None, str]]:
    """(slot, UUID of the card there, its errors of this boot): a card that fell off its bus is in no list."""
    uuids = {_slot(card.pci): card.uuid for card in facts.cards if card.pci}
    slots: dict[str, Counter[int]] = {}
    for slot, number, _ in facts.xids or ():
        if number not in OF_PROGRAMS:
            slots.setdefault(slot, Counter())[number] += 1
    for slot, numbers in slots.items():
        yield f"PCI {slot}" if slot not in uuids else slot, uuids.get(slot), _said(numbers)


def _said(numbers: Counter[int]) -> str:
    words = [
        f"{number}{f' ({count} times)' if count > 1 else ''}" for number, count in sorted(numbers.items())
    ]
    fell = ", it fell off its bus" if FELL_OFF in numbers else ""
    return f"Xid {', '.join(words)} since the boot{fell}"


def _slot(pci: str) -> str:
    """nvidia-smi's `00000000:01:00.0` as the kernel has it: 0000:01:00."""
    domain, _, rest = pci.lower().partition(".")[0].partition(":")
    return f"{int(domain, 16):04x}:{rest}"
