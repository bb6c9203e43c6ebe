"""What an upgrade of hosts would do: each host's packages, the order of hosts, and who cannot answer meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hostler.errors import Problem
from hostler.models.release import live_release
from hostler.models.types import Replica
from hostler.record.types import Record
from hostler.rollout import downtime, drivers
from hostler.rollout.observe import Observation
from hostler.stackfile.sections import Hold

SECURITY, PACKAGES, DOCKER, DRIVER, KERNEL = KINDS = ("security", "packages", "docker", "driver", "kernel")
NONE, DRAIN, STOP, REBOOT = EFFECTS = (
    "none",
    "drain",
    "stop",
    "reboot",
)  # as node.kinds has them, the worst last
SAID = {NONE: "", DRAIN: "drained", STOP: "drained, containers may stop", REBOOT: "drained, reboot"}
AWAY_S: Mapping[str, float] = {DRAIN: 60.0, STOP: 60.0, REBOOT: drivers.REBOOT_S}


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    name: str
    now: str  # empty: it is new
    then: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A host's word: what is newer, what of it would be installed, and whether it waits for a reboot. `failed`: why it
    said nothing of that; it is left out."""

    host: str
    due: tuple[Package, ...] = ()
    steps: tuple[Package, ...] = ()
    effect: str = NONE  # of the steps
    effects: Mapping[str, str] = field(default_factory=dict[str, str])  # of each kind alone
    reboot: tuple[str, ...] = ()  # why one is due
    kept: tuple[str, ...] = ()  # newer, and left as it is
    warnings: tuple[str, ...] = ()
    size: int = 0
    failed: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What happens on one host. `replicas`: all there, drained unless `effect` is none; `serving`: those of them that the
    gateway sends requests now."""

    looked: Looked
    effect: str
    replicas: tuple[Replica, ...] = ()
    serving: tuple[Replica, ...] = ()

    @property
    def host(self) -> str:
        return self.looked.host

    @property
    def names(self) -> list[str]:
        return [step.name for step in self.looked.steps if step.now]

    @property
    def idle(self) -> bool:
        return not self.looked.steps and self.effect == NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """A model that only this host serves, or every model where the gateway is away. `why`: requests cannot wait."""

    model: str
    host: str
    seconds: float
    why: str

    @property
    def held(self) -> bool:
        return not self.why


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """`turns` in their order: the least important host first, the gateway's last."""

    turns: tuple[Turn, ...]
    away: tuple[Away, ...] = ()

    @property
    def empty(self) -> bool:
        return all(turn.idle for turn in self.turns)

    @property
    def failed(self) -> tuple[Problem, ...]:
        return tuple(problem for turn in self.turns for problem in turn.looked.failed)

    @property
    def busy(self) -> tuple[Turn, ...]:
        return tuple(turn for turn in self.turns if not turn.idle)


def looked(host: str, answer: Mapping[str, Any]) -> Looked:
    """From what the agent says to `upgrade-look`."""

    def packages(rows: Sequence[Mapping[str, str]]) -> tuple[Package, ...]:
        return tuple(Package(**row) for row in rows)

    return Looked(
        host=host,
        due=packages(answer["due"]),
        steps=packages(answer["steps"]),
        effect=str(answer["effect"]),
        effects=dict(answer["effects"]),
        reboot=tuple(answer["reboot"]),
        kept=tuple(answer["kept"]),
        warnings=tuple(answer["warnings"]),
        size=int(answer["size"]),
    )


def outlook(
    observation: Observation,
    record: Record,
    found: Sequence[Looked],
    *,
    reboot: bool = False,
    named: Collection[str] = (),
) -> Outlook:
    """`reboot`: hosts that wait for one get it, and those in `named` in any case."""
    serving = [r for r in record.replicas if downtime.serves(observation.seen, record.gateway_host, r)]
    turns = [
        _turn(record, one, serving, reboot=reboot and bool(one.reboot or one.host in named)) for one in found
    ]

    def importance(turn: Turn) -> tuple[bool, int, str]:
        return turn.host == record.gateway_host, len(turn.serving), turn.host

    ordered = tuple(sorted(turns, key=importance))
    return Outlook(
        turns=ordered,
        away=tuple(gap for turn in ordered for gap in _away(observation, record, turn, serving)),
    )


def _turn(record: Record, one: Looked, serving: Sequence[Replica], *, reboot: bool) -> Turn:
    def here(replicas: Sequence[Replica]) -> tuple[Replica, ...]:
        return tuple(replica for replica in replicas if replica.members[0].host == one.host)

    return Turn(
        looked=one,
        effect=REBOOT if reboot else one.effect,
        replicas=here(record.replicas),
        serving=here(serving),
    )


def _away(observation: Observation, record: Record, turn: Turn, serving: Sequence[Replica]) -> Iterator[Away]:
    if turn.effect == NONE:
        return
    seconds = AWAY_S[turn.effect]
    home = turn.host == record.gateway_host
    if home and turn.effect in (STOP, REBOOT):
        for model in sorted({replica.model for replica in serving}):
            why = f"the gateway is on {turn.host}, and nobody answers while it {_does(turn.effect)}"
            yield Away(model=model, host=turn.host, seconds=seconds, why=why)
        return
    stay = {replica.model for replica in serving if replica.members[0].host != turn.host}
    for model in sorted({replica.model for replica in serving} - stay):
        why = _why_not_held(observation, record, model, turn, seconds)
        yield Away(model=model, host=turn.host, seconds=seconds, why=why)


def _does(effect: str) -> str:
    return "reboots" if effect == REBOOT else "gets another version of Docker, with which containers may stop"


def _why_not_held(observation: Observation, record: Record, model: str, turn: Turn, seconds: float) -> str:
    """Why requests do not wait at the gateway for a model's only replica; empty: they do."""
    if turn.effect != DRAIN:
        return f"{turn.host} {_does(turn.effect)}, and nothing else serves it"
    release = live_release(record)
    if release is None or model not in release.models:
        return "its release is not known"
    gap = downtime.gap(downtime.scene(observation, record, release), model)
    section = observation.file.stack.models.get(model)
    if not gap.why and section and isinstance(section.hold, Hold) and section.hold.duration < seconds:
        return f"its requests wait for at most {section.hold.duration:.0f} s (`hold`)"
    return gap.why


def refusals(
    observation: Observation, found: Outlook, *, allow_downtime: bool, yes: bool
) -> Iterator[Problem]:
    """What stops it before anything is changed."""
    hosts = {host.name: host for host in observation.hosts}
    away = [turn.host for turn in found.turns if turn.effect in (STOP, REBOOT)]
    for turn in found.turns:
        if turn.effect == REBOOT and hosts[turn.host].ssh.local:
            yield Problem(
                where=turn.host,
                expected="a host that is not this machine itself, for a reboot",
                got="local",
                next_step="take the other kinds here; for this one upgrade and reboot it yourself, then `hostler up`",
            )
    if allow_downtime:
        return
    for gap in found.away:
        if not gap.held:
            yield Problem(
                where=f"model {gap.model}",
                expected="another replica to serve meanwhile",
                got=f"none: it could not answer for about {spell(gap.seconds)}; {gap.why}",
                next_step="repeat with --allow-downtime; `replicas: 2` on two hosts needs none, but for the gateway's host",
            )
    if yes:
        for name, count in drivers.strangers(observation, [hosts[name] for name in away]).items():
            yield Problem(
                where=name,
                expected="no containers but our own on a host where all stop unasked",
                got=f"{count} of others",
                next_step="repeat with --allow-downtime, or without --yes",
            )


def spell(seconds: float) -> str:
    """In whole minutes from one on."""
    return f"{seconds:.0f} s" if seconds < 60 else f"{-(-seconds // 60):.0f} min"


def as_rows(found: Outlook) -> list[dict[str, Any]]:
    """A row a host, in the order of their turns."""
    return [
        {
            "host": turn.host,
            "effect": turn.effect,
            "failed": "; ".join(problem.got for problem in turn.looked.failed),
            "packages": [_row(one, turn) for one in _all(turn.looked)],
            "reboot_due": list(turn.looked.reboot),
            "kept": list(turn.looked.kept),
            "drained": [replica.id for replica in turn.replicas if turn.effect != NONE],
            "away": [
                {"model": gap.model, "seconds": gap.seconds, "waits": gap.held, "why": gap.why}
                for gap in found.away
                if gap.host == turn.host
            ],
        }
        for turn in found.turns
    ]


def _all(one: Looked) -> list[Package]:
    """What is newer, and what comes with it; the most harmless first."""
    new = [step for step in one.steps if step not in one.due]
    return sorted((*one.due, *new), key=lambda package: (KINDS.index(package.kind), package.name))


def _row(package: Package, turn: Turn) -> dict[str, Any]:
    return {
        "name": package.name,
        "now": package.now,
        "then": package.then,
        "kind": package.kind,
        "effect": turn.looked.effects.get(package.kind, NONE),
        "taken": any(step.name == package.name for step in turn.looked.steps),
    }
