"""What is due now, by what the hosts said of themselves and the gateway said of their replicas. Pure.

A host judges its replicas and itself by its own evidence. What the gateway sent to a replica elsewhere, its host's word
alone does not say: so both must say idle, for the whole window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hostler.leases.view import View
from hostler.models.types import Replica
from hostler.node.idle import deciding, looks
from hostler.node.idle.looks import Due, Policy, Verdict

KEPT = 4096  # verdicts of the last looks: as many as some hundred replicas have
NOBODY = Verdict(looks.UNKNOWN, None, "the gateway's host did not say what it sent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Policies of a stack's replicas and hosts by name; those without one are left alone."""

    replicas: Mapping[str, Policy]
    hosts: Mapping[str, Policy]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A replica or a host as it is judged now. `host`: where; `model`: of a replica. `boottime`: its host's clock; `stays`:
    why a host that should be gone stays, again and again, by an error."""

    kind: str  # replica or host
    name: str
    host: str
    model: str
    verdict: Verdict
    boottime: float
    policy: Policy | None = None
    due: Due | None = None
    stays: str = ""

    @property
    def idle_s(self) -> float | None:
        """For how long it has been idle or asleep; None: it is not."""
        since = self.verdict.since
        return None if since is None else max(0.0, self.boottime - since)

    @property
    def in_s(self) -> float | None:
        """Until its window is over; None: nothing will happen to it as it is."""
        policy, idle = self.policy, self.idle_s
        if policy is None or not policy.do or policy.kept or idle is None or self.verdict.word != looks.IDLE:
            return None
        return max(0.0, policy.after_s - idle)


def subjects(
    views: Mapping[str, View],
    home: str,
    replicas: Sequence[Replica],
    wishes: Wishes,
    now: float,
    wall: float,
    *,
    shorter: float = 1.0,
) -> tuple[Subject, ...]:
    """Each replica, then each host. `now`: this process' monotonic clock; `shorter`: by what windows are multiplied (a
    budget that is used up). A host that did not say anything lately is unknown."""
    gateway = views.get(home)
    here: dict[str, list[Replica]] = {}
    for one in replicas:
        here.setdefault(one.members[0].host, []).append(one)
    found: list[Subject] = []
    for name, view in sorted(views.items()):
        mine = here.get(name, [])
        judged = {one.id: _replica(one, view, gateway, home, now) for one in mine}
        clock = view.boottime(now) if view.looked else 0.0
        for one in mine:
            policy, verdict = _shortened(wishes.replicas.get(one.id), shorter), judged[one.id]
            found.append(
                Subject(
                    kind="replica", name=one.id, host=name, model=one.model, verdict=verdict, boottime=clock,
                    policy=policy, due=_due(policy, verdict, clock, wall),
                )
            )  # fmt: skip
        policy, verdict = (
            _shortened(wishes.hosts.get(name), shorter),
            _joined(_host(view, now), *judged.items()),
        )
        found.append(
            Subject(
                kind="host", name=name, host=name, model="", verdict=verdict, boottime=clock, policy=policy,
                due=_due(policy, verdict, clock, wall), stays=_stays(view),
            )
        )  # fmt: skip
    return (*(one for one in found if one.kind == "replica"), *(one for one in found if one.kind == "host"))


def due(found: Sequence[Subject]) -> Iterator[Subject]:
    """Those with which something is to be done: hosts first, so that nobody is put to sleep on one that goes."""
    going = [one for one in found if one.kind == "host" and one.due and one.due.do in looks.ENDS]
    yield from going
    hosts = {one.host for one in going}
    yield from (
        one
        for one in found
        if one.kind == "replica" and one.due and one.due.do in looks.ENDS and one.host not in hosts
    )


def _due(policy: Policy | None, verdict: Verdict, clock: float, wall: float) -> Due | None:
    return None if policy is None else deciding.due(policy, verdict, clock, wall)


def _shortened(policy: Policy | None, by: float) -> Policy | None:
    return policy if policy is None or by == 1.0 else policy._replace(after_s=policy.after_s * by)


@lru_cache(KEPT)
def _joined(presence: Verdict, *verdicts: tuple[str, Verdict]) -> Verdict:
    """A host is judged more often than it looks."""
    return deciding.together(dict(verdicts), presence)


def _replica(replica: Replica, view: View, gateway: View | None, home: str, now: float) -> Verdict:
    own = _told(view, "replicas", replica.id, now)
    if replica.members[0].host == home or own.word == looks.ASLEEP:
        return own
    routed = _told(gateway, "routes", replica.id, now) if gateway else NOBODY
    if gateway is None or not gateway.fresh(now):
        return routed
    return _joined(own, ("gateway", _shifted(routed, view.ahead_s(gateway))))


@lru_cache(KEPT)
def _shifted(verdict: Verdict, by: float) -> Verdict:
    """A verdict of one host's clock on another's."""

    def moved(at: float | None) -> float | None:
        return None if at is None else at + by

    return verdict._replace(since=moved(verdict.since), at=moved(verdict.at), still=moved(verdict.still))


def _host(view: View, now: float) -> Verdict:
    if not view.fresh(now):
        return Verdict(looks.UNKNOWN, None, view.error or "it did not say anything lately")
    return _verdict(view.looked.get("host"))


def _stays(view: View) -> str:
    said: Mapping[str, Any] = view.looked.get("stays") or {}
    return f"{said.get('count')} times, last: {said.get('why')}" if int(said.get("count") or 0) > 1 else ""


def _told(view: View, where: str, name: str, now: float) -> Verdict:
    if not view.fresh(now):
        return Verdict(looks.UNKNOWN, None, view.error or f"{view.host.name} did not say anything lately")
    said: Mapping[str, Any] = view.looked.get(where) or {}
    return _verdict(said.get(name))


def _verdict(said: Any) -> Verdict:
    """What is not as it should be is unknown."""
    try:
        return _read(*[said[name] for name in Verdict._fields])
    except (KeyError, ValueError, TypeError):
        return Verdict(looks.UNKNOWN, None, "nothing was said of it")


@lru_cache(KEPT, typed=True)
def _read(*values: Any) -> Verdict:
    return Verdict.from_json(dict(zip(Verdict._fields, values, strict=True)))
