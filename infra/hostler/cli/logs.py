"""hostler logs: what a part of the stack says."""

from __future__ import annotations

import click

from hostler.cli import options
from hostler.console.out import Out


@click.command()
@click.argument("name")
@options.stack
@click.option("-n", "--lines", default=100, show_default=True, help="How many lines.")
@click.option("--follow", is_flag=True, help="Go on showing new lines.")
def command(name: str, file: str | None, lines: int, follow: bool) -> None:
    """Show what NAME says: a replica (chat-0), a model (all its replicas), gateway, edge, or controller.

    Prompts and answers are never logged, so they are not in it.
    """
    from hostler.rollout import logs

    logs.logs(options.load(file), name, Out(), lines=lines, follow=follow)
