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
    rented is unknown, and shown as it was last seen from here. `--json` is what the controller's page shows.
    """
    from hostler.console import idle, slots, status, updates
    from hostler.rollout import snapshot, sweep
    from hostler.rollout.observe import observe

    out = Out(as_json=as_json)
    observation = observe(
        options.load(file), pulumi=False, limit_s=limit, after_first=AFTER_FIRST_S, without=out.say, sweep=True
    )  # fmt: skip
    report = snapshot.of(observation, time.time(), money=as_json)
    if as_json:
        out.json(report)
    else:
        status.show(report, out)
        if report["slots"]:
            slots.show(report["slots"], out)
        for line in sweep.lines(observation.swept):
            out.say(line)
        if words := idle.sentence(report["idle"]):
            out.data("")
            out.data(f"idle: {words}")
        updates.show(report["updates"], out)
    answered = (seen.reached or seen.parked for seen in observation.seen.values())
    return int(Exit.DONE if all(answered) else Exit.HOST)
