"""Before a host is drained: what serves now. What was seen before the question and the downloads may be long ago."""

from __future__ import annotations

import time
from collections.abc import Mapping

from hostler.errors import Problem, RefusedError
from hostler.hosts.probe import probe_one
from hostler.hosts.types import Seen
from hostler.models.types import Replica
from hostler.record.types import Record
from hostler.rollout import downtime
from hostler.rollout.session import Session
from hostler.rollout.upgrading import Outlook, Turn

LIMIT_S = 30.0  # one that fails a health check now and then is up again by then
PAUSE_S = 1.0


def refuse_alone(run: Session, record: Record, found: Outlook, turn: Turn) -> None:
    """Raises RefusedError where a model that another host was to serve meanwhile is served by this one alone."""
    until = time.monotonic() + LIMIT_S
    while left := _alone(run, record, found, turn):
        if time.monotonic() >= until:
            raise RefusedError(*(_problem(model, turn, record) for model in left))
        time.sleep(PAUSE_S)


def _alone(run: Session, record: Record, found: Outlook, turn: Turn) -> list[str]:
    """Those that are known not to answer meanwhile were shown before the yes."""
    told = {gap.model for gap in found.away if gap.host == turn.host}
    here = {replica.model for replica in turn.serving} - told
    others = [r for r in record.replicas if r.model in here and r.members[0].host != turn.host]
    if not here:
        return []
    seen = _seen(run, record, others)
    return sorted(here - {r.model for r in others if downtime.serves(seen, record.gateway_host, r)})


def _seen(run: Session, record: Record, replicas: list[Replica]) -> Mapping[str, Seen]:
    asked: dict[str, list[str]] = {record.gateway_host: [f"route:{replica.id}" for replica in replicas]}
    for replica in replicas:
        asked.setdefault(replica.members[0].host, []).append(f"replica:{replica.id}")
    hosts = [host for host in asked if host in run.transports]
    return run.everywhere(hosts, lambda host: probe_one(run.transports[host], asked[host]))


def _problem(model: str, turn: Turn, record: Record) -> Problem:
    others = [r.id for r in record.replicas if r.model == model and r.members[0].host != turn.host]
    return Problem(
        where=f"model {model}",
        expected=f"another replica to serve while {turn.host} is drained",
        got=f"none: {', '.join(others)} did before the question, and does not now",
        next_step=f"{turn.host} serves on; `hostler status` says why; repeat it then, or with --allow-downtime",
    )
