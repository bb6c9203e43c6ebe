"""hostler sleep: give a pool's rented machines back until they are woken, or put engines to sleep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hostler.cli import options
from hostler.console.out import Out

if TYPE_CHECKING:
    from hostler.rollout.sleeping import Kind, Row, Word


@click.command()
@click.argument("name")
@options.stack
@options.as_json
@options.yes
@options.allow_downtime
@options.cut
@click.option("--model", "kind", flag_value="model", help="NAME is a model, where a pool has it, too.")
@click.option("--pool", "kind", flag_value="pool", help="NAME is a pool, where a model has it, too.")
def command(
    name: str, file: str | None, as_json: bool, yes: bool, allow_downtime: bool, cut: bool, kind: Kind | None
) -> int:
    """Put NAME, a pool or a model, to sleep until it is woken.

    Machines of a rented pool are given back: drained, ended (with `idle: {do: stop}` stopped), and parked, which is no
    drift for `up`. Replicas of a model, and those on a pool of your own machines, are drained and stopped, so that their
    cards' memory is free.
    """
    from hostler.errors import Exit
    from hostler.rollout import sleeping, up

    out = Out(as_json=as_json)
    loaded = options.load(file)
    found = sleeping.who(loaded, name, "sleep", kind)
    if not found.rented:
        return show(sleeping.engines(loaded, found, "sleep", out), "sleep", out)
    turn = up.Turn(park=(name,))
    chosen = up.Options(yes=yes, allow_downtime=allow_downtime, cut=cut, turn=turn, why=f"sleep {name}")
    up.up(loaded, out, chosen)
    return int(Exit.DONE)


def show(rows: tuple[Row, ...], word: Word, out: Out) -> int:
    """What each host said; the exit code."""
    from hostler.rollout import sleeping

    if out.as_json:
        out.json(sleeping.as_json(rows))
    else:
        out.table(("REPLICA", "HOST", "NOW", "WHY"), sleeping.table(rows, word))
    for row in rows:
        for problem in row.error.problems if row.error else ():
            out.problem(problem)
    return int(sleeping.code(rows))
