"""A stack file out of the record, which a host keeps: it says what ran, and nothing of what this machine reads or runs.

Whoever has that host can write there what he likes. So where a secret comes from and which files of this machine are read
says the operator's own file: what both say is used, what only the record says is never evaluated, and refused where it is
needed (stackfile/foreign.py). How hosts of today's file are reached, who downloads, the mirror and the state are today's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hostler.configure import controller
from hostler.errors import StackFileError
from hostler.models.source import OWN
from hostler.node.base import files
from hostler.stackfile import foreign
from hostler.stackfile.hosts import host_name
from hostler.stackfile.load import loads
from hostler.stackfile.outside import Secret
from hostler.stackfile.sections import HostEntry, Pool, StackFile, TlsFiles

LOCAL = "local"
CLAIM = files.STACK  # of this machine, where it is a host of a stack


def load(text: str, own: StackFile) -> StackFile:
    """The stack file that the record has, for a machine whose own one is `own`. Raises StackFileError."""
    return own if text == own.text else trusted(loads(text.encode(), own.path), own)


def trusted(recorded: StackFile, own: StackFile) -> StackFile:
    """As it was, but for all that is this machine's. Raises StackFileError where it is of another stack, or makes this
    machine a host of its own accord."""
    _refuse_another(recorded, own)
    stack, now = recorded.stack, own.stack
    return replace(
        recorded,
        stack=replace(
            stack,
            state=now.state,
            mirror=now.mirror,
            pools={name: _pool(name, pool, own) for name, pool in stack.pools.items()},
            secrets={name: now.secrets.get(name, Secret()) for name in stack.secrets},
        ),
        positions=own.positions,
        foreign=dict(_foreign(recorded, own)),
    )


def left(file: StackFile) -> tuple[str, ...]:
    """Secrets of the controller that stay as the gateway's host has them."""
    return tuple(name for name in controller.secrets_named(file) if f"secrets.{name}" in file.foreign)


def _refuse_another(recorded: StackFile, own: StackFile) -> None:
    if recorded.stack.stack != own.stack.stack:
        raise _refused(own, "stack", own.stack.stack, recorded.stack.stack)
    here = {entry.address for entry in _entries(own).values()}
    for name, entry in _entries(recorded).items():
        if entry.address == LOCAL and LOCAL not in here and not _is_of(own.stack.stack):
            raise _refused(own, "pools", "no host that is this machine, as here", f"{name} at `{LOCAL}`")


def _is_of(stack: str) -> bool:
    """Whether this machine is a host of the stack, by its own word, which root alone writes here."""
    try:
        return json.loads(Path(CLAIM).read_text(encoding="utf-8")).get("stack") == stack
    except (OSError, ValueError, AttributeError):
        return False


def _refused(own: StackFile, path: str, expected: str, got: str) -> StackFileError:
    return StackFileError.of(
        own.where(path),
        expected=f"{expected} in the stack file of before the change",
        got=f"{got}, in its copy in the record on the gateway's host",
        next_step="look at who has that host; if that is what ran, put it back into this file",
    )


def _entries(file: StackFile) -> dict[str, HostEntry]:
    return {_name(entry): entry for pool in file.stack.pools.values() for entry in pool.hosts}


def _name(entry: HostEntry) -> str:
    return entry.name or host_name(entry.address)


def _pool(name: str, pool: Pool, own: StackFile) -> Pool:
    """Its hosts are reached as today's file says, where that has them; and this machine downloads only for whom it does
    today."""
    known, now = _entries(own), own.stack.pools.get(name)
    entries = tuple(_reached(entry, known.get(_name(entry))) for entry in pool.hosts)
    return replace(pool, hosts=entries, downloads=now.downloads if now else "hosts")


def _reached(entry: HostEntry, now: HostEntry | None) -> HostEntry:
    return replace(now, name=_name(entry), wake=entry.wake) if now else entry


def _foreign(recorded: StackFile, own: StackFile) -> Iterator[tuple[str, str]]:
    """(path, what is here instead). A secret must be for what it is for here, too: the controller gets no other one."""
    stack, now = recorded.stack, own.stack
    given = {*controller.secrets_named(recorded)} - {*controller.secrets_named(own), controller.HUB}
    for name, secret in stack.secrets.items():
        if name not in now.secrets:
            yield f"secrets.{name}", foreign.NONE
        elif secret != now.secrets[name]:
            yield f"secrets.{name}", foreign.ANOTHER
        elif name in given:
            yield f"secrets.{name}", "one that the controller does not get"
    tls = stack.gateway.tls
    if isinstance(tls, TlsFiles) and tls != now.gateway.tls:
        yield "gateway.tls", foreign.ANOTHER if isinstance(now.gateway.tls, TlsFiles) else foreign.NONE
    for name, model in stack.models.items():
        source = model.source or ""
        if source.startswith(OWN) and (name not in now.models or now.models[name].source != source):
            yield f"models.{name}.source", foreign.ANOTHER if name in now.models else foreign.NONE
