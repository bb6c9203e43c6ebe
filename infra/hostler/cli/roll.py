"""hostler roll: a rolling restart."""

from __future__ import annotations

import click

from hostler.cli import options
from hostler.console.out import Out


@click.command()
@click.argument("model")
@options.stack
@options.as_json
@options.allow_downtime
@options.cut
def command(model: str, file: str | None, as_json: bool, allow_downtime: bool, cut: bool) -> None:
    """Exchange MODEL's replicas one by one, as they are (a rolling restart)."""
    from hostler.rollout.roll import roll

    out = Out(as_json=as_json)
    rows = roll(options.load(file), model, out, allow_downtime=allow_downtime, cut=cut)
    if as_json:
        out.json(rows)
    else:
        out.table(("REPLICA", "HOST", "OUTCOME"), [(r["replica"], r["host"], r["outcome"]) for r in rows])
