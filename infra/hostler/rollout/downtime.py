"""Models that a plan takes away for a while: those whose requests wait at the gateway, and those that cannot answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hostler.configure import observed
from hostler.configure.types import Change, Exchange
from hostler.console import status
from hostler.hosts.types import Absent, Observed, Seen, Unknown, Value
from hostler.manifest.items import Effect
from hostler.models import lying
from hostler.models.types import Placement, Release, Replica
from hostler.placement.vacate import Vacated
from hostler.record.types import Record
from hostler.rollout import exchanges
from hostler.rollout.observe import Observation
from hostler.stackfile.sections import Hold, StackFile

SERVING = ("ready", "ready, route unknown")  # what is not known is not cut, either
LEFT_S = 60.0  # from a replica's end to the readiness of its successor elsewhere
AWAY_S = 60.0  # of a host that starts again
START_S = {"vllm": 60.0}  # of an engine, whatever its weights: stopped, started, asked
OTHERS_S = 15.0
ASKED_S = 10.0  # from the end of a container, and for the questions of the canary
READ = 400 << 20  # bytes a second of a disk
HOLDS = "/etc/hostler/gateway/hold.lua"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """How long a model's only serving replica is away. `why`: why requests cannot wait for it, empty where they do."""

    seconds: float
    why: str

    @property
    def held(self) -> bool:
        return not self.why


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a change happens to. `gateway`: the host that it is on until then."""

    file: StackFile
    seen: Mapping[str, Seen]
    gateway: str
    release: Release


def scene(observation: Observation, record: Record, release: Release) -> Scene:
    """`record`: as it was before the change."""
    return Scene(file=observation.file, seen=observation.seen, gateway=record.gateway_host, release=release)


def exchanged(scene: Scene, changes: Sequence[Change], placement: Placement) -> tuple[Exchange, ...]:
    """How replicas that serve are going to be exchanged, in the order of the run."""
    serving = [r for r in placement.replicas if serves(scene.seen, scene.gateway, r)]
    found = exchanges.expected(scene.file, scene.seen, scene.gateway, changes, placement, serving)
    return tuple(
        replace(one, must_stay=one.alone and not gap(scene, one.model, changes).held) for one in found
    )


def gaps(
    scene: Scene, changes: Sequence[Change], placement: Placement, ways: Sequence[Exchange] = ()
) -> dict[str, Gap]:
    """By model: those whose only serving replica changes. Doors stay open while their containers are exchanged, and so
    do models whose new replica starts beside the old one (`ways`)."""
    beside = {one.replica for one in ways if not one.in_place}
    serving = {r.id: r for r in placement.replicas if serves(scene.seen, scene.gateway, r)}
    touched = {
        c.replica: _gap(scene, serving[c.replica].model, c, changes) for c in _exchanges(changes, serving)
    }
    found: dict[str, Gap] = {}
    for replica, away in sorted(touched.items()):
        model = serving[replica].model
        others = {r.id for r in serving.values() if r.model == model and r.id != replica}
        if not others and not (replica in beside and not _reboots(changes, replica)):
            found[model] = away
    return found


def _reboots(changes: Sequence[Change], replica: str) -> bool:
    return any(c.replica == replica and c.effect is Effect.REBOOT for c in changes)


def _exchanges(changes: Sequence[Change], serving: Mapping[str, Replica]) -> Iterator[Change]:
    """The worst effect last: it is the one that counts."""
    order = (Effect.RESTART, Effect.DRAIN, Effect.REBOOT)
    found = [c for c in changes if c.replica in serving and c.effect in order]
    yield from sorted(found, key=lambda change: order.index(change.effect))


def _gap(scene: Scene, model: str, change: Change, changes: Sequence[Change]) -> Gap:
    if change.effect is Effect.REBOOT:
        return Gap(seconds=AWAY_S, why=f"{change.host} starts again")
    return gap(scene, model, changes)


def gap(scene: Scene, model: str, changes: Sequence[Change] = ()) -> Gap:
    """An exchange of a model's only replica. `changes`: of the same plan; the gateway's own come after it."""
    seconds = expected_s(scene.release, model, scene.seen)
    section = scene.file.stack.models.get(model)
    limits = section.hold if section else "none"
    if not isinstance(limits, Hold):
        return Gap(seconds=seconds, why="its requests do not wait (`hold: none`)")
    if not _live(scene) or _new(model, changes):
        return Gap(seconds=seconds, why="the gateway holds its requests only after this change")
    if seconds > limits.duration:
        return Gap(seconds=seconds, why=f"its requests wait for at most {limits.duration:.0f} s (`hold`)")
    return Gap(seconds=seconds, why="")


def _live(scene: Scene) -> bool:
    """Whether the gateway that runs knows how to hold requests."""
    seen = scene.seen.get(scene.gateway)
    return seen is not None and isinstance(observed.of(seen, f"path:{HOLDS}"), Value)


def _new(model: str, changes: Sequence[Change]) -> bool:
    """Whether what the gateway knows of a model's waiting requests is changed by the same plan."""
    details = (change.detail for change in changes if change.item == f"path:{HOLDS}")
    return any(
        line.startswith("+") and f'"model_{model}"' in line
        for detail in details
        for line in detail.splitlines()
    )


def expected_s(release: Release, model: str, seen: Mapping[str, Seen] | None = None) -> float:
    """From the stop of a replica to its successor's first answer. What is being answered is waited for before. As long as
    starts of the same weights took on its host; where none was seen, an engine's own time and the size over a usual disk."""
    runs = release.models[model].runs
    path = lying.on_host(runs.weights)
    values = [
        found.value
        for host in (seen or {}).values()
        for name, found in host.observed.items()
        if name.startswith(f"replica:{model}-") and isinstance(found, Value)
    ]
    took = [float(v["start_s"]) for v in values if v.get("start_s") and path.startswith(str(v["start_of"]))]
    if took:
        return round(max(took) + ASKED_S)
    return START_S.get(runs.engine, OTHERS_S) + round(runs.weights.total / READ)


def cut_meanwhile(
    leave_first: Sequence[Vacated], placement: Placement, seen: Mapping[str, Seen], before: Record
) -> dict[str, Gap]:
    """The same for models that are wanted further on, of which a replica that serves leaves before its successor has
    started, and nothing else serves."""
    seats = {(gone.replica, gone.host) for gone in leave_first}
    leaving = {
        r.model
        for r in before.replicas
        if (r.id, r.members[0].host) in seats and serves(seen, before.gateway_host, r)
    }
    placed = {r.model for r in placement.replicas}
    serving = {r.model for r in placement.replicas if serves(seen, before.gateway_host, r)}
    moves = Gap(seconds=LEFT_S, why="its replica leaves before the next one starts")
    return dict.fromkeys(sorted(leaving & placed - serving), moves)


def running(replicas: Sequence[Replica], seen: Mapping[str, Seen]) -> tuple[Replica, ...]:
    """Those whose container is there, or may be: what an interrupted run took away need not leave again."""
    return tuple(r for r in replicas if not isinstance(_container(r, seen), Absent))


def _container(replica: Replica, seen: Mapping[str, Seen]) -> Observed:
    host = seen.get(replica.members[0].host)
    return observed.of(host, f"container:{replica.id}") if host else Unknown("it was not probed", 0.0)


def serves(seen: Mapping[str, Seen], gateway: str, replica: Replica) -> bool:
    """Whether clients are answered by it now: its engine is ready, and the gateway sends it requests."""
    host = replica.members[0].host
    found = seen[host].observed.get(f"replica:{replica.id}") if host in seen else None
    route = status.route_of(replica, gateway, seen)
    return isinstance(found, Value) and status.state_of(found.value, route) in SERVING
