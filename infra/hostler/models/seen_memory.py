"""What a replica was computed to take of its cards, beside what they say that it takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hostler.hosts.types import Card, CardProcess, Facts, Seen
from hostler.models.memory import as_gib
from hostler.models.types import Member, Replica

MORE = 1.1  # times what was computed: beyond it, the next model may not find the room that is counted on


@dataclass(frozen=True, slots=True, kw_only=True)
class CardMemory:
    """One replica on one card, in MiB. `seen_mib` None: unknown, and `unknown` says why."""

    replica: str
    host: str
    card: str  # UUID
    index: int | None
    computed_mib: int
    seen_mib: int | None = None
    unknown: str = ""
    at: float = 0.0  # when it was seen, seconds since 1970

    @property
    def part(self) -> float | None:
        """What is seen, in parts of what was computed."""
        return None if self.seen_mib is None else self.seen_mib / max(1, self.computed_mib)

    @property
    def too_much(self) -> bool:
        return self.part is not None and self.part > MORE

    def __str__(self) -> str:
        card = f"card {self.index}" if self.index is not None else f"card {self.card}"
        where = f"{self.replica} on {self.host}: computed {as_gib(self.computed_mib)}"
        if self.seen_mib is None or self.part is None:
            return f"{where}, what {card} says is unknown: {self.unknown}"
        return f"{where}, {card} says {as_gib(self.seen_mib)} ({percent(self.part)})"


def percent(part: float) -> str:
    """1.05 is +5%."""
    return f"{round((part - 1) * 100):+d}%"


def compare(replicas: Iterable[Replica], seen: Mapping[str, Seen]) -> list[CardMemory]:
    """A row for each card of each replica; what runs in main memory has none."""
    return [
        row
        for replica in replicas
        for member in replica.members
        for row in _of_member(replica, member, seen.get(member.host))
    ]


def _of_member(replica: Replica, member: Member, seen: Seen | None) -> Iterator[CardMemory]:
    count = sum(len(one.cards) for one in replica.members)
    computed = -(-replica.need_mib // max(1, count))
    for uuid in member.cards:
        facts = seen.facts if seen else None
        card = next((card for card in facts.cards if card.uuid == uuid), None) if facts else None
        amount, why = _amount(replica.id, card, facts) if facts else (None, f"{member.host} does not answer")
        yield CardMemory(
            replica=replica.id,
            host=member.host,
            card=uuid,
            index=card.index if card else None,
            computed_mib=computed,
            seen_mib=amount,
            unknown=why,
            at=seen.at if seen else 0.0,
        )


def _amount(replica: str, card: Card | None, facts: Facts) -> tuple[int | None, str]:
    """MiB and nothing, or None and why."""
    if card is None:
        return None, "it is not seen"
    there = [process for process in facts.processes if process.card == card.uuid]
    mine = [process for process in there if process.replica == replica]
    if not mine:
        return None, "the driver names no process of it"
    told = [process.used_mib for process in mine if process.used_mib is not None]
    if len(told) == len(mine):
        return sum(told), ""
    return _rest(card, there, mine)


def _rest(card: Card, there: list[CardProcess], mine: list[CardProcess]) -> tuple[int | None, str]:
    """The driver does not tell what its processes take (as under WSL): what the card has in use besides the others'."""
    others = [process.used_mib for process in there if process not in mine]
    known = [amount for amount in others if amount is not None]
    if card.used_mib is None or len(known) < len(others):
        return None, "the driver does not tell what a process takes"
    return max(0, card.used_mib - sum(known)), ""
