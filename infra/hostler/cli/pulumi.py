"""hostler pulumi: the CLI itself."""

from __future__ import annotations

import click

from hostler.cli import options


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@options.stack
def command(words: tuple[str, ...], file: str | None) -> int:
    """Run the Pulumi CLI on this stack: hostler pulumi -- stack export.

    Where machines are rented, what would end them undrained is refused.
    """
    from hostler.console.out import Out
    from hostler.rollout import byhand

    return byhand.pulumi(options.load(file), words, Out())
