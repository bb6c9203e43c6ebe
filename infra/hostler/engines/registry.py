"""Engines by name and by the source's format."""

from __future__ import annotations

from hostler.engines.base import Engine
from hostler.engines.embeddings import LlamaEmbeddings
from hostler.engines.llama_cpp import LlamaCpp
from hostler.errors import StackFileError

BUILT: dict[str, Engine] = {engine.name: engine for engine in (LlamaCpp(), LlamaEmbeddings())}
LATER = {
    "vllm": "safetensors",
    "images": "",
    "container": "",
}  # name -> format it would read


def by_name(name: str, *, where: str = "engine") -> Engine:
    """Raises StackFileError for what is not built yet or not known."""
    if name in BUILT:
        return BUILT[name]
    raise StackFileError.of(
        where,
        expected=f"one of {', '.join(BUILT)}",
        got=f"{name}: not built yet" if name in LATER else repr(name),
        next_step="name a GGUF source and `engine: llama.cpp`, or leave `engine` out",
    )


def by_format(kind: str, *, where: str = "source") -> Engine:
    """The engine for `gguf`, `safetensors` or `unknown` (a look at the source decides later)."""
    for engine in BUILT.values():
        if kind in engine.formats or kind == "unknown":
            return engine
    name = next((name for name, reads in LATER.items() if reads == kind), kind)
    return by_name(name, where=where)


def engine_for(name: str | None, kind: str, *, where: str = "engine") -> Engine:
    """The engine that the stack file names, else the one for the format; a named one must read it."""
    if name is None:
        return by_format(kind, where=where)
    engine = by_name(name, where=where)
    if kind != "unknown" and kind not in engine.formats:
        raise StackFileError.of(
            where,
            expected=f"a source that {name} reads ({', '.join(sorted(engine.formats))})",
            got=kind,
            next_step="name a GGUF repository; their names usually end in -GGUF",
        )
    return engine
