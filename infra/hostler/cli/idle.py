"""hostler idle: what is idle, since when, and what comes of it."""

from __future__ import annotations

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
    """Show for each replica and host: idle since when, by which evidence, what will happen when, and what it saves.

    Idle is what had nothing in flight and did no work at every look of the whole time; what is not known counts as busy.
    What happens to it says `idle` of its model or pool; `shadow: true` there only reports. Nothing is changed here:
    `hostler sleep` and `hostler wake` do that by hand. Exit code 4 when a host does not answer.
    """
    from hostler.console import idle as shown
    from hostler.leases import rows
    from hostler.rollout import home, idle, snapshot
    from hostler.rollout.observe import observe

    out = Out(as_json=as_json)
    observation = observe(
        options.load(file), pulumi=False, limit_s=limit, after_first=AFTER_FIRST_S, without=out.say
    )
    saves = snapshot.saves(observation.hosts, observation.record)
    found = rows.rows(idle.subjects(observation), saves)
    silent = [seen for seen in observation.seen.values() if not seen.reached and not seen.parked]
    if as_json:
        out.json(found)
    elif found:
        shown.show(found, out)
    elif not home.unknown(observation):
        out.say("the stack is not up: `hostler up`")
    for seen in silent:
        out.say(f"error: {seen.host}: {seen.error}; what is idle there is not known")
        if seen.next_step:
            out.say(f"next: {seen.next_step}")
    return int(Exit.HOST if silent else Exit.DONE)
