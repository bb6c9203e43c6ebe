"""hostler rollback: back to what an older release ran."""

from __future__ import annotations

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import Exit


@click.command()
@click.argument("number", required=False, type=click.IntRange(min=1), metavar="[N]")
@options.stack
@options.as_json
@options.yes
@options.allow_downtime
@options.cut
def command(
    number: int | None, file: str | None, as_json: bool, yes: bool, allow_downtime: bool, cut: bool
) -> int:
    """Run again what release N ran, rolled like any change; without N, what ran before the live release.

    It becomes a new release under the stack file as it is, so the next `up` does not undo it. Replicas, pools and
    the gateway stay as the file says: only versions, words and weights of models go back.
    """
    from hostler.rollout import rollback

    out = Out(as_json=as_json)
    chosen = rollback.Options(yes=yes, allow_downtime=allow_downtime, cut=cut)
    rollback.rollback(options.load(file), number, out, chosen)
    return int(Exit.DONE)
