"""Chat models to begin with, and the choice among them for the cards that are there. Pure.

Sizes are those of the single Q4_K_M file; the exact need is read from its header when it is resolved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hostler.hosts.types import Card
from hostler.models.memory import CUDA_CONTEXT, DEFAULT_CONTEXT, MIB, SPREAD, as_gib, cards_needed
from hostler.models.types import Need

SLOW_IN_MEMORY_GIB = 3.0  # a larger model answers too slowly without a card


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`size_gib` of the file, `cache_kib` of keys and values a token at f16, `layers` of the model."""

    title: str
    repo: str
    size_gib: float
    cache_kib: int
    layers: int
    vocabulary: int
    note: str
    quantization: str = "Q4_K_M"

    @property
    def source(self) -> str:
        return f"hf:{self.repo}:{self.quantization}"

    def need(self, *, in_memory: bool = False, context: int = DEFAULT_CONTEXT) -> Need:
        divided = self.size_gib * 2**30 + self.cache_kib * 1024 * context
        compute = 512 * (self.vocabulary + 4096) * 4
        return Need(
            divided_mib=int(divided / MIB) + 1,
            card_mib=int((compute + (0 if in_memory else CUDA_CONTEXT)) / MIB) + 1,
            spread_mib=int((SPREAD + divided / self.layers) / MIB) + 1,
        )


# the best first
CATALOGUE = (
    Entry(title="Llama 3.3 70B", repo="bartowski/Llama-3.3-70B-Instruct-GGUF", size_gib=39.6, cache_kib=320,
          layers=80, vocabulary=128256, note="the strongest here, on two cards of 24 GiB"),
    Entry(title="Qwen2.5 32B", repo="bartowski/Qwen2.5-32B-Instruct-GGUF", size_gib=18.5, cache_kib=256,
          layers=64, vocabulary=152064, note="strong at code and reasoning"),
    Entry(title="Mistral Small 24B", repo="bartowski/Mistral-Small-24B-Instruct-2501-GGUF", size_gib=13.35,
          cache_kib=160, layers=40, vocabulary=131072, note="quick for its strength"),
    Entry(title="Qwen2.5 14B", repo="bartowski/Qwen2.5-14B-Instruct-GGUF", size_gib=8.37, cache_kib=192,
          layers=48, vocabulary=152064, note="good at code"),
    Entry(title="Llama 3.1 8B", repo="bartowski/Meta-Llama-3.1-8B-Instruct-GGUF", size_gib=4.58, cache_kib=128,
          layers=32, vocabulary=128256, note="a good all-rounder"),
    Entry(title="Llama 3.2 3B", repo="bartowski/Llama-3.2-3B-Instruct-GGUF", size_gib=1.88, cache_kib=112,
          layers=28, vocabulary=128256, note="small and quick"),
    Entry(title="Qwen2.5 1.5B", repo="bartowski/Qwen2.5-1.5B-Instruct-GGUF", size_gib=0.92, cache_kib=28,
          layers=28, vocabulary=151936, note="for a processor without cards"),
    Entry(title="SmolLM2 135M", repo="HuggingFaceTB/SmolLM2-135M-Instruct-GGUF", size_gib=0.09, cache_kib=23,
          layers=30, vocabulary=49152, note="tiny: to try the whole way", quantization="Q4_1"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """An entry that was not chosen, and why."""

    entry: Entry
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    entry: Entry
    cards: int  # 0: main memory
    why: str
    considered: tuple[Considered, ...] = ()


def propose(
    hosts: Sequence[Sequence[Card]], memory_mib: int = 0, *, catalogue: Sequence[Entry] = CATALOGUE
) -> Choice | None:
    """The best model that one of the hosts holds with 8k of context; `hosts` has each one's cards,
    `memory_mib` the most main memory of any. None: not even the smallest fits."""
    free = [[card.memory_mib - (card.used_mib or 0) for card in cards] for cards in hosts if cards]
    in_memory = not free
    considered: list[Considered] = []
    for entry in catalogue:
        need = entry.need(in_memory=in_memory)
        reason, cards = _fit(need, free) if free else _fit_memory(entry, need, memory_mib)
        if not reason:
            return Choice(
                entry=entry, cards=cards, why=_why(entry, need, cards), considered=tuple(considered)
            )
        considered.append(Considered(entry=entry, reason=reason))
    return None


def _fit(need: Need, free: Sequence[Sequence[int]]) -> tuple[str, int]:
    counts = [count for cards in free if (count := cards_needed(need, cards))]
    if counts:
        return "", min(counts)
    most = max(len(cards) for cards in free)
    return f"needs {as_gib(need.total(1))} on one card, or {as_gib(need.per_card(most))} on each of {most}", 0


def _fit_memory(entry: Entry, need: Need, memory_mib: int) -> tuple[str, int]:
    if entry.size_gib > SLOW_IN_MEMORY_GIB:
        return "too slow without a card", 0
    lacking = need.per_card(0) > memory_mib
    return (f"needs {as_gib(need.per_card(0))} of main memory" if lacking else ""), 0


def _why(entry: Entry, need: Need, cards: int) -> str:
    place = "in main memory" if cards == 0 else "on one card" if cards == 1 else f"on {cards} cards"
    return f"{entry.title}, {entry.note}: {as_gib(need.total(cards))} with 8k of context, {place}"
