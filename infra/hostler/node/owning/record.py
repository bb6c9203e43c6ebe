"""The record at home and its copies: numbered, each replaced in one step, never going back.

record-read   {"number"?: 7} -> {"record": {...}|null, "copies": {uid: {...}}, "older": [numbers]}
record-commit {"record": {...}} -> {"number"}; its number is one more than the one at home, its epoch not lower
copy-write    {"record": {...}} -> {"changed": bool}; not older than the copy that is there
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, Tuple

from ..base import files
from ..base.protocol import Answers, NodeError, Request, as_dict, identity

RECORD = files.HOME + "/record.json"
KEPT = 20
OLDER = re.compile(r"^record-(\d+)\.json$")
Record = Dict[str, Any]


def read(request: Request, answers: Answers) -> int:
    path = RECORD if "number" not in request else older_path(int(request["number"]))
    copies = {
        name[:-5]: files.read_json(files.COPIES + "/" + name)
        for name in names(files.COPIES)
        if name.endswith(".json")
    }
    answers.say(record=files.read_json(path), copies=copies, older=older())
    return 0


def commit(request: Request, answers: Answers) -> int:
    record, current = given(request), files.read_json(RECORD)
    belongs(record)
    if current is not None:
        follows(record, current)
        files.write_json(older_path(number(current)), current, 0o600)
    files.write_json(RECORD, record, 0o600)
    for old in older()[:-KEPT]:
        files.remove(older_path(old))
    answers.say(number=number(record))
    return 0


def copy(request: Request, answers: Answers) -> int:
    record = given(request)
    path = "%s/%s.json" % (files.COPIES, identity(record, "uid"))
    current = files.read_json(path)
    if current is not None and rank(record) < rank(current):
        raise NodeError(
            "stale", "a copy of commit %d, epoch %d, is newer" % (rank(current)[1], rank(current)[0]), STALE
        )
    changed = record != current
    if changed:
        files.write_json(path, record, 0o600)
    answers.say(changed=changed)
    return 0


STALE = "somebody else went on from there: run the command again, it reads the newest record first"


def given(request: Request) -> Record:
    record = as_dict(request.get("record"))
    if not record:
        raise NodeError("usage", "%s: expected an object named 'record'" % request.get("op"), rc=2)
    return record


def belongs(record: Record) -> None:
    """The record of another stack, or of an epoch that is over, has no place here."""
    stack = files.read_json(files.STACK)
    if stack is None:
        return
    if stack.get("uid") != record.get("uid"):
        raise NodeError(
            "other-stack",
            "this host belongs to stack %s (%s)" % (stack.get("stack"), stack.get("uid")),
            "",
            3,
        )
    if int(stack.get("epoch", 0)) > rank(record)[0]:
        raise NodeError(
            "stale",
            "this host has seen epoch %s, the record is of %d" % (stack["epoch"], rank(record)[0]),
            STALE,
        )


def follows(record: Record, current: Record) -> None:
    if record.get("uid") != current.get("uid"):
        raise NodeError("other-stack", "the record at home is of stack %s" % current.get("stack"), "", 3)
    if rank(record)[0] < rank(current)[0]:
        raise NodeError("stale", "epoch %d is lower than %d" % (rank(record)[0], rank(current)[0]), STALE)
    if rank(record)[0] == rank(current)[0] and number(record) != number(current) + 1:
        raise NodeError("stale", "commit %d does not follow %d" % (number(record), number(current)), STALE)


def rank(record: Record) -> Tuple[int, int]:
    return int(record.get("epoch", 0)), number(record)


def number(record: Record) -> int:
    return int(record.get("number", 0))


def older() -> List[int]:
    """Numbers of the commits that are kept, the newest last."""
    return sorted(int(match.group(1)) for match in map(OLDER.match, names(files.HOME)) if match)


def older_path(commit_number: int) -> str:
    return "%s/record-%d.json" % (files.HOME, commit_number)


def names(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(files.at(folder)))
    except FileNotFoundError:
        return []
