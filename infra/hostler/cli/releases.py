"""hostler releases: what ran when, and how each ended."""

from __future__ import annotations

import time

import click

from hostler.cli import options
from hostler.console.out import Out


@click.command()
@options.stack
@options.as_json
def command(file: str | None, as_json: bool) -> None:
    """Show what ran when, what each release changed, and how it ended; the newest first.

    KEPT: what it needs is still on the hosts, so that `hostler rollback N` downloads nothing.
    """
    from hostler.rollout import home, releases
    from hostler.rollout.observe import observe

    out = Out(as_json=as_json)
    rows = releases.rows(home.running(observe(options.load(file), pulumi=False, without=out.say)))
    if as_json:
        out.json(rows)
        return
    out.table(
        ("RELEASE", "WHEN", "WHO", "WHY", "ENDED", "KEPT", "CHANGED"),
        [
            (
                f"{'*' if row['live'] else ' '} {row['release']}",
                time.strftime("%Y-%m-%d %H:%M", time.localtime(row["when"])),
                row["who"],
                row["why"],
                row["ended"],
                "yes" if row["kept"] else "",
                "; ".join(row["changed"]),
            )
            for row in rows
        ],
    )
