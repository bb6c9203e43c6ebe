"""hostler wake: bring a pool's parked machines back, or wake engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hostler.cli import options
from hostler.console.out import Out

if TYPE_CHECKING:
    from hostler.rollout.sleeping import Kind


@click.command()
@click.argument("name")
@options.stack
@options.as_json
@options.yes
@click.option("--partial", is_flag=True, help="Go on with the rented machines that are to be had.")
@click.option("--model", "kind", flag_value="model", help="NAME is a model, where a pool has it, too.")
@click.option("--pool", "kind", flag_value="pool", help="NAME is a pool, where a model has it, too.")
def command(name: str, file: str | None, as_json: bool, yes: bool, partial: bool, kind: Kind | None) -> int:
    """Wake NAME, a pool or a model.

    All parked machines of a rented pool come back, as `up` makes them; those that are stopped are started. Replicas of a
    model, and those on a pool of your own machines, are started and waited for; a machine that is suspended is woken
    first, where the stack file says how.
    """
    from hostler.cli.sleep import show
    from hostler.errors import Exit
    from hostler.rollout import sleeping, up

    out = Out(as_json=as_json)
    loaded = options.load(file)
    found = sleeping.who(loaded, name, "wake", kind)
    if not found.rented:
        return show(sleeping.engines(loaded, found, "wake", out), "wake", out)
    chosen = up.Options(yes=yes, partial=partial, turn=up.Turn(wake=(name,)), why=f"wake {name}")
    up.up(loaded, out, chosen)
    return int(Exit.DONE)
