"""What every engine answers: its image, its words, and the signals it gives. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, Protocol

from hostler.errors import StackFileError

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
    where_cache: str = "cache"  # and of its cache
    source: str = ""  # as the stack file says; its words tell the model's family
    kind: str = ""  # model_type of config.json, where there is one


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Where one replica runs: the path of the weights' first file inside the container, its loopback port, how
    many cards. `card_mib`: memory of the smallest of them, 0 unknown; `each_mib`: what it takes of each; `bridged`:
    NVLink between every two of them."""

    model_path: str
    port: int
    cards: int = 0
    card_mib: int = 0
    each_mib: int = 0
    bridged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What an engine's container has besides its words. `writable`: folders of the host that stay, owned by the
    account; `stop_s`: seconds between its signal and its end; `load_s`: of a start, whatever the weights' size."""

    env: tuple[tuple[str, str], ...] = ()
    shm_mib: int = 64
    writable: tuple[str, ...] = ()
    stop_s: int = 30
    load_s: int = 120


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
    @property
    def keep_alive(self) -> bool:
        """Whether a connection can be used again after a streamed answer."""
        ...

    def default_image(self, cards: bool) -> str: ...
    def words(self, wish: Wish) -> Argv: ...
    def command(self, words: Argv, seat: Seat) -> Argv: ...
    def body(self, seat: Seat) -> Body: ...


def refuse_reserved(wish: Wish, reserved: Mapping[str, str], program: str) -> None:
    """All words of the user's that are decided elsewhere, each with the key that does the same. `reserved`: flag ->
    what to write instead. Raises StackFileError."""
    found = [word for word in wish.args if word.partition("=")[0] in reserved]
    if found:
        raise StackFileError.of(
            wish.where,
            expected=f"words of {program} that are not decided elsewhere",
            got=" ".join(found),
            next_step="; ".join(f"for {word} use {reserved[word.partition('=')[0]]}" for word in found),
        )


def driver_need(engine: Engine, image: str, tag: str, card: str) -> DriverNeed | None:
    """What an image asks of the driver of a card, by the card's name; None where that is not known. The first entry
    that fits counts."""
    for need in engine.drivers:
        if image.endswith("/" + need.image) and fnmatchcase(tag, need.tags) and need.cards in card:
            return need
    return None
