"""What the loader notes while it reads: problems, positions, and what the file itself names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hostler.errors import Problem

from .tree import Items, Node, Pairs, Word

_HABITS = {
    "ctx": "context", "ctx_size": "context", "context_length": "context", "max_model_len": "context", "n_ctx": "context",
    "gpus": "cards", "gpu": "cards", "count": "replicas", "instances": "replicas", "parallel": "slots", "np": "slots",
    "hostname": "address", "host": "address", "ip": "address", "ansible_host": "address", "username": "user",
    "ssh_key": "key", "identity_file": "key", "private_key": "key", "proxy_jump": "jump", "bastion": "jump",
    "path": "source", "model": "source", "repo": "source", "url": "source", "file": "source", "container": "image",
    "arguments": "args", "flags": "args", "extra_args": "args", "sha": "sha256", "checksum": "sha256",
    "servers": "hosts", "machines": "hosts", "nodes": "hosts", "domain": "address", "listen": "port", "ssl": "tls",
    "certificate": "cert", "environment": "env", "cmd": "command", "fallback": "else", "name": "stack", "cache_type": "cache",
    "off": "never", "false": "never", "no": "never", "none": "never", "never": "none", "unload": "sleep", "shutdown": "stop",
    "destroy": "terminate", "delete": "terminate", "hibernate": "suspend", "timeout": "after", "action": "do", "mac_address": "mac",
    "notify": "alarms", "alerts": "alarms", "limit": "month", "currencies": "rates", "ttl": "max_age", "dry_run": "shadow",
}  # fmt: skip


@dataclass(slots=True)
class Notes:
    """`problems` with their line and column, so that they come out in the file's order; `wrong` has the
    paths of those, and of all that they stand in."""

    path: str
    problems: list[tuple[int, int, Problem]] = field(default_factory=list[tuple[int, int, Problem]])
    positions: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    given: set[str] = field(default_factory=set[str])
    wrong: set[str] = field(default_factory=set[str])
    names: dict[str, set[str]] = field(default_factory=dict[str, set[str]])  # of a table, wrong ones too
    unbuilt: set[str] = field(default_factory=set[str])

    def add(self, at: tuple[int, int], path: str, expected: str, got: str, next_step: str = "") -> None:
        """A problem at (line, column) with the part of the stack file that it is about."""
        where = f"{self.path}:{at[0]}:{at[1]} {path}".rstrip()
        problem = Problem(where=where, expected=expected, got=got, next_step=next_step)
        self.problems.append((*at, problem))
        self.wrong.update(_around(path))

    def about(self, path: str, expected: str, got: str, next_step: str = "") -> None:
        """A problem at the place where `path`, or the nearest part around it, stands."""
        self.add(self.place(path), path, expected, got, next_step)

    def not_built(self, path: str, expected: str, got: str, next_step: str) -> None:
        """What is right, but cannot be done yet."""
        problem = Problem(where=self.where(path), expected=expected, got=got, next_step=next_step)
        self.problems.append((*self.place(path), problem))
        self.unbuilt.update(_around(path))

    def where(self, path: str) -> str:
        line, column = self.place(path)
        return f"{self.path}:{line}:{column} {path}"

    def place(self, path: str) -> tuple[int, int]:
        probe = path
        while probe and probe not in self.positions:
            probe = probe.rpartition(".")[0]
        return self.positions.get(probe, (1, 1))

    def saw(self, path: str, node: Node, key: Word | None) -> None:
        """Note where `path` stands: a word itself, of a list or mapping its key."""
        self.given.add(path)
        at = node if key is None or isinstance(node, Word) else key
        self.positions[path] = (at.line, at.column)

    def troubled(self, path: str) -> bool:
        """Whether something at or below `path` was found wrong already."""
        return path in self.wrong

    def in_order(self) -> tuple[Problem, ...]:
        return tuple(problem for _, _, problem in sorted(self.problems, key=lambda entry: entry[:2]))


def _around(path: str) -> Iterator[str]:
    """The path and all that it stands in."""
    for found in re.finditer(r"[.\[]|$", path):
        yield path[: found.start()]


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def secret(path: str) -> bool:
    """Whether what stands there may be a secret, which no message may repeat."""
    return path.partition(".")[0] == "secrets"


def nearest(word: str, words: Iterable[str]) -> str:
    """The word that was probably meant, or nothing."""
    known = list(words)
    if _HABITS.get(word.lower()) in known:
        return _HABITS[word.lower()]
    found = difflib.get_close_matches(word.lower().replace("-", "_"), known, n=1, cutoff=0.6)
    return found[0] if found else ""


def kind_words(node: Node) -> str:
    """What stands there, without what it says."""
    if isinstance(node, Pairs):
        return "a mapping"
    return "a list" if isinstance(node, Items) else "a word"
