"""hostler status: how it is now."""

from __future__ import annotations

import time

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import Exit

AFTER_FIRST_S = 1.5  # a dead host does not hold the others


@click.command()
@options.stack
@options.as_json
@click.option("--limit", default=10.0, show_default=True, help="Seconds to wait for the first host.")
def command(file: str | None, as_json: bool, limit: float) -> int:
    """Show hosts, cards, models and replicas as they are now; each fact with its age.

    Exit code 4 when a host does not answer; the others are shown all the same. Where AWS cannot be asked, what is
    rented is unknown, and shown as it was last seen from here.
    """
    from hostler.console import slots, status
    from hostler.rollout import home, lastknown
    from hostler.rollout.observe import observe

    out = Out(as_json=as_json)
    observation = observe(
        options.load(file), pulumi=False, limit_s=limit, after_first=AFTER_FIRST_S, without=out.say
    )
    report = status.report(
        observation.hosts, observation.seen, observation.record, known=not home.unknown(observation)
    )
    cloud = observation.cloud
    report["cloud"] = lastknown.row(cloud, time.time())
    rented = [name for name, pool in observation.file.stack.pools.items() if pool.aws]
    report["slots"] = (
        slots.rows(cloud.slots.slots, cloud.rented, unknown=rented if cloud.why else None) if cloud else []
    )
    if as_json:
        out.json(report)
    else:
        status.show(report, out)
        if report["slots"]:
            slots.show(report["slots"], out)
    return int(Exit.DONE if all(seen.reached for seen in observation.seen.values()) else Exit.HOST)
