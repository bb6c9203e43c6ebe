"""hostler plan: what `up` would do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import Exit

if TYPE_CHECKING:
    from hostler.configure.types import Plan


@click.command()
@options.stack
@options.as_json
@click.option("--check", is_flag=True, help="Exit 10 when there are changes, 0 when there are none.")
@click.option(
    "--out",
    "out_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Save the plan for `up --plan`; where there are secrets, on this machine.",
)
@click.option(
    "--diff", is_flag=True, help="Show the lines of files that change, and why replicas are where they are."
)
@click.option("--restore", is_flag=True, help="Plan with the newest copy of a lost record.")
def command(
    file: str | None, as_json: bool, check: bool, out_file: Path | None, diff: bool, restore: bool
) -> int:
    """Show what `up` would change, and change nothing."""
    from hostler.console import plan as show
    from hostler.rollout import drivers, gates, planfile, planning, renting, up
    from hostler.rollout.observe import refuse_unreached

    out = Out(as_json=as_json)
    observation = up.look(options.load(file), up.Options(restore=restore))
    if waiting := drivers.due(observation):
        made = drivers.plan(drivers.asked(observation, waiting), waiting)
        _drivers_first(made, out, details=diff, out_file=out_file)
        refuse_unreached(observation.seen)
        return int(Exit.CHANGES) if check else int(Exit.DONE)
    draft = planning.make(renting.planned(observation, out), tell=out.live)
    if as_json:
        out.json(show.as_json(draft.plan))
    else:
        show.show(draft.plan, out, details=diff)
    out.say(show.summary(draft.plan))
    if out_file:
        planfile.save(draft, out_file)
        out.say(f"saved: apply exactly this with `hostler up --plan {out_file}`")
    gates.refuse(draft.plan, allow_downtime=True)
    refuse_unreached(draft.observation.seen)
    return int(Exit.CHANGES) if check and not up.settled(draft) else int(Exit.DONE)


def _drivers_first(plan: Plan, out: Out, *, details: bool, out_file: Path | None) -> None:
    """Hosts that get NVIDIA's driver: the rest is planned when their cards are known."""
    from hostler.console import plan as show
    from hostler.rollout import drivers, gates

    if out.as_json:
        out.json(show.as_json(plan))
    else:
        show.show(plan, out, details=details)
    out.say(show.summary(plan))
    if out_file:
        raise drivers.not_yet({change.host for change in plan.changes})
    gates.refuse(plan, allow_downtime=True)
