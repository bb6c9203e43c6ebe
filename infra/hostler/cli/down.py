"""hostler down: take it all away."""

from __future__ import annotations

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import Exit


@click.command()
@options.stack
@options.as_json
@options.yes
@options.cut
@click.option("--keep-models", is_flag=True, help="Leave the model files where they are.")
def command(file: str | None, as_json: bool, yes: bool, cut: bool, keep_models: bool) -> int:
    """Remove everything that `up` put on the hosts; each is left as it was found.

    Rented machines are drained and ended, with all that was made for them, and the account is read back.
    """
    from hostler.rollout import down

    out = Out(as_json=as_json)
    if not down.down(options.load(file), out, down.Options(yes=yes, keep_models=keep_models, cut=cut)):
        out.say("nothing was removed")
    return int(Exit.DONE)
