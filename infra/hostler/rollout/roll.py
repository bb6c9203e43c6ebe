"""hostler roll: a rolling restart, one replica at a time, as they are."""

from __future__ import annotations

from hostler.console.out import Out
from hostler.console.plan import held
from hostler.errors import RefusedError, RolledBackError, UsageError
from hostler.hosts.trouble import AgentError
from hostler.models.release import live_release
from hostler.models.types import Placement, Replica
from hostler.record.types import Record
from hostler.rollout import downtime, exchanges, home, verify
from hostler.rollout.apply import or_refused
from hostler.rollout.observe import Observation, home_of, observe
from hostler.rollout.session import Session, session
from hostler.stackfile.sections import StackFile

RESTORED = 4  # the agent's exit status: the old one is back
LIMIT_S = 3600.0  # the drain and the load have limits of their own


def roll(file: StackFile, model: str, out: Out, *, allow_downtime: bool, cut: bool) -> list[dict[str, str]]:
    """What became of each replica, in order. Stops at the first that does not come back."""
    observation = observe(file, pulumi=False)
    record = home.running(observation)
    replicas = _replicas(record, model)
    replicas = exchanges.in_order(replicas, observation.seen, record.gateway_host)
    # what does not serve first: when it stays so, nothing else is touched
    replicas.sort(key=lambda replica: downtime.serves(observation.seen, record.gateway_host, replica))
    beside = len(replicas) < 2 and not allow_downtime and _alone(observation, record, replicas[0], out)
    reached = [name for name, seen in observation.seen.items() if seen.reached]
    with session(record, home_of(observation), observation.every, reached, out, why=f"roll {model}") as run:
        return [_exchange(run, replica, out, cut=cut, beside=beside) for replica in replicas]


def _alone(observation: Observation, record: Record, replica: Replica, out: Out) -> bool:
    """A model's only replica starts beside the old one, or its requests wait at the gateway, or the roll is refused.
    Whether beside is the only way."""
    placement = Placement(replicas=record.replicas)
    in_place = exchanges.in_place(observation.file, observation.seen, placement, replica)
    release = live_release(record)
    if release is None or replica.model not in release.models:
        gap = downtime.Gap(seconds=downtime.LEFT_S, why="its release is not known")
    else:
        gap = downtime.gap(downtime.scene(observation, record, release), replica.model)
    if not in_place:
        out.say(f"exchange: {replica.id} on {replica.members[0].host} (beside the old one)")
        return not gap.held
    if not gap.held:
        raise RefusedError.of(
            f"model {replica.model}",
            expected="two replicas, so that one serves while the other restarts",
            got=f"one, {replica.id}; beside it there is no room ({in_place}), and {gap.why}",
            next_step="repeat with --allow-downtime",
        )
    out.say(held(replica.model, gap.seconds))
    return False


def _replicas(record: Record, model: str) -> list[Replica]:
    known = record.replicas
    found = sorted((r for r in known if r.model == model), key=lambda r: r.id)
    if not found:
        raise UsageError.of(
            "hostler roll",
            expected=f"one of {', '.join(sorted({r.model for r in known})) or 'the models that run (none does)'}",
            got=model,
            next_step="`hostler status` shows what runs",
        )
    return found


def _exchange(run: Session, replica: Replica, out: Out, *, cut: bool, beside: bool) -> dict[str, str]:
    host = replica.members[0].host
    out.live(f"{replica.id} on {host}: another one starts; then the old one drains")
    try:
        with or_refused():
            answer = run.call(host, "exchange", LIMIT_S, id=replica.id, force=True, cut=cut, beside=beside)
    except AgentError as error:
        if error.rc != RESTORED:
            raise
        raise RolledBackError(*error.problems) from error
    verify.routed(run, (replica,))
    out.say(f"{replica.id} on {host}: {answer['outcome']}: {answer['why']}")
    return {"replica": replica.id, "host": host, "outcome": str(answer["outcome"])}
