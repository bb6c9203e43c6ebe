"""hostler sleep: give a pool's rented machines back until they are woken."""

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
@options.allow_downtime
@options.cut
def command(pool: str, file: str | None, as_json: bool, yes: bool, allow_downtime: bool, cut: bool) -> int:
    """Give POOL's rented machines back: drained, ended, and parked, which is no drift for `up`."""
    from hostler.rollout import up
    from hostler.rollout.sleeping import pool_of

    out = Out(as_json=as_json)
    loaded = options.load(file)
    turn = up.Turn(park=(pool_of(loaded, pool, sleep=True),))
    chosen = up.Options(yes=yes, allow_downtime=allow_downtime, cut=cut, turn=turn, why=f"sleep {pool}")
    up.up(loaded, out, chosen)
    return int(Exit.DONE)
