"""Commands for HAProxy's runtime socket (admin.sock): keys live at once, without a reload. Pure text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from hostler.gateway.specs import Paths

# its answer is written to servers.state before the master reloads: the new worker then knows who drains
SHOW_STATE = "show servers state"
SHOW_USAGE = "show table usage"
KEYS = "keys.map"  # of clients
ADMINS = "admins.map"  # of who may see the controller's page
NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")  # a key
_USAGE = re.compile(
    r" key=(?P<of>(?:\\.|\S)+) .*?http_req_cnt=(?P<requests>\d+) bytes_out_cnt=(?P<bytes>\d+)"
)


def key_hash(key: str) -> str:
    """What is kept of a client's key: SHA-256 in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


def add_key(paths: Paths, sha256: str, name: str, file: str = KEYS) -> str:
    return f"add map {paths.etc}/{file} {sha256} {name}"


def revoke_key(paths: Paths, sha256: str, file: str = KEYS) -> str:
    return f"del map {paths.etc}/{file} {sha256}"


def show_keys(paths: Paths, file: str = KEYS) -> str:
    return f"show map {paths.etc}/{file}"


def shown_keys(answer: str) -> dict[str, str]:
    """The answer to `show_keys` (lines `0xADDRESS hash name`) as hash -> name."""
    rows = (line.split() for line in answer.splitlines())
    return {row[1]: row[2] for row in rows if len(row) == 3}


def sync_keys(
    paths: Paths, wanted: Iterable[tuple[str, str]], live: Mapping[str, str], file: str = KEYS
) -> tuple[str, ...]:
    """What turns the live keys into the wanted ones: revoked first."""
    rows = dict(wanted)
    gone = (revoke_key(paths, digest, file) for digest, _ in sorted(live.items() - rows.items()))
    new = (add_key(paths, digest, name, file) for digest, name in sorted(rows.items() - live.items()))
    return (*gone, *new)


def spent_map(rows: Mapping[str, tuple[float, str]]) -> str:
    """The map of keys whose budget is used up: `NAME SECONDS WORDS` a row. `rows`: by the key's name, until when it is
    refused, in seconds since 1970, and the words of the answer. Of the key itself nothing is in it."""
    return "".join(f"{name} {words}\n" for name, words in sorted(_spent(rows).items()))


def _spent(rows: Mapping[str, tuple[float, str]]) -> dict[str, str]:
    return {
        name: f"{round(until)} {' '.join(text.split())}"
        for name, (until, text) in rows.items()
        if NAMED.fullmatch(name)
    }


def spent(text: str) -> dict[str, tuple[float, str]]:
    """What `spent_map` wrote, as it was; damaged rows are left out."""
    found = (line.split(" ", 2) for line in text.splitlines())
    return {row[0]: (float(row[1]), row[2]) for row in found if len(row) == 3 and row[1].isdigit()}


def show_spent(path: str) -> str:
    return f"show map {path}"


def sync_spent(path: str, rows: Mapping[str, tuple[float, str]], answer: str) -> tuple[str, ...]:
    """What turns the live map into `rows`; `answer`: that to `show_spent`. Each key is refused, or not, at each moment."""
    wanted, shown = _spent(rows), [line.split(" ", 2) for line in answer.splitlines()]
    live = {row[1]: row[2] for row in shown if len(row) == 3 and row[0].startswith("0x")}
    gone = (f"del map {path} {name}" for name in sorted(live.keys() - wanted.keys()))
    new = (
        f"{'set' if name in live else 'add'} map {path} {name} {_escaped(words)}"
        for name, words in sorted(wanted.items() - live.items())
    )
    return (*gone, *new)


def _escaped(words: str) -> str:
    """As one word of the runtime socket."""
    return re.sub(r"([\\ ;])", r"\\\1", words)


def usage(answer: str) -> dict[tuple[str, str], tuple[int, int]]:
    """The answer to SHOW_USAGE as (model, key) -> (answers, their bytes). They count from the worker's start: a reload
    begins anew. `internal` is the key of who asks on the gateway's own host."""
    found = (_USAGE.search(line) for line in answer.splitlines())
    pairs = ((row["of"].replace("\\", "").partition(" "), row) for row in found if row)
    return {(model, key): (int(row["requests"]), int(row["bytes"])) for (model, _, key), row in pairs}
