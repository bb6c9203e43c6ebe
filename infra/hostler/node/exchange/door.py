"""An HAProxy whose files were written: exchanged where its specification changed, else what changed is loaded."""

from __future__ import annotations

from typing import Any, Dict

from ..base import files
from ..base.protocol import Answers, Request, identity
from ..doors import haproxy, ports
from ..replica import outcome
from ..weights import serve
from . import exchange

EDGE = "/etc/hostler/edge/haproxy.cfg"
GIVES = "/files.sock"  # in an edge's configuration: other hosts get files of weights through it


class Kept(Answers):
    """What a command said last, for whoever called it."""

    def __init__(self) -> None:
        self.last: Dict[str, Any] = {}

    def say_value(self, value: Any) -> None:
        self.last = dict(value)


def door(request: Request, answers: Answers) -> int:
    """`door ID`: what `exchange` says; outcome `reloaded` where it was as wanted and its files had changed."""
    identifier = identity(request)
    kept = Kept()
    shares = identifier == "edge" and serve.keep(GIVES in files.read_text(EDGE))
    exchange.exchange(request, kept)
    due = "%s/%s" % (files.DUE, identifier)
    if files.read(due) is not None:
        if kept.last["outcome"] == "same":  # also one that was put right: it runs with what it had loaded
            reload(request, Kept())
            kept.last = {"changed": True, "outcome": "reloaded", "why": "its files changed", "log": []}
        files.remove(due)
    if shares and not kept.last["changed"]:
        kept.last = {**kept.last, "changed": True, "why": "other hosts get files here, or do not any more"}
    outcome.say(answers, **kept.last)
    return 0


def reload(request: Request, answers: Answers) -> int:
    """`reload ID`: see haproxy.reload. It reads first where replicas are now: one that has gone leaves its first port to
    another."""
    ports.write(identity(request))
    return haproxy.reload(request, answers)
