"""Engines by name and by the source's format."""

from __future__ import annotations

from typing import Literal

from hostler.engines.base import Engine
from hostler.engines.embeddings import LlamaEmbeddings
from hostler.engines.llama_cpp import LlamaCpp
from hostler.engines.vllm import Vllm
from hostler.errors import StackFileError

Format = Literal["gguf", "safetensors", "unknown"]

BUILT: dict[str, Engine] = {engine.name: engine for engine in (LlamaCpp(), Vllm(), LlamaEmbeddings())}
LATER = ("images", "container")


def by_name(name: str, *, where: str = "engine") -> Engine:
    """Raises StackFileError for what is not built yet or not known."""
    if name in BUILT:
        return BUILT[name]
    raise StackFileError.of(
        where,
        expected=f"one of {', '.join(BUILT)}",
        got=f"{name}: not built yet" if name in LATER else repr(name),
        next_step="name one of these, or leave `engine` out: the source's format decides",
    )


def format_named(name: str | None, said: Format, *, where: str = "engine") -> Format:
    """The format that an engine of that name reads, where it is named; else what the source's words say."""
    if name is None or said != "unknown":
        return said
    reads = by_name(name, where=where).formats
    return "gguf" if "gguf" in reads else "safetensors" if "safetensors" in reads else "unknown"


def engine_for(name: str | None, form: Format, *, where: str = "engine") -> Engine:
    """The engine that the stack file names, else the one for the format; a named one must read it."""
    if name is None:
        return next(engine for engine in BUILT.values() if form in engine.formats or form == "unknown")
    engine = by_name(name, where=where)
    if form != "unknown" and form not in engine.formats:
        raise StackFileError.of(
            where,
            expected=f"a source that {name} reads ({', '.join(sorted(engine.formats))})",
            got=form,
            next_step="name another source, or leave `engine` out: the source's format decides",
        )
    return engine
