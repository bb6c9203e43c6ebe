"""hostler up: look, plan, ask, do, prove, record."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hostler.configure.types import Change, Plan
from hostler.console import memory
from hostler.console import plan as show
from hostler.console.out import Out
from hostler.errors import HostlerError, RefusedError
from hostler.models.types import Release
from hostler.record.types import Record
from hostler.rollout import (
    budgets,
    drivers,
    ending,
    gates,
    givenback,
    home,
    keys,
    networks,
    planfile,
    planning,
    rented,
    renting,
    sealed,
    strays,
    takenback,
    undo,
    verify,
)
from hostler.rollout.apply import apply, prune
from hostler.rollout.observe import Observation, observe, refuse_unreached, restore
from hostler.rollout.planning import Draft
from hostler.rollout.rented import Turn
from hostler.rollout.session import Session, session
from hostler.stackfile.sections import StackFile

STAYS = "note: what was rented stays, and costs; `hostler up` goes on, `hostler down` ends it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    yes: bool = False
    plan: Plan | None = None  # a saved one, to be applied verbatim
    release: Release | None = None  # to be made live, instead of what the file asks for
    allow_downtime: bool = False
    cut: bool = False
    restore: bool = False
    details: bool = False
    partial: bool = False  # goes on with the rented machines that were to be had
    turn: Turn = field(default_factory=Turn)
    why: str = "up"
    pulumi: bool = (
        True  # the controller has neither Pulumi nor rights in the cloud: what is rented stays as it is
    )
    bake_s: int = 0  # how long the first replica of each model is watched at least
    check: Callable[[Draft], None] = lambda _: None  # raises what speaks against each plan that is made


def up(file: StackFile, out: Out, options: Options) -> Draft | None:
    """Returns what was made true, None when a question was answered with no: what was done until then is said."""
    asked = out if options.pulumi else None
    observation = undisturbed(look(file, options, asked, pulumi=options.pulumi), out, options)
    observed, done = _with_drivers(observation, out, options)
    if observed is None:
        out.say("nothing was changed")
        return None
    observation = renting.planned(observed, out) if options.pulumi else observed
    release = options.plan.release if options.plan else options.release
    draft = planning.make(observation, release=release, why=options.why, tell=out.live)
    if options.plan:
        planfile.refuse_moved(options.plan, planfile.priced(draft))
    if out.as_json:
        out.json(show.as_json(draft.plan))
    else:
        show.show(draft.plan, out, details=options.details)
    gates.refuse(draft.plan, allow_downtime=options.allow_downtime)
    budgets.refuse(draft.observation)
    options.check(draft)
    out.say(show.summary(draft.plan))
    if settled(draft):
        givenback.note(observation, out)
        refuse_unreached(observation.seen)
        return draft
    if not draft.plan.empty and not out.confirm("Apply?", yes=options.yes):
        out.say("the driver is installed; nothing else was changed" if done else "nothing was changed")
        return None
    draft, left = strays.end(draft, out)
    done = _renting(draft, out, options)
    ending.raise_left(left)
    return done


def _renting(draft: Draft, out: Out, options: Options) -> Draft | None:
    """What is left to do after strays are gone: what is rented first."""
    observation = draft.observation
    if settled(draft):
        givenback.note(observation, out)
        return draft
    if options.pulumi and renting.due(observation):
        left = _rent(observation, out, options)
        cloud = observation.cloud
        filled = tuple(slot for slot in cloud.slots.fill if slot not in left) if cloud else ()
        options = replace(options, turn=replace(options.turn, leave=left, filled=filled))
        try:
            again = _expanded(draft, out, options)
        except HostlerError:
            if filled:
                out.say(STAYS)
            raise
        if again is None:
            return None
        draft = again
    return change(draft, out, options)


def _rent(observation: Observation, out: Out, options: Options) -> tuple[str, ...]:
    """The slots that got nothing."""
    try:
        return renting.expand(observation, out, partial=options.partial)
    except KeyboardInterrupt:
        out.say(STAYS)
        raise


def _with_drivers(observation: Observation, out: Out, options: Options) -> tuple[Observation | None, bool]:
    """Hosts without a driver get it first. None: the question was answered with no."""
    waiting = drivers.due(observation)
    if not waiting:
        return observation, False
    if not drivers.install(observation, waiting, out, options):
        return None, False
    return drivers.proved(look(observation.file, options), waiting), True


def _expanded(draft: Draft, out: Out, options: Options) -> Draft | None:
    """Machines are there, and the plan is made again from what they are. What differs from the prediction asks again;
    None: it was answered with no, and what was rented stays, as it is said."""
    observation, _ = _with_drivers(look(draft.observation.file, options), out, options)
    if observation is None:
        out.say(STAYS)
        return None
    fresh = planning.make(observation, release=draft.plan.release)
    options.check(fresh)
    if not renting.as_predicted(draft.plan.placement, fresh.plan.placement):
        out.say("note: the rented machines are not as predicted; this is the plan now")
        show.show(fresh.plan, out.narrating(), details=options.details)
        planfile.refuse_unlike(options.plan, yes=options.yes)
        gates.refuse(fresh.plan, allow_downtime=options.allow_downtime)
        if not out.confirm("Apply?", yes=options.yes):
            out.say(STAYS)
            return None
    return fresh


def rented_pools(file: StackFile) -> tuple[str, ...]:
    return tuple(name for name, pool in file.stack.pools.items() if pool.aws)


def look(file: StackFile, options: Options, out: Out | None = None, *, pulumi: bool = True) -> Observation:
    """Observes, and refuses to begin a new record where an old one was lost, or may be on a host that is off. `out`:
    may be asked to let this machine in, where it comes from another network now. `pulumi`: with its preview, for who plans next."""
    observation = observe(file, pulumi=pulumi, turn=options.turn)
    if out and renting.started(observation, out, yes=options.yes):
        observation = observe(file, pulumi=pulumi, turn=options.turn)
    if out and renting.let_in(observation, out, yes=options.yes):
        observation = observe(file, pulumi=pulumi, turn=options.turn)
    home.refuse_unknown(observation)
    if options.restore:
        return restore(observation)
    home.refuse_lost(observation)
    return observation


def undisturbed(observation: Observation, out: Out, options: Options) -> Observation:
    """What an interrupted run is still doing on the hosts is ended before anything is planned: a replica in the
    middle of its exchange is neither the old one nor the new one, and does not serve."""
    record = observation.record
    if record is None or record.journal is None:
        return observation
    reached = [name for name, seen in observation.seen.items() if seen.reached]
    out.say("note: the last run did not end well; what it left behind is ended first")
    with session(record, observation.gateway, observation.every, reached, out, why="up"):
        return look(observation.file, options, pulumi=options.pulumi)


def settled(draft: Draft) -> bool:
    """Nothing differs, and the last run ended well."""
    record = draft.observation.record
    return (
        draft.plan.empty
        and record is not None
        and record.journal is None
        and record.release == draft.record.release
    )


def change(draft: Draft, out: Out, options: Options) -> Draft:
    """Everything after the yes. Interrupted anywhere, the next `up` goes on."""
    observation = draft.observation
    reached = [name for name, seen in observation.seen.items() if seen.reached]
    started = time.monotonic()
    with (
        takenback.explained(observation),
        session(_before(draft), observation.gateway, observation.every, reached, out, why=options.why) as run,
    ):
        draft = _still_true(draft, run, out, options)
        _begin(run, draft)
        _accept(draft, out)
        with undo.guarded(observation.file, run, cut=options.cut):
            apply(
                draft,
                run,
                cut=options.cut,
                bake_s=options.bake_s,
                allow_downtime=options.allow_downtime,
            )
            draft = verify.differences(draft, run)
            models = changed_models(draft.plan.changes, draft)
            verify.routed(run, [r for r in draft.plan.placement.replicas if r.model in models])
            answers = verify.smoke(draft, run, models)
        renting.stays(draft.observation, run)
        _finish(run, draft)
        prune(draft, run)
        renting.contract(draft.observation, out, run.transports)
        verify.controller(draft, run)
    out.say(f"done in {time.monotonic() - started:.0f} s: {verify.sentence(answers)}")
    touched = {change.replica for change in draft.plan.changes}
    replicas = [replica for replica in draft.plan.placement.replicas if replica.id in touched]
    memory.tell(replicas, draft.observation.seen, out)
    with takenback.explained(observation):
        refuse_unreached(observation.seen)
    return draft


def _before(draft: Draft) -> Record:
    """The record with the home that it has until this change is done."""
    old = draft.observation.record
    return replace(draft.record, gateway_host=old.gateway_host if old else draft.record.gateway_host)


def _still_true(draft: Draft, run: Session, out: Out, options: Options) -> Draft:
    """Somebody may have changed the stack between the plan and the lock: then the plan is made again."""
    again = observe(draft.observation.file, pulumi=False, turn=options.turn)
    if options.restore:
        again = restore(again)
    _refuse_overtaken(draft, again)
    fresh = planning.make(replace(again, preview=draft.observation.preview), release=draft.plan.release)
    as_was = fresh.plan.observed == draft.plan.observed and fresh.plan.changes == draft.plan.changes
    if as_was and sealed.same(draft.plan, fresh.plan):
        run.record = again.record or run.record
        return fresh
    if options.plan or not options.yes:
        planfile.refuse_moved(draft.plan, fresh.plan)
    out.say("note: the hosts changed since the plan was made; this is the plan now")
    show.show(fresh.plan, out.narrating())
    gates.refuse(fresh.plan, allow_downtime=options.allow_downtime)
    run.record = again.record or run.record
    return fresh


def _refuse_overtaken(draft: Draft, again: Observation) -> None:
    """A release that was made from an older record must not take the place of one that somebody made since."""
    before, now, mine = draft.observation.record, again.record, draft.plan.release
    moved = before and now and before.release != now.release
    for other in now.releases if now else ():
        other_one = other.number == mine.number and (other.models, other.parts) != (mine.models, mine.parts)
        if other_one or (moved and now and other.number == now.release):
            raise RefusedError.of(
                f"release {mine.number}",
                expected="the stack as it was when this was planned",
                got=f"another release {other.number}, by {other.who}: {other.why}",
                next_step="run it again: it is planned anew",
            )


def _begin(run: Session, draft: Draft) -> None:
    """The hosts are this stack's, and the record says that a change is under way."""
    hosts = [name for name in run.transports if name not in draft.plan.removed_hosts]
    if before := draft.observation.record:
        run.leave(before.gateway_host, before)
    run.record = replace(run.record, uid=draft.record.uid, epoch=draft.record.epoch)
    run.claim(hosts)
    begun = undo.journal_of(
        draft.observation.record,
        run=run.run,
        release=draft.plan.release.number,
        who=networks.owner(),
        since=time.time(),
        file=draft.observation.file.digest,
    )
    run.commit(replace(_under_way(draft), journal=begun))
    keys.settled(draft.record.stack)


def _under_way(draft: Draft) -> Record:
    """The new releases are known; the live one is still the old, and a host that leaves is not forgotten."""
    before = draft.observation.record
    if before is None:
        return replace(draft.record, number=0, release=0, applied="", file_digest="")
    return replace(
        draft.record,
        number=before.number,
        release=before.release,
        hosts={**before.hosts, **draft.record.hosts},
        applied=before.applied,
        file_digest=before.file_digest,
    )


def _accept(draft: Draft, out: Out) -> None:
    """What was seen of the owned hosts is what is expected of them."""
    if not (draft.observation.preview and draft.observation.preview.changes):
        return
    out.live("pulumi: writing down what is expected of the hosts")
    observation = draft.observation
    fleet = rented.fleet_of(observation.file, uid=draft.record.uid, notice=out.say)
    fleet.up(observation.owned, lambda name: observation.seen[name], observation.preview)


def _finish(run: Session, draft: Draft) -> None:
    releases = tuple(
        replace(release, ended="good") if release.number == draft.record.release else release
        for release in draft.record.releases
    )
    run.commit(replace(draft.record, releases=releases, number=run.record.number, journal=None))


def changed_models(changes: Sequence[Change], draft: Draft) -> tuple[str, ...]:
    """Models of which something changed; all of them where the gateway did, or where a run was interrupted."""
    record = draft.observation.record
    if (record and record.journal) or any(change.part in ("gateway", "edge") for change in changes):
        return tuple(draft.plan.release.models)
    touched = {change.replica for change in changes if change.replica}
    return tuple(sorted({r.model for r in draft.plan.placement.replicas if r.id in touched}))
