"""A model's section becomes what it runs: weights, image, words, context and memory."""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from hostler.engines.base import Wish
from hostler.engines.registry import engine_for, format_named
from hostler.engines.vllm import asked_part
from hostler.errors import StackFileError
from hostler.manifest.items import ImagePin, Part
from hostler.models import shapes, sizing, source
from hostler.models.registry import Registry
from hostler.models.resolve import Weights
from hostler.models.rooms import Room
from hostler.models.safetensors import Checkpoint, CheckpointError
from hostler.models.sizing import Asked, Sized
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
        where = self.where(f"models.{name}.source")
        there = _there(self.rooms, pools)
        weights = self._weights(name, model, live, there)
        engine = engine_for(model.engine, weights.format, where=where)
        in_memory = is_in_memory(model, pools, self.rooms)
        if live and model.cards is None and not there:
            in_memory = live.in_memory  # no host answers: what it was is the best that is known
        kind, sized = self._sized(name, model, weights, there, in_memory)
        wish = Wish(
            name=name,
            context=sized.context,
            slots=sized.slots,
            cache=model.cache,
            in_memory=in_memory,
            args=model.args,
            where=self.where(f"models.{name}.args"),
            where_cache=self.where(f"models.{name}.cache"),
            source=weights.source,
            kind=kind,
        )
        return Runs(
            engine=engine.name,
            image=self._pinned(model.image or engine.default_image(cards=not in_memory), live),
            weights=weights,
            argv=engine.words(wish),
            context=sized.context,
            slots=sized.slots,
            need_mib=sized.need.total(model.cards or sized.cards or 1),
            need=sized.need,
            in_memory=in_memory,
            cards=sized.cards,
            parallel=sized.parallel,
            counts=sized.counts,
        )

    def _weights(self, name: str, model: Model, live: Runs | None, there: Sequence[Room]) -> ModelSource:
        where, text = self.where(f"models.{name}.source"), model.source or ""
        parsed = source.parse(text, sha256=model.sha256 or "", folder=self.folder, where=where)
        said = source.format_of(text)
        engine_for(model.engine, said, where=where)  # what its words say is refused before anybody is asked
        form = format_named(model.engine, said, where=self.where(f"models.{name}.engine"))
        same = live and live.weights.source == str(parsed) and form in ("unknown", live.weights.format)
        if (
            live
            and same
            and model.sha256 in (None, live.weights.sha256)
            and not (there and _lacks_parts(live.weights))
        ):
            return live.weights
        return self.weights.resolve(parsed, where=where, form=form, hosts=[room.host for room in there])

    def _sized(
        self, name: str, model: Model, weights: ModelSource, rooms: Sequence[Room], in_memory: bool
    ) -> tuple[str, Sized]:
        """The model's kind, where its files tell it, and what a replica takes."""
        asked = Asked(
            context=model.context,
            cards=model.cards,
            slots=model.slots,
            cache=model.cache,
            part=self._part(name, model),
            replicas=model.replicas,
            in_memory=in_memory,
        )
        if weights.format == "gguf":
            shape = shapes.as_served(
                shapes.shape_of(weights, self.weights),
                model.engine,
                named=model.source or "",
                where=self.where(f"models.{name}.engine"),
            )
            self._not_longer(name, model, shape.trained_context)
            return "", sizing.by_layers(shape, asked, rooms)
        where = self.where(f"models.{name}.source")
        if in_memory:
            raise _no_cards(where, weights.source)
        checkpoint = sizing.with_args(self._checkpoint(weights, where), model.args)
        self._not_longer(name, model, checkpoint.trained_context)
        if why := sizing.usable(checkpoint, rooms):
            raise _unusable(where, weights.source, why)
        return checkpoint.kind, sizing.by_tensors(checkpoint, asked, rooms)

    def _pinned(self, reference: str, live: Runs | None) -> ImagePin:
        from hostler.models.registry import parse_reference

        asked = parse_reference(reference)
        if live and (live.image.name, live.image.tag) == (asked.name, asked.tag) and not asked.digest:
            return live.image
        return self.image(reference)

    def _checkpoint(self, weights: ModelSource, where: str) -> Checkpoint:
        try:
            return self.weights.read_checkpoint(weights, where=where)
        except CheckpointError as error:
            raise StackFileError.of(
                where,
                expected=f"a model that vLLM loads at {weights.source}",
                got=str(error),
                next_step="name a repository with GGUF files; their names usually end in -GGUF",
            ) from error

    def _part(self, name: str, model: Model) -> float | None:
        """Of a card, in vLLM's own word."""
        try:
            part = asked_part(model.args)
        except ValueError:
            part = 0.0
        if part is not None and not 0.05 <= part <= 1.0:
            raise StackFileError.of(
                self.where(f"models.{name}.args"),
                expected="--gpu-memory-utilization with a number from 0.05 to 1",
                got=" ".join(model.args),
                next_step="leave it out: vLLM then takes 0.92 of each card, or what others leave of it",
            )
        return part

    def _not_longer(self, name: str, model: Model, trained: int) -> None:
        if model.context and trained and model.context > trained:
            raise StackFileError.of(
                self.where(f"models.{name}.context"),
                expected=f"at most {trained} tokens, which the model was trained for",
                got=str(model.context),
                next_step=f"set context to {trained} or less, or leave it out",
            )


def _no_cards(where: str, named: str) -> StackFileError:
    return StackFileError.of(
        where,
        expected="a model in GGUF for hosts without cards, or with `cards: 0`",
        got=f"{named}: safetensors, which vLLM runs on cards",
        next_step="name a repository with GGUF files; their names usually end in -GGUF",
    )


def _unusable(where: str, named: str, why: str) -> StackFileError:
    return StackFileError.of(
        where,
        expected=f"cards that vLLM runs {named} on",
        got=why,
        next_step="name a GGUF repository of the model for llama.cpp, or another quantization"
        + (" (or --dtype half in `args`)" if why.startswith("bfloat16") else ""),
    )


def is_in_memory(model: Model, pools: Sequence[str], rooms: Sequence[Room]) -> bool:
    """Main memory: asked for by `cards: 0`, or no host of the pools that answers has a card."""
    there = _there(rooms, pools)
    return model.cards == 0 or (model.cards is None and bool(there) and not any(room.cards for room in there))


def host_paths(models: Mapping[str, Model]) -> tuple[str, ...]:
    """The absolute paths of weights that have to lie on the hosts: to be asked for by the probe."""
    texts = [model.source or "" for model in models.values()]
    paths = [str(source.parse(text)) for text in texts if text.startswith("/")]
    return tuple(sorted({path for named in paths for path in with_folder(named)}))


def _lacks_parts(weights: ModelSource) -> bool:
    """Resolved by a Hostler that took the first part of a split file for all of it."""
    files = [source.RepoFile(file.file, file.size) for file in weights.files]
    return weights.local and not source.is_whole(files)


def with_folder(path: str) -> tuple[str, ...]:
    """What of an absolute path is to be asked for: of a split file the folder too, which holds its other parts."""
    return (path, posixpath.dirname(path)) if source.is_split(path) else (path,)


def _there(rooms: Sequence[Room], pools: Sequence[str]) -> list[Room]:
    return [room for room in rooms if room.pool in pools and not room.gone]
