"""Reading and choosing the record. Writing it is two agent calls: record-commit at home, copy-write elsewhere."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hostler.codec import DecodeError, decode, encode
from hostler.errors import LockedError, RefusedError
from hostler.hosts.types import Seen
from hostler.record.told import refuse_strange
from hostler.record.types import SCHEMA, Record

REPLACE = (
    "look at it: `hostler ssh HOST`, /var/lib/hostler/home/record.json; where it is of no use, take it away there, and "
    "`hostler up --restore` uses the newest copy"
)


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
            next_step=REPLACE,
        ) from error
    refuse_strange(record, where)
    return record


def dump(record: Record) -> dict[str, Any]:
    return encode(record)


def at_home(seen: Mapping[str, Seen], trusted: Collection[str] = ()) -> tuple[str, Record] | None:
    """(host, record) of the highest epoch among the hosts that hold one at home.

    `trusted`: the hosts that may say so themselves; those to which their records say that they went may, too. What another
    one has counts where these answer and have none: the gateway is about to move. Raises RefusedError where another one
    says that it has a newer one of the same stack, and for a record that cannot be read where no believed one can.
    """
    homes, strange = _homes(seen)
    believed = _believed(homes, trusted)
    own = [(n, r) for n, r in homes.items() if n in believed and not _went(seen, n, r)]
    silent = any(_silent(seen[name]) for name in believed if name in seen)
    for name, error in strange.items():
        if name in believed or not (own or silent):
            raise error
    newest, best = max(homes.items(), key=_rank, default=None), max(own, key=_rank, default=None)
    if best is None or newest is None or not trusted:
        return None if newest is None or silent else _here(newest)
    if newest[1].uid == best[1].uid and _rank(newest) > _rank(best) and newest[0] not in believed:
        raise RefusedError.of(
            newest[0],
            expected=f"no newer record than that on the gateway's host ({best[0]}, number {best[1].number})",
            got=f"one that says it is the stack's, number {newest[1].number}",
            next_step=f"set `gateway.host: {newest[0]}` if the gateway was moved there; if nobody did that, this host "
            "is not to be trusted any more: take it out of the file, and set it up anew",
        )
    return _here(best)


def _homes(seen: Mapping[str, Seen]) -> tuple[dict[str, Record], dict[str, RefusedError]]:
    """Records, and those that cannot be read."""
    homes, strange = dict[str, Record](), dict[str, RefusedError]()
    for name, one in sorted(seen.items()):
        if one.record:
            try:
                homes[name] = load(one.record, f"{name}: record")
            except RefusedError as error:
                strange[name] = error
    return homes, strange


def _believed(homes: Mapping[str, Record], trusted: Collection[str]) -> set[str]:
    believed = {*trusted}
    while more := {r.moved for n, r in homes.items() if n in believed and r.moved} - believed:
        believed |= more
    return believed


def _went(seen: Mapping[str, Seen], name: str, record: Record) -> bool:
    """Whether it is of the past: what came after it is on a host that does not answer."""
    return record.moved not in ("", name) and record.moved in seen and _silent(seen[record.moved])


def _here(home: tuple[str, Record]) -> tuple[str, Record]:
    return home[0], replace(home[1], moved="")


def _silent(seen: Seen) -> bool:
    """Whether there is somebody who may have it, and does not say so."""
    return not (seen.reached or seen.parked or seen.error_kind == "absent")


def _rank(home: tuple[str, Record]) -> tuple[int, int]:
    return home[1].epoch, home[1].number


def best_copy(seen: Mapping[str, Seen]) -> tuple[str, Record] | None:
    """(host, record) of the newest copy that can be read: highest epoch, then highest number."""
    copies = list[tuple[str, Record]]()
    for name, one in sorted(seen.items()):
        with suppress(RefusedError):  # whoever has a host could hold up the others by it
            copies += [(name, load(one.copy, f"{name}: copy of the record"))] if one.copy else []
    return max(copies, key=_rank, default=None)


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
