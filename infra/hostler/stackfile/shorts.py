"""Short forms: what a word or a list alone means where a section is wanted."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .sections import Budget, Downloads, HostEntry, Idle, Model, Pool, Power, Secret, Smoke, State, Updates
from .tree import Items, Node, Pairs, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """The keys that get the value. `words` completes "expected ..."."""

    keys: tuple[str, ...]
    words: str
    lists: bool = False  # a list too
    form: str = ""  # the schema's form where it is not the first key's own


SHORT: dict[type, Short] = {
    HostEntry: Short(keys=("address",), words="an address, user@address, or user@address:port", form="host"),
    Pool: Short(keys=("hosts",), words="a list of hosts", lists=True),
    Model: Short(keys=("source",), words="a source"),
    Secret: Short(keys=("env",), words="`env`", form="env"),
    Idle: Short(keys=("after",), words="a time"),
    Power: Short(keys=("limit",), words="watts"),
    Downloads: Short(keys=("limit",), words="bytes a second"),
    Smoke: Short(keys=("prompt",), words="a question"),
    State: Short(keys=("bucket",), words="s3://BUCKET/PREFIX"),
    Budget: Short(keys=("month",), words="an amount"),
    Updates: Short(keys=("engines", "models"), words="a word"),
}
_HOST = re.compile(r"(?:(?P<user>[^@]*)@)?(?P<address>\[[^\]]*\]|[^:]*|.*:.*:.*?)(?::(?P<port>[0-9]+))?")


def expand(kind: type, node: Node, name: str) -> Pairs | None:
    """The mapping that a short form stands for; None where it is not one. `name`: the key above."""
    short = SHORT.get(kind)
    if isinstance(node, Pairs) or short is None or (isinstance(node, Items) and not short.lists):
        return None
    if isinstance(node, Word) and node.kind == "nothing":
        return None
    if kind is HostEntry and isinstance(node, Word):
        return _host(node)
    if kind is Secret and isinstance(node, Word):
        return _pairs(node, {"env": name.strip("?") or "NAME"}) if node.text == "env" else None
    return Pairs(
        node.line, node.column, [(Word(node.line, node.column, key, False), node) for key in short.keys]
    )


def _host(node: Word) -> Pairs:
    found = _HOST.fullmatch(node.text)
    if not found:
        return _pairs(node, {"address": node.text})
    parts = {key: found[key] for key in ("user", "address", "port") if found[key] is not None}
    return _pairs(node, parts)


def _pairs(node: Word, values: dict[str, str]) -> Pairs:
    """The values as if they stood where the word stands; numbers without quotes."""
    return Pairs(
        node.line,
        node.column,
        [
            (Word(node.line, node.column, key, False), Word(node.line, node.column, text, text.isdigit()))
            for key, text in values.items()
        ],
    )
