"""hostler pulumi: the CLI itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hostler.cli import options

if TYPE_CHECKING:
    from hostler.hosts.types import Seen


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@options.stack
def command(words: tuple[str, ...], file: str | None) -> int:
    """Run the Pulumi CLI on this stack: hostler pulumi -- stack export."""
    from hostler.rollout import rented
    from hostler.rollout.observe import look, questions_of
    from hostler.stackfile.hosts import hosts_of

    loaded = options.load(file)
    hosts = hosts_of(loaded)
    found: dict[str, Seen] = {}

    def seen(name: str) -> Seen:
        """All hosts are looked at once, and only when Pulumi asks for one."""
        found.update({} if found else look(hosts, questions_of(loaded)))
        return found[name]

    return rented.fleet_of(loaded).passthrough(list(words), hosts, seen)
