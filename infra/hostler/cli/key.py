"""hostler key: clients' keys."""

from __future__ import annotations

import click

from hostler.cli import options
from hostler.console.out import Out


@click.group()
def command() -> None:
    """Add, list and revoke the keys of clients; the change works at once."""


@command.command()
@click.argument("name")
@options.stack
@options.as_json
def add(name: str, file: str | None, as_json: bool) -> None:
    """Make a key called NAME and show it once."""
    from hostler.rollout import keyring

    out = Out(as_json=as_json)
    made = keyring.add(options.load(file), name, out)
    if as_json:
        out.json({"name": name, "key": made})
    else:
        out.data(made)
    out.say("shown once; only its hash is on the hosts")


@command.command(name="list")
@options.stack
@options.as_json
def list_(file: str | None, as_json: bool) -> None:
    """Show the names of the keys and since when they are valid."""
    from hostler.rollout import keyring

    out = Out(as_json=as_json)
    rows = keyring.listed(options.load(file), out)
    if as_json:
        out.json(rows)
    else:
        out.table(("NAME", "SINCE", "KNOWN HERE"), [(r["name"], r["since"], r["here"]) for r in rows])


@command.command()
@click.argument("name")
@options.stack
def revoke(name: str, file: str | None) -> None:
    """Make the key called NAME invalid."""
    from hostler.rollout import keyring

    keyring.revoke(options.load(file), name, Out())
