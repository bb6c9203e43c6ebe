"""The commented sample with every key; made from the sections' types.

Prose is `# text` at its key's indentation; a key that is not needed is commented out by a `#` in
the first column, so that taking just that character away makes it true.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from .notes import join
from .schema import summary
from .sections import Stack
from .shapes import Either, Flag, Key, Many, Section, Table, Words, keys_of
from .yamlwords import default_text

_NAMES = {"pools": "rack", "models": "chat", "secrets": "HF_TOKEN", "keys": "ci"}
_LIVE = (
    "stack",
    "pools.rack.hosts",
    "models.chat.source",
    "gateway",
    "gateway.port",
    "secrets",
    "secrets.HF_TOKEN.env",
)
_WIDTH = 110
_HEAD = """\
# A stack file with every key. What begins with # in the first column is not needed: it shows an example,
# or the default. Short forms: a pool may be just the list of its hosts, a host just its address, a model
# just its source, and one word may stand for a list.
#
# hostler check      all mistakes of the file at once
# hostler config     the file with every default filled in
"""


def sample_text() -> str:
    return _HEAD + "\n".join(_section(Stack, "", 0, live=True)) + "\n"


def _section(kind: type, path: str, depth: int, *, live: bool) -> Iterator[str]:
    for number, key in enumerate(keys_of(kind)):
        if depth == 0 or (depth == 2 and number):
            yield ""
        yield from _key(key, join(path, key.name), depth, live=live)


def _key(key: Key, path: str, depth: int, *, live: bool) -> Iterator[str]:
    yield from _prose(_about(key), depth)
    live = live and key.built and (key.required or path in _LIVE)
    shape = key.shape
    if isinstance(shape, Many) and isinstance(shape.item, Section):
        yield _line(f"{key.name}:", depth, live)
        yield from _item(shape.item.kind, f"{path}[0]", depth + 1, live=live)
    elif isinstance(shape, Table) and isinstance(shape.item, Section):
        name = _NAMES[key.name]
        yield _line(f"{key.name}:", depth, live)
        yield from _prose(summary(shape.item.kind), depth + 1)
        yield _line(f"{name}:", depth + 1, live)
        yield from _section(shape.item.kind, join(path, name), depth + 2, live=live)
    elif isinstance(shape, Section) or (isinstance(shape, Either) and _is_deep(shape.section.kind)):
        kind = shape.kind if isinstance(shape, Section) else shape.section.kind
        yield _line(f"{key.name}:", depth, live)
        yield from _section(kind, path, depth + 1, live=live)
    else:
        yield _line(f"{key.name}: {_value(key)}", depth, live)


def _is_deep(kind: type) -> bool:
    """Whether it is too much for one line."""
    return any(isinstance(key.shape, Section) for key in keys_of(kind))


def _item(kind: type, path: str, depth: int, *, live: bool) -> Iterator[str]:
    """One item of a list; its first key stands behind the dash."""
    first, *others = keys_of(kind)
    yield from _prose(_about(first), depth)
    yield _line(f"- {first.name}: {_value(first)}", depth, live)
    for key in others:
        yield from _key(key, join(path, key.name), depth + 1, live=live)


def _about(key: Key) -> str:
    shape = key.shape
    words = ""
    if isinstance(shape, Words):
        words = f": {' | '.join(shape.words)}"
    elif isinstance(shape, Either):
        words = f" ({' | '.join(shape.words.words)} | {{{', '.join(k.name for k in keys_of(shape.section.kind))}}})"
    elif isinstance(shape, Flag):
        words = ": true | false"
    needed = " (needed)" if key.required else ""
    later = f"; not built yet: {', '.join(key.unbuilt)}" if key.unbuilt else ""
    text = f"{key.help[:1].upper()}{key.help[1:]}{words}{needed}{later}."
    return text if key.built else f"{text} Not built yet."


def _value(key: Key) -> str:
    if default := "" if isinstance(key.shape, Many) and key.example else default_text(key):
        return default
    return key.example


def _prose(text: str, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for line in textwrap.wrap(text, _WIDTH - len(indent) - 2):
        yield f"{indent}# {line}"


def _line(text: str, depth: int, live: bool) -> str:
    return ("" if live else "#") + "  " * depth + text
