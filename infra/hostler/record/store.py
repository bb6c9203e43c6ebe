"""Reading and choosing the record. Writing it is two agent calls: record-commit at home, copy-write elsewhere."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from hostler.codec import DecodeError, decode, encode
from hostler.errors import LockedError, RefusedError
from hostler.hosts.types import Seen
from hostler.record.told import refuse_strange
from hostler.record.types import SCHEMA, Record


def new_uid() -> str:
    """A stack's identity: 16 hex digits, made at the first `up`."""
    return secrets.token_hex(8)


def load(data: Mapping[str, Any], where: str) -> Record:
    """A record from its JSON; refuses one of a newer schema, one that is damaged, or with hosts such as no stack file has."""
    schema = data.get("schema", 0)
    if isinstance(schema, int) and schema > SCHEMA:
        raise RefusedError.of(
            where,
            expected=f"a record of schema {SCHEMA} or older",
            got=f"schema {schema}, written by a newer hostler",
            next_step="upgrade hostler on this machine",
        )
    try:
        record = decode(Record, data, where)
    except (DecodeError, ValueError) as error:
        raise RefusedError.of(
            where,
            expected="a whole record",
            got=str(error),
            next_step="run `hostler up --restore` to use the newest copy",
        ) from error
    refuse_strange(record, where)
    return record


def dump(record: Record) -> dict[str, Any]:
    return encode(record)


def at_home(seen: Mapping[str, Seen], trusted: Collection[str] = ()) -> tuple[str, Record] | None:
    """(host, record) of the highest epoch among the hosts that hold one at home.

    `trusted`: the hosts that may say so themselves. What another one has counts where these answer and have none: the
    gateway is about to move. Raises RefusedError where another one says that it has a newer one of the same stack.
    """
    homes = [(name, load(s.record, f"{name}: record")) for name, s in sorted(seen.items()) if s.record]
    newest = max(homes, key=_rank, default=None)
    own = max((home for home in homes if home[0] in trusted), key=_rank, default=None)
    if newest is None or newest == own or not trusted:
        return newest
    if own is None:
        return None if any(_silent(seen[name]) for name in trusted if name in seen) else newest
    if newest[1].uid == own[1].uid and _rank(newest) > _rank(own):
        raise RefusedError.of(
            newest[0],
            expected=f"no newer record than that on the gateway's host ({own[0]}, number {own[1].number})",
            got=f"one that says it is the stack's, number {newest[1].number}",
            next_step=f"set `gateway.host: {newest[0]}` if the gateway was moved there; if nobody did that, this host "
            "is not to be trusted any more: take it out of the file, and set it up anew",
        )
    return own


def _silent(seen: Seen) -> bool:
    """Whether there is somebody who may have it, and does not say so."""
    return not (seen.reached or seen.parked or seen.error_kind == "absent")


def _rank(home: tuple[str, Record]) -> tuple[int, int]:
    return home[1].epoch, home[1].number


def best_copy(seen: Mapping[str, Seen]) -> tuple[str, Record] | None:
    """(host, record) of the newest copy: highest epoch, then highest number."""
    copies = [
        (name, load(s.copy, f"{name}: copy of the record")) for name, s in sorted(seen.items()) if s.copy
    ]
    return max(copies, key=lambda copy: (copy[1].epoch, copy[1].number), default=None)


def foreign(seen: Mapping[str, Seen], uid: str) -> dict[str, str]:
    """Hosts that carry another stack's uid."""
    return {name: s.uid for name, s in sorted(seen.items()) if s.uid and s.uid != uid}


def refuse_foreign(seen: Mapping[str, Seen], record: Record, stack: str = "") -> None:
    """One host, one stack: exit 8."""
    if stack and stack != record.stack:
        raise LockedError.of(
            record.gateway_host or record.stack,
            expected=f"the hosts of stack {stack}, or of none",
            got=f"those of stack {record.stack}",
            next_step=f"set `stack: {record.stack}`, or run `hostler down` with that name first",
        )
    for name, uid in foreign(seen, record.uid).items():
        raise LockedError.of(
            name,
            expected=f"a host of stack {record.stack} ({record.uid}) or of none",
            got=f"a host of another stack ({uid})",
            next_step="take it out of this file, or run `hostler down` with the other stack's file",
        )


def restored(copy: Record, gateway_host: str) -> Record:
    """The record that `up --restore` goes on with: hosts refuse a lower epoch from now on."""
    return replace(copy, epoch=copy.epoch + 1, number=copy.number + 1, gateway_host=gateway_host)


def committed(record: Record) -> Record:
    return replace(record, number=record.number + 1)


def copy_hosts(hosts: list[str], gateway_host: str) -> tuple[str, ...]:
    """The two owned hosts that keep a copy."""
    return tuple(name for name in hosts if name != gateway_host)[:2]
