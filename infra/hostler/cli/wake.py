"""hostler wake: bring a pool's parked machines back."""

from __future__ import annotations

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import Exit


@click.command()
@click.argument("pool")
@options.stack
@options.as_json
@options.yes
@click.option("--partial", is_flag=True, help="Go on with the rented machines that are to be had.")
def command(pool: str, file: str | None, as_json: bool, yes: bool, partial: bool) -> int:
    """Bring all of POOL's parked machines back, as `up` makes them."""
    from hostler.rollout import up
    from hostler.rollout.sleeping import pool_of

    out = Out(as_json=as_json)
    loaded = options.load(file)
    turn = up.Turn(wake=(pool_of(loaded, pool, sleep=False),))
    up.up(loaded, out, up.Options(yes=yes, partial=partial, turn=turn, why=f"wake {pool}"))
    return int(Exit.DONE)
