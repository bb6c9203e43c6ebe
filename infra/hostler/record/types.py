"""The record's types. On disk it is JSON with `schema`; unknown keys of a newer schema refuse to load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hostler.hosts.types import Host, Slot
from hostler.models.types import Release, Replica

SCHEMA = 1
HOME = "/var/lib/hostler/home/record.json"
COPIES = "/var/lib/hostler/copies"  # <uid>.json


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A client's key, or one for the controller's page: only its hash is kept."""

    name: str
    sha256: str
    made: float
    budget: str = ""
    admin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What was agreed to be there: a card that is missing later is shown as missing. Address and certificate are
    those by which the gateway knows the host: while it is off, they hold."""

    machine_id: str
    cards: tuple[tuple[str, str, int], ...]  # uuid, name, MiB
    driver: str = ""
    boot_id: str = ""
    address: str = ""  # where its edge is
    edge: str = ""  # its edge's certificate (PEM), empty as long as none is made


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What was there before a change began, for the way back: the live release's number is the record's own."""

    replicas: tuple[Replica, ...] = ()
    gateway_host: str = ""
    applied: str = ""  # the stack file


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """A change under way. `stage`: apply, or back where it is being undone."""

    run: str
    stage: str
    release: int  # the one that it makes live
    who: str = ""
    since: float = 0.0
    file: str = ""  # digest of the stack file that is being applied
    before: Before = field(default_factory=Before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    uid: str
    stack: str
    epoch: int = 1
    number: int = 0  # of the commit; each write is one more
    release: int = 0  # the live one
    releases: tuple[Release, ...] = ()
    replicas: tuple[Replica, ...] = ()
    slots: Mapping[str, Slot] = field(default_factory=dict[str, Slot])
    hosts: Mapping[str, Host] = field(
        default_factory=dict[str, Host]
    )  # as last applied, so that one that left the file is found
    expected: Mapping[str, Expected] = field(default_factory=dict[str, Expected])
    keys: tuple[Key, ...] = ()
    ledger: tuple[Mapping[str, Any], ...] = ()
    journal: Journal | None = None  # of a change under way, or of one that was interrupted
    gateway_host: str = ""
    moved: str = ""  # at the home of before: the host to which gateway and record go, or went
    file_digest: str = ""  # of the stack file last applied
    applied: str = ""  # that file: what a change goes back to
    schema: int = SCHEMA
