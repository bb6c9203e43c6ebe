"""Cards that are common, and the tokens a second that their memory allows. Pure.

One request at a time is bound by memory: each token reads all weights that take part in it, and the
cache of what came before, once (the memory roof of the roofline model: Williams, Waterman, Patterson,
2009). So tokens a second = part * bandwidth / bytes read. Engines reach 0.6 to 0.7 of the data sheet's
bandwidth: llama-bench gives a 7B in Q4_0 (3.56 GiB) about 160 tokens a second on a 3090. Small models on the quickest cards stay
below it, where the time to start each kernel counts too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

PART = 0.65  # of the bandwidth
PART_TOGETHER = 0.5  # tensor parallel: cards wait for each other in each layer


@dataclass(frozen=True, slots=True)
class CardKind:
    """`gigabytes_s`: bandwidth in 10^9 bytes a second, from the maker's data sheet; memory in MiB as
    nvidia-smi counts it; compute capability."""

    name: str
    gigabytes_s: int
    memory_mib: int
    compute: str


CARDS = (
    CardKind("RTX 3060", 360, 12288, "8.6"),
    CardKind("RTX 3080", 760, 10240, "8.6"),
    CardKind("RTX 3090", 936, 24576, "8.6"),
    CardKind("RTX 3090 Ti", 1008, 24564, "8.6"),
    CardKind("RTX 4060 Ti", 288, 16380, "8.9"),
    CardKind("RTX 4070 Ti SUPER", 672, 16376, "8.9"),
    CardKind("RTX 4080", 717, 16376, "8.9"),
    CardKind("RTX 4080 SUPER", 736, 16376, "8.9"),
    CardKind("RTX 4090", 1008, 24564, "8.9"),
    CardKind("RTX 5070 Ti", 896, 16303, "12.0"),
    CardKind("RTX 5080", 960, 16303, "12.0"),
    CardKind("RTX 5090", 1792, 32607, "12.0"),
    CardKind("Tesla P40", 347, 24576, "6.1"),
    CardKind("Tesla T4", 320, 15360, "7.5"),
    CardKind("Tesla V100 16GB", 900, 16384, "7.0"),
    CardKind("Tesla V100 32GB", 900, 32768, "7.0"),
    CardKind("RTX A4000", 448, 16376, "8.6"),
    CardKind("RTX A5000", 768, 24564, "8.6"),
    CardKind("RTX A6000", 768, 49140, "8.6"),
    CardKind("RTX 6000 Ada", 960, 49140, "8.9"),
    CardKind("RTX PRO 6000", 1792, 97887, "12.0"),
    CardKind("A10", 600, 23028, "8.6"),
    CardKind("A10G", 600, 23028, "8.6"),
    CardKind("A40", 696, 46068, "8.6"),
    CardKind("L4", 300, 23034, "8.9"),
    CardKind("L40S", 864, 46068, "8.9"),
    CardKind("A100 40GB", 1555, 40960, "8.0"),
    CardKind("A100 80GB PCIe", 1935, 81920, "8.0"),
    CardKind("A100 80GB", 2039, 81920, "8.0"),
    CardKind("H100 PCIe", 2000, 81559, "9.0"),
    CardKind("H100", 3350, 81559, "9.0"),
    CardKind("H200", 4800, 143771, "9.0"),
)
_NOISE = re.compile(
    r"nvidia|geforce|tesla|rtx|generation|sxm\d?|hbm\d?e?|blackwell|workstation|server|edition"
)
_OPTIONAL = re.compile(r"\d+gb|pcie")


def card_named(name: str) -> CardKind | None:
    """The card that nvidia-smi, or a person, calls so; None: not in the table. A suffix (Ti, SUPER,
    Laptop) makes it another card."""
    asked = _words(name)
    fitting = [card for card in CARDS if _words(card.name) <= asked]
    best = max(fitting, key=lambda card: len(_words(card.name)), default=None)
    if best is None:
        return None
    return best if all(_OPTIONAL.fullmatch(word) for word in asked - _words(best.name)) else None


def _words(name: str) -> frozenset[str]:
    words = re.findall(r"[a-z0-9]+", name.lower().replace("rtx", "rtx "))
    return frozenset(word for word in words if not _NOISE.fullmatch(word))


def speed(
    names: Sequence[str], weights: float, cache: float, *, together: bool = False, parts: Sequence[float] = ()
) -> float | None:
    """Tokens a second of one request that reads so many bytes of weights and of cache a token, on cards
    that take turns layer by layer, each with its part (equal ones if not given), or work `together` on
    each. None: a card's bandwidth is not known."""
    cards = [card_named(name) for name in names]
    rates = [card.gigabytes_s * 1e9 for card in cards if card]
    if not rates or len(rates) < len(cards):
        return None
    read = max(1.0, weights + cache)
    if together and len(rates) > 1:
        return PART_TOGETHER * min(rates) * len(rates) / read
    shares = parts or (1 / len(rates),) * len(rates)
    return PART / sum(share * read / rate for share, rate in zip(shares, rates, strict=True))
