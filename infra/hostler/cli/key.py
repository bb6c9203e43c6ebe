"""hostler key: clients' keys."""

from __future__ import annotations

import click

from hostler.cli import options
from hostler.console.out import Out


@click.group()
def command() -> None:
    """Add, list and revoke keys: of clients, and for the controller's page. The change works at once."""


@command.command()
@click.argument("name")
@options.stack
@options.as_json
@click.option("--admin", is_flag=True, help="For the controller's page (/hostler) instead of the models.")
def add(name: str, file: str | None, as_json: bool, admin: bool) -> None:
    """Make a key called NAME and show it once."""
    from hostler.rollout import keyring

    out = Out(as_json=as_json)
    made = keyring.add(options.load(file), name, out, admin=admin)
    if as_json:
        out.json({"name": name, "key": made})
    else:
        out.data(made)
    out.say("shown once; only its hash is on the hosts")


@command.command(name="list")
@options.stack
@options.as_json
def list_(file: str | None, as_json: bool) -> None:
    """Show the names of the keys, since when they are valid, and until when one is refused as its budget is used up."""
    from hostler.rollout import keyring

    out = Out(as_json=as_json)
    rows = keyring.listed(options.load(file), out)
    if as_json:
        out.json(rows)
    else:
        heads = ("NAME", "FOR", "SINCE", "KNOWN HERE", "REFUSED")
        names = ("name", "for", "since", "here", "refused")
        out.table(heads, [tuple(row[name] for name in names) for row in rows])


@command.command()
@click.argument("name")
@options.stack
def revoke(name: str, file: str | None) -> None:
    """Make the key called NAME invalid."""
    from hostler.rollout import keyring

    keyring.revoke(options.load(file), name, Out())
