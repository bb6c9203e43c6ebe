"""hostler rollout: a change that is under way or was interrupted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import Exit

if TYPE_CHECKING:
    from hostler.rollout.rollouts import Story

NOTHING = "no rollout is under way"


@click.group()
def command() -> None:
    """Show, finish or undo a change that was interrupted.

    A change that fails goes back by itself. One whose operator was cut off in the middle stays where it
    was, with every replica serving either what it ran before or the new release.
    """


@command.command()
@options.stack
@options.as_json
def status(file: str | None, as_json: bool) -> None:
    """Show which release each replica runs while a change is under way."""
    from hostler.rollout import rollouts

    out = Out(as_json=as_json)
    found = rollouts.story(options.load(file), out.say)
    if as_json:
        out.json(_as_json(found))
        return
    live = f"release {found.live.number} is live" if found.live else "no release is live"
    if found.journal is None or found.release is None:
        out.data(f"{NOTHING}; {live}")
        return
    way = {"back": "is going back", "upgrade": "runs on hosts that are being upgraded"}
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(found.journal.since))
    what = way.get(found.journal.stage, "is being made live")
    out.data(f"release {found.release.number} {what} since {since} by {found.journal.who}; {live}")
    out.table(("REPLICA", "HOST", "RUNS"), [(r["replica"], r["host"], r["runs"]) for r in found.rows])
    if found.journal.stage == "back":
        out.say("`hostler rollout resume` goes on going back; `hostler up` makes the stack file true instead")
    else:
        out.say("`hostler rollout resume` or `hostler up` goes on" + _or_back(found))


def _or_back(found: Story) -> str:
    return f"; no way back: {found.back}" if found.back else "; `hostler rollout abort` goes back"


def _as_json(found: Story) -> dict[str, Any]:
    journal = found.journal
    return {
        "live": found.live.number if found.live else None,
        "release": found.release.number if found.release else None,
        "stage": journal.stage if journal else None,
        "who": journal.who if journal else None,
        "since": journal.since if journal else None,
        "no_way_back": found.back if journal else "",
        "replicas": list(found.rows),
    }


@command.command()
@options.stack
@options.yes
@options.allow_downtime
@options.cut
def resume(file: str | None, yes: bool, allow_downtime: bool, cut: bool) -> int:
    """Go on with it, with exactly the versions that it began with."""
    from hostler.rollout import rollouts, up

    out = Out()
    chosen = up.Options(yes=yes, allow_downtime=allow_downtime, cut=cut)
    if not rollouts.resume(options.load(file), out, chosen):
        out.say(NOTHING)
    return int(Exit.DONE)


@command.command()
@options.stack
@options.yes
@options.cut
def abort(file: str | None, yes: bool, cut: bool) -> int:
    """Go back to the release that is live.

    Replicas that were exchanged already go back, too; the other release is marked failed.
    """
    from hostler.rollout import rollouts

    out = Out()
    if not rollouts.abort(options.load(file), out, yes=yes, cut=cut):
        out.say(NOTHING)
    return int(Exit.DONE)
