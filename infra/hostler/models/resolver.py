"""A model's section becomes what it runs: weights, image, words, context and memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from hostler.engines.base import Engine, Wish
from hostler.engines.registry import engine_for
from hostler.errors import StackFileError
from hostler.manifest.items import ImagePin, Part
from hostler.models import memory, source
from hostler.models.gguf import GgufError, Read, read_header
from hostler.models.memory import Shape
from hostler.models.registry import Registry
from hostler.models.resolve import Weights
from hostler.models.rooms import Room
from hostler.models.types import ModelSource, Runs
from hostler.stackfile.sections import Model


def _plain(path: str) -> str:
    return path


class Resolver:
    """Asks hubs and registries. `where` turns models.chat.source into file:line:column of it
    (StackFile.where); `folder` is the stack file's. Safe to use from several threads."""

    def __init__(
        self,
        rooms: Sequence[Room],
        *,
        weights: Weights | None = None,
        registry: Registry | None = None,
        where: Callable[[str], str] = _plain,
        folder: str = "/",
    ) -> None:
        self.rooms, self.where, self.folder = rooms, where, folder
        self.weights, self.registry = weights or Weights(), registry or Registry()
        self._images: dict[str, Future[ImagePin]] = {}
        self._lock = threading.Lock()

    def image(self, reference: str, part: Part = Part.ENGINE) -> ImagePin:
        """Each reference is asked for once. Raises StackFileError or UnreachableError."""
        with self._lock:
            first = reference not in self._images
            future = self._images.setdefault(reference, Future())
        if first:
            try:
                future.set_result(self.registry.resolve(reference))
            except BaseException as error:
                future.set_exception(error)
                raise
        pin = future.result()
        return ImagePin(name=pin.name, tag=pin.tag, digest=pin.digest, part=part)

    def model(self, name: str, model: Model, pools: Sequence[str], live: Runs | None = None) -> Runs:
        """What the section means now. `pools`: where it may run; `live`: what it runs so far, whose
        weights and image stay where the section still names the same."""
        text, where = model.source or "", self.where(f"models.{name}.source")
        engine = engine_for(model.engine, source.format_of(text), where=where)
        in_memory = is_in_memory(model, pools, self.rooms)
        if live and model.cards is None and not _there(self.rooms, pools):
            in_memory = live.in_memory  # no host answers: what it was is the best that is known
        weights = self._weights(text, model, where, live)
        shape = self._shape(weights)
        context = self._context(name, model, shape, pools, in_memory)
        need = memory.need(shape, context=context, slots=model.slots, cache=model.cache, in_memory=in_memory)
        return Runs(
            engine=engine.name,
            image=self._pinned(model.image or engine.default_image(cards=not in_memory), live),
            weights=weights,
            argv=self._words(name, model, engine, context, in_memory),
            context=context,
            slots=model.slots,
            need_mib=need.total(model.cards or 1),
            need=need,
            in_memory=in_memory,
        )

    def _weights(self, text: str, model: Model, where: str, live: Runs | None) -> ModelSource:
        parsed = source.parse(text, sha256=model.sha256 or "", folder=self.folder, where=where)
        if live and live.weights.source == str(parsed) and model.sha256 in (None, live.weights.sha256):
            return live.weights
        return self.weights.resolve(parsed, where=where)

    def _pinned(self, reference: str, live: Runs | None) -> ImagePin:
        from hostler.models.registry import parse_reference

        asked = parse_reference(reference)
        if live and (live.image.name, live.image.tag) == (asked.name, asked.tag) and not asked.digest:
            return live.image
        return self.image(reference)

    def _shape(self, weights: ModelSource) -> Shape:
        try:
            return memory.shape_of(read_header(self._reader(weights), weights.size))
        except GgufError as error:
            return memory.shape_from_size(weights.size, str(error))

    def _reader(self, weights: ModelSource) -> Read:
        if not weights.local:
            return self.weights.reader(weights)
        return _file_reader(Path(weights.url.removeprefix("file:")), weights.size)

    def _context(self, name: str, model: Model, shape: Shape, pools: Sequence[str], in_memory: bool) -> int:
        if model.context is None:
            hosts = _free(self.rooms, pools, in_memory)
            return memory.fitting_context(
                shape, hosts, cards=model.cards, slots=model.slots, cache=model.cache, in_memory=in_memory
            )
        if shape.trained_context and model.context > shape.trained_context:
            raise StackFileError.of(
                self.where(f"models.{name}.context"),
                expected=f"at most {shape.trained_context} tokens, which the model was trained for",
                got=str(model.context),
                next_step=f"set context to {shape.trained_context} or less, or leave it out",
            )
        return model.context

    def _words(
        self, name: str, model: Model, engine: Engine, context: int, in_memory: bool
    ) -> tuple[str, ...]:
        return engine.words(
            Wish(
                name=name,
                context=context,
                slots=model.slots,
                cache=model.cache,
                in_memory=in_memory,
                args=model.args,
                where=self.where(f"models.{name}.args"),
            )
        )


def is_in_memory(model: Model, pools: Sequence[str], rooms: Sequence[Room]) -> bool:
    """Main memory: asked for by `cards: 0`, or no host of the pools that answers has a card."""
    there = _there(rooms, pools)
    return model.cards == 0 or (model.cards is None and bool(there) and not any(room.cards for room in there))


def host_paths(models: Mapping[str, Model], folder: str) -> tuple[str, ...]:
    """The absolute paths of weights that have to lie on the hosts: to be asked for by the probe."""
    texts = [model.source or "" for model in models.values()]
    parsed = [source.parse(text, folder=folder) for text in texts if text.startswith(("/", "."))]
    return tuple(sorted({str(one) for one in parsed}))


def _there(rooms: Sequence[Room], pools: Sequence[str]) -> list[Room]:
    return [room for room in rooms if room.pool in pools and not room.gone]


def _free(rooms: Sequence[Room], pools: Sequence[str], in_memory: bool) -> list[list[int]]:
    there = _there(rooms, pools)
    return [[room.memory_mib] for room in there] if in_memory else [room.free for room in there if room.cards]


def _file_reader(path: Path, size: int) -> Read:
    """The operator's own machine may be the host; the same path with the same size is that file."""

    def read(offset: int, count: int) -> bytes:
        try:
            if path.stat().st_size != size:
                raise GgufError("the file is on the host")
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(count)
        except OSError as error:
            raise GgufError("the file is on the host") from error

    return read
