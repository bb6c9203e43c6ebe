"""The stack's ledger: read from the hosts that have it, or a copy; appended to; kept on this machine when the stack goes."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostler import operator
from hostler.console.out import Out
from hostler.errors import HostError, HostlerError
from hostler.hosts.calls import agent_call
from hostler.hosts.connect import transport_for
from hostler.hosts.transport import Transport
from hostler.hosts.types import Host
from hostler.money import given, months, report, rows
from hostler.money.rows import Row
from hostler.rollout.observe import Observation

FOLDER = "ledger"  # below this user's state folder: of stacks that are gone, by their name
LIMIT_S = 60.0
MONTH_AT_MOST = 64 << 20  # bytes of rows; those of 64 hosts take a tenth of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """`hosts`: where rows came from, the gateway's first. `problems`: lines that are no rows, hosts that failed."""

    rows: tuple[Row, ...] = ()
    hosts: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def read(observation: Observation, wanted: Sequence[str] | None = None) -> Ledger:
    """Months as files of the ledger have them (`months.files`); None: all. Every host of the stack that answers is asked:
    one has it at home, two have copies, and where the gateway was before there may be more. A row counts once."""
    uid = observation.record.uid if observation.record else ""
    hosts = [host for host in observation.every if _ours(observation, host.name, uid)]
    hosts.sort(key=lambda host: host.name != observation.gateway.name)
    lines, sources, problems = list[str](), list[str](), list[str]()
    if not uid or not hosts:
        return Ledger()
    with ThreadPoolExecutor(min(32, len(hosts))) as pool:
        waiting = [pool.submit(_asked, host, uid, wanted) for host in hosts]
        answers = [one.result() for one in waiting]
    for host, answer in zip(hosts, answers, strict=True):
        if isinstance(answer, HostlerError):
            problems.append(f"{host.name}: its part of the ledger cannot be read: {answer.problems[0]}")
        elif answer:
            sources.append(host.name)
            lines += answer
    found, wrong = rows.read(dict.fromkeys(lines))
    return Ledger(rows=found, hosts=tuple(sources), problems=(*problems, *wrong))


def _ours(observation: Observation, name: str, uid: str) -> bool:
    seen = observation.seen.get(name)
    return bool(seen and seen.reached and seen.uid == uid)


def _asked(host: Host, uid: str, wanted: Sequence[str] | None) -> list[str] | HostlerError:
    request: dict[str, Any] = {"uid": uid, **({} if wanted is None else {"months": list(wanted)})}
    try:
        with closing(transport_for(host)) as transport:
            return lines_of(host.name, agent_call(transport, "ledger-read", timeout=LIMIT_S, **request))
    except HostlerError as error:
        return error


def lines_of(host: str, answer: Mapping[str, Any]) -> list[str]:
    """Of a host's answer: home first, then its copy. Raises HostError for what is no ledger, or one without end."""
    packed = [text for name in ("months", "copies") for _, text in sorted(answer[name].items())]
    return [line for text in packed for line in _unpacked(host, text).splitlines()]


def _unpacked(host: str, text: str) -> str:
    whole = zlib.decompressobj()
    try:
        found = whole.decompress(base64.b64decode(text), MONTH_AT_MOST)
        if whole.eof:
            return found.decode()
        got = f"more than {MONTH_AT_MOST >> 20} MiB" if whole.unconsumed_tail else "half of one"
    except (zlib.error, ValueError) as error:
        got = str(error)
    expected = f"a month's ledger of at most {MONTH_AT_MOST >> 20} MiB"
    raise HostError.of(host, expected=expected, got=got, next_step=f"hostler doctor; look at {host} itself")


def append(transport: Transport, uid: str, found: Iterable[Row], *, copy: bool = False) -> int:
    """How many of them were new. They are on the host's disk when it answers."""
    data = [rows.to_json(row) for row in found]
    answer = agent_call(transport, "ledger-append", timeout=LIMIT_S, uid=uid, rows=data, copy=copy)
    return int(answer["added"])


def at_home(home: Transport, uid: str, wanted: Sequence[str]) -> tuple[Row, ...]:
    """What the gateway's host itself has."""
    answer = agent_call(home, "ledger-read", timeout=LIMIT_S, uid=uid, months=list(wanted))
    return rows.read(lines_of(home.name, {**answer, "copies": {}}))[0]


def catch_up(copy: Transport, uid: str, wanted: Sequence[str], found: Iterable[Row]) -> int:
    """What a copy lacks of these months, since its host was away: how many rows it got. `found`: all that home has of
    them."""
    answer = agent_call(copy, "ledger-read", timeout=LIMIT_S, uid=uid, months=list(wanted))
    has = {row.id for row in rows.read(lines_of(copy.name, {**answer, "months": {}}))[0]}
    lacks = [row for row in found if row.id not in has]
    return append(copy, uid, lacks, copy=True) if lacks else 0


# on this machine


def place(stack: str) -> Path:
    return operator.state_home() / FOLDER / stack


def kept(stack: str, wanted: Sequence[str] | None = None) -> tuple[Row, ...]:
    """What stayed here of a stack that is gone."""
    folder = place(stack)
    paths = sorted(folder.glob("*.jsonl")) if folder.is_dir() else []
    lines = [
        line
        for path in paths
        if wanted is None or path.stem in wanted
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return rows.read(lines)[0]


def keep(observation: Observation, out: Out, now: float) -> None:
    """Before the hosts lose it: all of it comes here, and the month's sum is said. A ledger that cannot be read holds no
    `down`: that is said."""
    found = read(observation)
    for problem in found.problems:
        out.say(f"note: {problem}")
    if not found.rows:
        return
    stack = observation.file.stack
    folder = _written(stack.stack, found.rows)
    currency = given.currency_of(stack)
    month = report.report(
        found.rows, now, currency=currency, rating=given.rating_of(stack, currency) if currency else None
    )
    least = "" if month.so_far.whole else "at least "
    out.say(
        f"spent in {month.month}: {least}{month.so_far.amount:.2f} {month.currency}; the ledger stays in {folder}"
    )


def _written(stack: str, found: Iterable[Row]) -> Path:
    """With what is there already, each month's file in one step, for this user's eyes alone."""
    folder = place(stack)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    every = {row.id: row for row in (*found, *kept(stack))}
    files = dict[str, list[Row]]()
    for row in sorted(every.values(), key=lambda row: (row.start, row.id)):
        files.setdefault(months.file_of(row.start), []).append(row)
    for month, its in files.items():
        fresh = folder / f".{month}.{os.getpid()}"
        with open(
            os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            file.writelines(json.dumps(rows.to_json(row)) + "\n" for row in its)
        fresh.replace(folder / f"{month}.jsonl")
    return folder
