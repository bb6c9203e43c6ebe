"""hostler pulumi: the CLI itself."""

from __future__ import annotations

import click

from hostler.cli import options


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@options.stack
def command(words: tuple[str, ...], file: str | None) -> int:
    """Run the Pulumi CLI on this stack: hostler pulumi -- stack export."""
    from hostler.provision.fleet import Fleet

    return Fleet(options.load(file).stack.stack).passthrough(list(words))
