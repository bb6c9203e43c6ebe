"""hostler plan: what `up` would do."""

from __future__ import annotations

from pathlib import Path

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import Exit


@click.command()
@options.stack
@options.as_json
@click.option("--check", is_flag=True, help="Exit 10 when there are changes, 0 when there are none.")
@click.option(
    "--out",
    "out_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Save the plan for `up --plan`.",
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
    from hostler.rollout import gates, planfile, planning, up
    from hostler.rollout.observe import refuse_unreached

    out = Out(as_json=as_json)
    draft = planning.make(up.look(options.load(file), up.Options(restore=restore)))
    if as_json:
        out.json(show.as_json(draft.plan))
    else:
        show.show(draft.plan, out, details=diff)
    out.say(show.summary(draft.plan))
    if out_file:
        planfile.save(draft.plan, out_file)
        out.say(f"saved: apply exactly this with `hostler up --plan {out_file}`")
    gates.refuse(draft.plan, allow_downtime=True)
    refuse_unreached(draft.observation.seen)
    return int(Exit.CHANGES) if check and not up.settled(draft) else int(Exit.DONE)
