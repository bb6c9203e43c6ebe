"""Which models of the catalogue to begin with on the hosts that are there: what placement really places. Pure.

The uses that are asked for come first, each with the best model with which all of them still fit; then what fits
beside them; then longer contexts, while everything still has its place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from hostler.models import memory
from hostler.models.bandwidth import speed
from hostler.models.imagined import DRIVER_MIB
from hostler.models.memory import as_gib
from hostler.models.rooms import CardRoom, Room
from hostler.models.types import Need, Placement, Wanted
from hostler.placement.place import place
from hostler.proposal.catalogue import USES, Entry, Use, entries

POOL = "home"
CONTEXTS = (16384, 32768)  # tokens, tried one after the other
SPEED_CONTEXT = 8192  # tokens that came before, where the speed is told
# main memory answers too slowly where a token reads more bytes: it gives some 40 GB a second, a processor takes 6 of them
SLOW_IN_MEMORY, SLOW_EACH = 3 * 2**30, 3 * 2**28
BESIDE_GB = 4.0  # a smaller model for code is no help beside one for chat
SPARE_DISK = 10 * 2**30  # for images, and for what else is on the host


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """What there is. `disk`: free bytes by host; `processors`: of the host that has the most."""

    rooms: tuple[Room, ...]
    disk: Mapping[str, int] = field(default_factory=dict[str, int])
    processors: int = 1

    @property
    def with_cards(self) -> bool:
        return any(room.cards for room in self.rooms if not room.gone)

    def slow(self, entry: Entry) -> bool:
        """In main memory."""
        return entry.shape.active > min(SLOW_IN_MEMORY, self.processors * SLOW_EACH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """A model of the file. `aside`: `cards: 0` has to be said, main memory beside hosts' cards."""

    entry: Entry
    context: int
    in_memory: bool
    aside: bool = False
    replicas: int = 1

    @property
    def need(self) -> Need:
        return memory.need(self.entry.shape, context=self.context, in_memory=self.in_memory)

    def wanted(self) -> Wanted:
        cards = 0 if self.aside else None
        return Wanted(
            model=self.entry.use,
            pool=(POOL,),
            replicas=self.replicas,
            need=self.need,
            cards=cards,
            in_memory=self.in_memory,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where a pick would run. `mib` of each card, or of main memory; `tokens_s` None: not known; `again`: there is
    room for a second one."""

    pick: Pick
    host: str
    cards: int
    mib: int
    tokens_s: float | None = None
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """`stands` in the order of the uses; `lacking`: a use that has no model, and why not."""

    stands: tuple[Stand, ...]
    lacking: Mapping[Use, str] = field(default_factory=dict[Use, str])

    @property
    def picks(self) -> tuple[Pick, ...]:
        return tuple(stand.pick for stand in self.stands)


def machines(rooms: Sequence[Room], disk: Mapping[str, int], processors: int) -> Machines:
    """Cards without what the driver keeps of each."""
    return Machines(
        rooms=tuple(
            replace(room, cards=tuple(_without_driver(card) for card in room.cards)) for room in rooms
        ),
        disk=disk,
        processors=processors,
    )


def _without_driver(card: CardRoom) -> CardRoom:
    return replace(card, free_mib=min(card.free_mib, max(0, card.memory_mib - DRIVER_MIB)))


def choose(there: Machines, uses: Sequence[Use] = (), *, beside: bool = True) -> Choice:
    """`uses`: those that are asked for, chat if none; `beside`: further ones where there is room."""
    asked: list[Use] = [use for use in USES if use in (uses or ("chat",))]
    picks = _together(there, asked)
    lacking: dict[Use, str] = {use: _why_not(there, use, picks) for use in asked if not _has(picks, use)}
    # in main memory one model for chat writes the code, too
    others: tuple[Use, ...] = ("embeddings", "code") if there.with_cards else ("embeddings",)
    further: list[Use] = [use for use in others if beside and picks and use not in asked]
    for use in further:
        found = next((pick for pick in _ways(there, use, beside=True) if fits([*picks, pick], there)), None)
        if found:
            picks.append(found)
    picks = _longer(picks, there)
    stands = {stand.pick.entry.use: stand for stand in _stands(picks, there)}
    return Choice(stands=tuple(stands[use] for use in USES if use in stands), lacking=lacking)


def fits(picks: Sequence[Pick], there: Machines) -> Placement | None:
    """Where all of them have room, on cards or in memory and on the disks."""
    placed = place([pick.wanted() for pick in picks], there.rooms)
    if placed.missing:
        return None
    sizes = {pick.entry.use: pick.entry.size for pick in picks}
    full: Counter[str] = Counter()
    for replica in placed.replicas:
        full[replica.members[0].host] += next(size for use, size in sizes.items() if use == replica.model)
    enough = all(size + SPARE_DISK <= there.disk.get(host, size + SPARE_DISK) for host, size in full.items())
    return placed if enough else None


def _together(there: Machines, asked: Sequence[Use]) -> list[Pick]:
    """The best for each with which all fit: the worst of them as good as it can be. Without the last use
    that is asked for where there is no way."""
    for count in range(len(asked), 0, -1):
        ways = [list(enumerate(_ways(there, use))) for use in asked[:count]]
        combinations = sorted(product(*ways), key=lambda some: _badness([rank for rank, _ in some]))
        for some in combinations:
            picks = [pick for _, pick in some]
            if fits(picks, there):
                return picks
    return []


def _badness(ranks: Sequence[int]) -> tuple[int, int, tuple[int, ...]]:
    return max(ranks), sum(ranks), tuple(ranks)


def _ways(there: Machines, use: Use, *, beside: bool = False) -> Iterator[Pick]:
    """All that may be tried for a use, the best first."""
    for entry in entries(use):
        if beside and use == "code" and entry.size_gb < BESIDE_GB:
            continue
        if there.with_cards or not there.slow(entry):
            yield Pick(entry=entry, context=entry.context, in_memory=not there.with_cards)
    if there.with_cards and use == "embeddings":
        for entry in entries(use):
            yield Pick(entry=entry, context=entry.context, in_memory=True, aside=True)


def _longer(picks: Sequence[Pick], there: Machines) -> list[Pick]:
    """Longer contexts, one use after the other, while all still fit."""
    found = list(picks)
    for at, pick in enumerate(picks):
        for context in CONTEXTS:
            tried = [*found[:at], replace(pick, context=context), *found[at + 1 :]]
            if pick.entry.use == "embeddings" or context > pick.entry.trained or not fits(tried, there):
                break
            found = tried
    return found


def _stands(picks: Sequence[Pick], there: Machines) -> Iterator[Stand]:
    placed = fits(picks, there)
    names = {card.uuid: card.name for room in there.rooms for card in room.cards}
    for at, pick in enumerate(picks):
        replica = next(one for one in placed.replicas if one.model == pick.entry.use) if placed else None
        if replica:
            member = replica.members[0]
            cards = [names[uuid] for uuid in member.cards]
            yield Stand(
                pick=pick,
                host=member.host,
                cards=len(cards),
                mib=pick.need.per_card(len(cards)),
                tokens_s=_speed(pick, cards),
                again=fits([*picks[:at], replace(pick, replicas=2), *picks[at + 1 :]], there) is not None,
            )


def _speed(pick: Pick, cards: Sequence[str]) -> float | None:
    if not cards or pick.entry.use == "embeddings":
        return None
    shape = pick.entry.shape
    return speed(cards, shape.active, shape.cache(min(pick.context, SPEED_CONTEXT), "f16"))


def _has(picks: Sequence[Pick], use: Use) -> bool:
    return any(pick.entry.use == use for pick in picks)


def _why_not(there: Machines, use: Use, picks: Sequence[Pick]) -> str:
    last = list(_ways(there, use))[-1]
    beside = f" beside {' and '.join(pick.entry.title for pick in picks)}" if picks else ""
    return f"{last.entry.title} needs {as_gib(last.need.per_card(0))}, which is not free{beside}"


def larger(pick: Pick, there: Machines) -> tuple[Entry, str] | None:
    """The next better model for the use, and why it is not the one; None: there is none."""
    better = entries(pick.entry.use)[: entries(pick.entry.use).index(pick.entry)]
    if not better:
        return None
    entry = better[-1]
    if pick.in_memory and not pick.aside and there.slow(entry):
        return entry, "is too slow without a card"
    return entry, f"needs {_amount(entry, there)}"


def _amount(entry: Entry, there: Machines) -> str:
    """On one card, and on all of the largest host where that is less of each."""
    in_memory = not there.with_cards
    need = memory.need(entry.shape, context=entry.context, in_memory=in_memory)
    if in_memory:
        return f"{as_gib(need.per_card(0))} of main memory"
    most = max(len(room.cards) for room in there.rooms)
    several = f", or {as_gib(need.per_card(most))} of each of {most}" if most > 1 else ""
    return f"{as_gib(need.per_card(1))} of one card{several}"
