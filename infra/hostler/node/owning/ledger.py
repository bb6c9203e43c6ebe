"""What the stack cost: a file a month (UTC), a row of JSON a line, only ever appended to.

ledger-append {"uid", "rows": [{"id", "start", ...}], "copy"?} -> {"added", "known", "mended"}
ledger-read   {"uid", "months"?: ["2026-11"]} -> {"months": {"2026-11": zlib in base64}, "copies": the same}

A row whose id is in its month's file already is passed over: writing it twice changes nothing. `copy`: not the ledger of
this host's home, but the copy that it keeps of another's. A last line that a kill or a full disk tore is `mended`: taken
away where it is no row, which whoever wrote it writes again.
"""

from __future__ import annotations

import base64
import fcntl
import json
import math
import os
import re
import time
import zlib
from typing import Any, Dict, List, Set, Tuple

from ..base import files
from ..base.protocol import Answers, NodeError, Request, as_dict, identity

MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])")
ID = re.compile(rb'\{"id":("(?:[^"\\]|\\.)*")')
Row = Dict[str, Any]


def append(request: Request, answers: Answers) -> int:
    folder = place(request)
    months = by_month(given(request))
    added = known = mended = 0
    for month, rows in sorted(months.items()):
        more, torn = extend("%s/%s.jsonl" % (folder, month), rows)
        added, known, mended = added + more, known + len(rows) - more, mended + torn
    answers.say(added=added, known=known, mended=mended)
    return 0


def read(request: Request, answers: Answers) -> int:
    asked: Any = request.get("months")
    for month in asked if isinstance(asked, list) else []:  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(month, str) or not MONTH.fullmatch(month):
            raise NodeError("usage", "ledger-read: %r is no month such as 2026-11" % (month,), rc=2)
    answers.say(months=all_of(place(request), asked), copies=all_of(place({**request, "copy": True}), asked))
    return 0


def all_of(folder: str, asked: Any) -> Dict[str, str]:
    """Those of the asked months that there are; every one where none is asked for."""
    there = [name[:-6] for name in names(folder) if name.endswith(".jsonl") and MONTH.fullmatch(name[:-6])]
    return {
        m: packed("%s/%s.jsonl" % (folder, m)) for m in there if not isinstance(asked, list) or m in asked
    }


def place(request: Request) -> str:
    """The folder of this stack's ledger; another stack's host is refused."""
    uid = identity(request, "uid")
    stack = files.read_json(files.STACK)
    if stack is not None and stack.get("uid") != uid:
        raise NodeError(
            "other-stack",
            "this host belongs to stack %s (%s)" % (stack.get("stack"), stack.get("uid")),
            "",
            3,
        )
    return "%s/%s.ledger" % (files.COPIES, uid) if request.get("copy") else files.HOME + "/ledger"


def given(request: Request) -> List[Row]:
    rows = request.get("rows")
    if not isinstance(rows, list):
        raise NodeError("usage", "ledger-append: expected a list named 'rows'", rc=2)
    found = [as_dict(row) for row in rows]  # pyright: ignore[reportUnknownVariableType]
    for row in found:
        start = row.get("start")
        timed = isinstance(start, (int, float)) and math.isfinite(start) and start >= 0
        if not isinstance(row.get("id"), str) or not row["id"] or not timed:
            raise NodeError("usage", "ledger-append: a row without `id` or `start`: %s" % row, rc=2)
    return found


def by_month(rows: List[Row]) -> Dict[str, List[Row]]:
    found: Dict[str, List[Row]] = {}
    for row in rows:
        found.setdefault(time.strftime("%Y-%m", time.gmtime(row["start"])), []).append(row)
    return found


def extend(path: str, rows: List[Row]) -> Tuple[int, int]:
    """(rows that were added, bytes of a torn line); on disk when it returns."""
    os.makedirs(files.at(os.path.dirname(path)), mode=0o700, exist_ok=True)
    handle = os.open(files.at(path), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        content = whole(handle)
        ids, torn = ids_of(content), mend(handle, content)
        lines: List[bytes] = []
        for row in rows:
            line = line_of(row)
            name = name_of(line)
            if name not in ids:
                ids.add(name)
                lines.append(line)
        write(handle, b"".join(lines))
        os.fsync(handle)
    finally:
        os.close(handle)
    files.sync_folder(files.at(os.path.dirname(path)))
    return len(lines), torn


def line_of(row: Row) -> bytes:
    """Its id first: it is found there without reading on."""
    ordered = {"id": row["id"], **row}
    return json.dumps(ordered, separators=(",", ":")).encode("ascii") + b"\n"


def name_of(line: bytes) -> bytes:
    """The id as JSON; of a line that is no row, the line."""
    found = ID.match(line)
    return found.group(1) if found else line


def ids_of(content: bytes) -> Set[bytes]:
    """Of the rows whose lines are whole."""
    return {name_of(line) for line in content.splitlines(True) if is_whole(line)}


def is_whole(line: bytes) -> bool:
    """One that ends is; one that does not may be, but for its end."""
    if line.endswith(b"\n"):
        return True
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def mend(handle: int, content: bytes) -> int:
    """The last line ends, or goes; how many bytes of it went."""
    last = content[content.rfind(b"\n") + 1 :]
    if not last:
        return 0
    if is_whole(last):
        write(handle, b"\n")
        return 0
    os.ftruncate(handle, len(content) - len(last))
    return len(last)


def packed(path: str) -> str:
    """Without a torn last line, while nobody writes."""
    handle = os.open(files.at(path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        content = whole(handle)
    finally:
        os.close(handle)
    last = content.rfind(b"\n") + 1
    if not is_whole(content[last:]):
        content = content[:last]
    return base64.b64encode(zlib.compress(content)).decode("ascii")


def whole(handle: int) -> bytes:
    os.lseek(handle, 0, os.SEEK_SET)
    parts: List[bytes] = []
    while True:
        part = os.read(handle, files.CHUNK)
        if not part:
            return b"".join(parts)
        parts.append(part)


def write(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]


def names(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(files.at(folder)))
    except FileNotFoundError:
        return []
