"""hostler up: make the stack real."""

from __future__ import annotations

from pathlib import Path

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import Exit


@click.command()
@options.stack
@options.as_json
@options.yes
@options.allow_downtime
@options.cut
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Apply exactly this saved plan, or refuse.",
)
@click.option(
    "--restore", is_flag=True, help="The gateway's host was lost: go on with the newest copy of the record."
)
@click.option("--partial", is_flag=True, help="Go on with the rented machines that are to be had.")
@click.option("--wake", is_flag=True, help="Bring the parked machines of all pools back.")
@click.option(
    "--diff", is_flag=True, help="Show the lines of files that change, and why replicas are where they are."
)
def command(
    file: str | None,
    as_json: bool,
    yes: bool,
    allow_downtime: bool,
    cut: bool,
    plan_file: Path | None,
    restore: bool,
    partial: bool,
    wake: bool,
    diff: bool,
) -> int:
    """Make the stack real: show the plan, ask, do it, and prove it with an answer.

    A second `up` on a stack that is as it should be changes nothing and runs no Ansible.
    """
    from hostler.rollout import planfile, up

    out = Out(as_json=as_json)
    loaded = options.load(file)
    chosen = up.Options(
        yes=yes,
        plan=planfile.load(plan_file) if plan_file else None,
        allow_downtime=allow_downtime,
        cut=cut,
        restore=restore,
        details=diff,
        partial=partial,
        turn=up.Turn(wake=up.rented_pools(loaded) if wake else ()),
    )
    draft = up.up(loaded, out, chosen)
    if draft is None:
        return int(Exit.DONE)
    if not draft.plan.empty:
        from hostler.rollout.address import address_of

        out.say(
            f"address: {address_of(loaded, draft.observation)}/v1  (`hostler connect` shows key and snippets)"
        )
    return int(Exit.DONE)
