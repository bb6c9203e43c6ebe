"""Short forms: what a word or a list alone means where a section is wanted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .notes import nearest
from .outside import Downloads, Notify, Secret, State, Updates
from .saving import Budget, Idle, KeyBudget, Power, Rents, Wake
from .sections import HostEntry, Model, Pool, Smoke
from .tree import Items, Node, Pairs, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """The keys that get the value. `words` completes "expected ...". `instead`: words that stand for other keys."""

    keys: tuple[str, ...]
    words: str
    lists: bool = False  # a list too
    form: str = ""  # the schema's form where it is not the first key's own
    instead: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])

    def meant(self, node: Node) -> str:
        """Which of `instead` was probably meant; empty: none, or it is right."""
        if not isinstance(node, Word) or node.text in self.instead:
            return ""
        return nearest(node.text, self.instead)


SHORT: dict[type, Short] = {
    HostEntry: Short(keys=("address",), words="an address, user@address, or user@address:port", form="host"),
    Pool: Short(keys=("hosts",), words="a list of hosts", lists=True),
    Model: Short(keys=("source",), words="a source"),
    Secret: Short(keys=("env",), words="`env`", form="env"),
    Idle: Short(keys=("after",), words="a time, or `never`", instead={"never": {"do": "none"}}),
    Wake: Short(keys=("mac",), words="a MAC address"),
    Power: Short(keys=("limit",), words="watts"),
    Downloads: Short(keys=("limit",), words="bytes a second"),
    Smoke: Short(keys=("prompt",), words="a question"),
    State: Short(keys=("bucket",), words="s3://BUCKET/PREFIX"),
    Budget: Short(keys=("month",), words="an amount"),
    KeyBudget: Short(keys=("month",), words="an amount"),
    Notify: Short(keys=("url",), words="an address"),
    Rents: Short(keys=("credentials",), words="a secret's name"),
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
    if isinstance(node, Word) and node.text in short.instead:
        return _pairs(node, short.instead[node.text])
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


def _pairs(node: Word, values: Mapping[str, str]) -> Pairs:
    """The values as if they stood where the word stands; numbers without quotes."""
    return Pairs(
        node.line,
        node.column,
        [
            (Word(node.line, node.column, key, False), Word(node.line, node.column, text, text.isdigit()))
            for key, text in values.items()
        ],
    )
