"""A change that is under way or was interrupted: what it is, which release each replica runs, and its two ends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hostler.configure import build
from hostler.configure.observed import value
from hostler.configure.wish import Wish
from hostler.console.out import Out
from hostler.errors import RefusedError
from hostler.hosts.types import Seen
from hostler.manifest.items import Container
from hostler.models.release import live_release
from hostler.models.types import Placement, Release, Replica
from hostler.record.types import Journal, Record
from hostler.rollout import home, networks, recorded, undo
from hostler.rollout import up as ups
from hostler.rollout.lastknown import Tell
from hostler.rollout.observe import Observation, home_of, observe, refuse_unreached
from hostler.rollout.releases import ABORTED
from hostler.rollout.session import session
from hostler.stackfile.sections import StackFile

NEITHER, NOTHING, UNKNOWN = "neither", "nothing", "unknown"

type Specs = Mapping[str, tuple[Container, ...]]  # of replicas, by host


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """`release`: the one that is being made live, None: nothing is under way; `live`: the one that is."""

    live: Release | None
    release: Release | None
    journal: Journal | None
    back: str  # why `abort` is not possible; empty: it is
    rows: tuple[dict[str, Any], ...] = ()


def story(file: StackFile, without: Tell | None = None) -> Story:
    """Reads only. `without` hears of it where AWS cannot be asked. Raises HostError, RefusedError where there is no
    record."""
    observation = observe(file, pulumi=False, without=without)
    record = home.running(observation)
    journal = record.journal
    release = _of(record, journal)
    return Story(
        live=live_release(record),
        release=release,
        journal=journal,
        back=undo.obstacle(record),
        rows=tuple(_rows(observation, record, journal, release)) if journal and release else (),
    )


def _of(record: Record, journal: Journal | None) -> Release | None:
    return next((r for r in record.releases if journal and r.number == journal.release), None)


def _rows(
    observation: Observation, record: Record, journal: Journal, release: Release
) -> list[dict[str, Any]]:
    """A row a replica: which of the two releases its container runs. No secret is looked up for that."""

    def containers(file: StackFile, of: Release, replicas: tuple[Replica, ...]) -> Specs:
        seats = Placement(replicas=replicas)
        hosts, seen = observation.hosts, observation.seen
        return build.replicas(
            Wish(file=file, hosts=hosts, seen=seen, release=of, placement=seats, record=record)
        )

    specs = {release.number: containers(observation.file, release, record.replicas)}
    live = live_release(record)
    if live and journal.before.applied and live.number != release.number:
        before = recorded.load(journal.before.applied, observation.file)
        specs[live.number] = containers(before, live, journal.before.replicas)
    replicas = {r.id: r for r in (*journal.before.replicas, *record.replicas)}
    return [_row(replica, observation, specs) for _, replica in sorted(replicas.items())]


def _row(replica: Replica, observation: Observation, specs: Mapping[int, Specs]) -> dict[str, Any]:
    host = replica.members[0].host
    return {
        "replica": replica.id,
        "host": host,
        "runs": _runs(replica.id, observation.seen.get(host), host, specs),
    }


def _runs(replica: str, seen: Seen | None, host: str, specs: Mapping[int, Specs]) -> str:
    if seen is None or not seen.reached:
        return UNKNOWN
    found = value(seen, f"container:{replica}")
    if not found or not found.get("running"):
        return NOTHING
    for number, containers in specs.items():
        if any(one.id == replica and one.digest == found.get("spec") for one in containers.get(host, ())):
            return f"release {number}"
    return NEITHER


def resume(file: StackFile, out: Out, options: ups.Options) -> bool:
    """Goes on with what was interrupted: forward, or back where it was going back. Whether anything was under way."""
    observation = ups.look(file, options, out, pulumi=False)
    record = home.running(observation)
    journal, release = record.journal, _of(record, record.journal)
    if journal is None or release is None:
        return False
    if journal.stage == undo.BACK:
        out.say(f"release {release.number} was going back; that goes on")
        return abort(file, out, yes=options.yes, cut=options.cut)
    if file.digest != journal.file:
        raise RefusedError.of(
            file.path,
            expected="the stack file with which the change began",
            got="another one",
            next_step="`hostler up` makes the file as it is now true; `hostler rollout abort` goes back",
        )
    ups.up(file, out, replace(options, release=release, why=release.why or "rollout resume"))
    return True


def abort(file: StackFile, out: Out, *, yes: bool, cut: bool) -> bool:
    """Goes back to the live release. Whether anything was under way. Raises RefusedError where there is no way back."""
    observation = ups.look(file, ups.Options(yes=yes), out, pulumi=False)
    record = home.running(observation)
    if record.journal is None:
        return False
    if why := undo.obstacle(record):
        raise RefusedError.of(
            f"release {record.journal.release}",
            expected="a release to go back to",
            got=why,
            next_step="`hostler up` goes on; `hostler down` takes everything away",
        )
    if not out.confirm(f"Go back to release {record.release}?", yes=yes):
        out.say("nothing was changed")
        return True
    reached = [name for name, seen in observation.seen.items() if seen.reached]
    why = f"{ABORTED} by {networks.owner()}, {time.strftime('%Y-%m-%d %H:%M')}"
    with session(record, home_of(observation), observation.every, reached, out, why="rollout abort") as run:
        draft = undo.back(file, run, why, cut=cut)
    if draft:
        refuse_unreached(draft.observation.seen)
    return True
