"""What every engine answers: its image, its words, and the signals it gives. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, Protocol

Argv = tuple[str, ...]
Capability = Literal["chat", "stream", "tools", "embeddings", "images", "sleep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the stack file asks of an engine, defaults filled in. `context` in tokens a request."""

    name: str  # what clients ask for
    context: int
    slots: int = 1
    cache: str = "f16"
    in_memory: bool = False  # no cards
    args: Argv = ()
    where: str = "args"  # for errors: file:line:column of the model's args


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Where one replica runs: the weights' path inside the container, its loopback port, how many cards."""

    model_path: str
    port: int
    cards: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """Names of the samples on `path` that tell load and progress; empty: the engine has none."""

    path: str = "/metrics"
    running: str = ""
    waiting: str = ""
    tokens: tuple[str, ...] = ()  # counters; their sum grows with work done


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextAnswer:
    """Where the context that was really loaded is read back: keys into the JSON of `path`."""

    path: str
    context: tuple[str, ...]
    slots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverNeed:
    """Published images that need a driver: name without its registry, pattern of the tag, the CUDA inside, and the
    oldest of NVIDIA's drivers that runs it. `cards`: a word in the names of the cards that it is true of."""

    image: str
    tags: str
    cuda: str
    least: tuple[int, ...]
    cards: str = ""


class Engine(Protocol):
    """One way to serve weights. `words` is kept in a release, `command` adds what placement decides."""

    @property
    def name(self) -> str: ...
    @property
    def formats(self) -> frozenset[str]: ...
    @property
    def health(self) -> str: ...
    @property
    def signals(self) -> Signals: ...
    @property
    def loaded(self) -> ContextAnswer: ...
    @property
    def capabilities(self) -> frozenset[Capability]: ...
    @property
    def drivers(self) -> tuple[DriverNeed, ...]: ...

    def default_image(self, cards: bool) -> str: ...
    def words(self, wish: Wish) -> Argv: ...
    def command(self, words: Argv, seat: Seat) -> Argv: ...


def driver_need(engine: Engine, image: str, tag: str, card: str) -> DriverNeed | None:
    """What an image asks of the driver of a card, by the card's name; None where that is not known. The first entry
    that fits counts."""
    for need in engine.drivers:
        if image.endswith("/" + need.image) and fnmatchcase(tag, need.tags) and need.cards in card:
            return need
    return None
