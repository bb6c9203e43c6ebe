"""claim {"uid", "stack", "epoch", "host"} -> {"changed": bool}: this host belongs to that stack from now on."""

from __future__ import annotations

from ..base import accounts, files
from ..base.protocol import Answers, NodeError, Request, number, text
from .baseline import make_once


def claim(request: Request, answers: Answers) -> int:
    """Writes stack.json; refuses another stack's host, an epoch that is over, and a host where our account's name is
    somebody's. Makes the baseline first."""
    wanted = {key: text(request, key) for key in ("uid", "stack", "host")}
    epoch = int(number(request, "epoch"))
    current = files.read_json(files.STACK)
    if current is not None and current.get("uid") != wanted["uid"]:
        raise NodeError(
            "other-stack",
            "this host belongs to stack %s (uid %s)" % (current.get("stack"), current.get("uid")),
            "take it out of that stack first: `hostler down` there, or `hostler down --host` for this one",
            3,
        )
    if current is not None and int(current.get("epoch", 0)) > epoch:
        raise NodeError(
            "stale",
            "this host has seen epoch %s, this is %d" % (current["epoch"], epoch),
            "use the newest record",
        )
    accounts.refuse_login(files.read_json(files.BASELINE))
    make_once()
    changed = current != {**wanted, "epoch": epoch}
    if changed:
        files.write_json(files.STACK, {**wanted, "epoch": epoch})
    answers.say(changed=changed)
    return 0
