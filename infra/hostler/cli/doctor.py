"""hostler doctor: what is wrong, and what to do about it."""

from __future__ import annotations

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import Exit


@click.command()
@options.stack
@options.as_json
@click.option(
    "--remove-strays", is_flag=True, help="End rented things of this stack that no state knows any more."
)
def command(file: str | None, as_json: bool, remove_strays: bool) -> int:
    """Look for what is wrong with this machine and the hosts; each finding with its next step."""
    from hostler.rollout import doctor

    out = Out(as_json=as_json)
    findings = doctor.examine(file, remove_strays=remove_strays)
    if as_json:
        out.json([finding.as_row() for finding in findings])
    else:
        out.table(("", "WHERE", "WHAT", "NEXT"), [finding.row() for finding in findings])
    return int(Exit.HOST if any(finding.bad for finding in findings) else Exit.DONE)
