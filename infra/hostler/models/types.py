"""Releases, replicas and where they stand. Pure values; the record keeps them as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hostler.manifest.items import ImagePin


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """A file of a model. `size` in bytes; `sha256` empty: unknown until it is downloaded."""

    url: str
    file: str
    size: int
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A resolved source, by content: its first file of weights, and what lies beside it (`more`: further
    parts of a split GGUF, or all that a checkpoint of safetensors needs)."""

    source: str  # as the stack file says
    url: str
    file: str  # its name
    size: int
    sha256: str  # empty: unknown until it is downloaded
    revision: str = ""  # commit id of the hub
    secret: str = ""
    local: bool = False  # a path on the host
    folder: bool = False  # of the operator's machine: the source is a folder, whatever its name
    more: tuple[WeightsFile, ...] = ()
    format: Literal["gguf", "safetensors"] = "gguf"

    @property
    def files(self) -> tuple[WeightsFile, ...]:
        """All of them, the first one first."""
        first = WeightsFile(url=self.url, file=self.file, size=self.size, sha256=self.sha256)
        return first, *self.more

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return self.size + sum(file.size for file in self.more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Memory of one replica in MiB: what is divided among its cards (weights, key-value cache), what
    each card costs besides (compute buffer, CUDA context), and what each of several costs more."""

    divided_mib: int
    card_mib: int
    spread_mib: int = 0
    how: str = "header"  # or `estimated: ` and why the header could not be read
    # where it is known how it divides: MiB on the fullest of 2, 3, ... cards, without card_mib
    fullest_mib: tuple[int, ...] = ()

    def per_card(self, cards: int) -> int:
        """MiB on each of so many cards; 0 cards: main memory."""
        if cards <= 1:
            return self.divided_mib + self.card_mib
        if cards - 2 < len(self.fullest_mib):
            return self.fullest_mib[cards - 2] + self.card_mib
        return -(-self.divided_mib // cards) + self.card_mib + self.spread_mib

    def total(self, cards: int) -> int:
        return self.per_card(cards) * max(1, cards)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What a model runs: everything by digest. Also the size of a replica, so that a plan needs no network."""

    engine: str
    image: ImagePin
    weights: ModelSource
    argv: tuple[str, ...]  # the engine's words without model path, port and cards
    context: int
    slots: int
    need_mib: int  # card memory a replica needs in all; main memory on a host without cards
    need: Need | None = None  # the same in its parts, so that placement can divide it among cards
    in_memory: bool = False  # served from main memory: no host of its pools has cards, or it asks for none
    cards: int = 0  # how many a replica takes where its engine had to decide that; 0: placement does
    parallel: Literal["layers", "tensor"] = "layers"
    counts: tuple[int, ...] = ()  # of cards that it can be divided among; none: any


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedModel:
    asked: str  # digest of the model's section in the stack file
    runs: Runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The exact versions that a stack runs: numbered, immutable once ended."""

    number: int
    models: Mapping[str, ReleasedModel]
    parts: Mapping[str, ImagePin]  # gateway, edge
    who: str = ""
    when: float = 0.0
    why: str = ""
    ended: str = ""  # good, failed: reason, empty while it is being applied


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    host: str
    cards: tuple[str, ...]  # UUIDs; none on a host without cards
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One engine on certain cards. `id` is <model as a word>-<n>, stable over releases."""

    id: str
    model: str
    members: tuple[Member, ...]
    need_mib: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A model that wants replicas. `cards` None: as few as hold it; `in_memory`: main memory, no cards.

    `parallel`: how several cards share a replica; `counts`: the numbers of cards that it can be divided among
    (tensor parallel divides attention heads evenly), empty: any."""

    model: str
    pool: tuple[str, ...]
    replicas: int
    need: Need
    cards: int | None = None
    in_memory: bool = False
    parallel: Literal["layers", "tensor"] = "layers"
    counts: tuple[int, ...] = ()

    def possible(self, cards: int) -> list[int]:
        """Numbers of cards that it may take on a host with so many, the least first."""
        asked = range(1, cards + 1) if self.cards is None else (self.cards,)
        return [count for count in asked if count <= cards and (not self.counts or count in self.counts)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Why a host or a card was not taken."""

    replica: str
    where: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    replicas: tuple[Replica, ...]
    rejected: tuple[Rejected, ...] = ()
    missing: tuple[str, ...] = ()  # replicas that fit nowhere
    moved: tuple[str, ...] = field(default=())
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])  # by replica: why there
