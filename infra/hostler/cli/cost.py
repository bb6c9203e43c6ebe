"""hostler cost: what it costs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import Exit, UsageError

if TYPE_CHECKING:
    from hostler.money.report import By

AFTER_FIRST_S = 1.5  # a dead host does not hold the others


@click.command()
@options.stack
@click.option(
    "--by", type=click.Choice(["model", "key", "host", "day"]), default="model", show_default=True, help="A row for each."
)  # fmt: skip
@click.option("--month", default="", metavar="YYYY-MM", help="Another month than this one.")
@options.as_json
@click.option("--csv", "as_csv", is_flag=True, help="Answer in CSV on standard output.")
@click.option("--limit", default=10.0, show_default=True, help="Seconds to wait for the first host.")
def command(file: str | None, by: By, month: str, as_json: bool, as_csv: bool, limit: float) -> int:
    """Show what the stack cost: today, this month, by its end, saved by idling, a million tokens.

    Measured and estimated are apart; what is not known is said and never counted as nothing. The controller counts
    (`controller: {}` in the stack file); without one it is shown what an hour costs now. Days are UTC's.
    """
    from hostler.console import cost as shown
    from hostler.rollout import cost
    from hostler.rollout.observe import observe

    if as_json and as_csv:
        raise UsageError.of("hostler cost", expected="--json or --csv", got="both")
    out = Out(as_json=as_json)
    observation = observe(
        options.load(file), pulumi=False, limit_s=limit, after_first=AFTER_FIRST_S, without=out.say
    )
    report = cost.of(observation, time.time(), month)
    if as_json:
        out.json(report)
    elif as_csv:
        out.data(shown.as_csv(report, by).rstrip("\n"))
        shown.show_notes(report, out)
    else:
        shown.show(report, by, out)
    return int(Exit.DONE if report["ledger"]["known"] else Exit.HOST)
