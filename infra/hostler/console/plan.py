"""A plan as rows: the table people read before they say yes, and the same rows as JSON."""

from __future__ import annotations

from typing import Any

from hostler.configure.types import Change, Plan
from hostler.console.out import Out
from hostler.manifest.items import Effect

HEADS = ("HOST", "PART", "", "WHAT", "NOW", "THEN", "EFFECT", "WHY")
SIGNS = {"add": "+", "change": "~", "remove": "-"}


def rows(changes: tuple[Change, ...]) -> list[tuple[str, ...]]:
    return [
        (
            change.host or "stack",
            str(change.part),
            SIGNS[change.action],
            change.item,
            change.now or "-",
            change.then or "-",
            str(change.effect),
            change.why,
        )
        for change in changes
    ]


def show(plan: Plan, out: Out, *, details: bool = False) -> None:
    """The table on standard output, what to know about it on standard error."""
    if plan.changes:
        out.table(HEADS, rows(plan.changes))
    if details:
        for change in plan.changes:
            for line in change.detail.splitlines():
                out.data(f"  {line}")
    for replica in plan.placement.replicas:
        member = replica.members[0]
        cards = f"{len(member.cards)} card{'s' * (len(member.cards) != 1)}" if member.cards else "no card"
        out.say(f"place: {replica.id} on {member.host} ({cards}, {replica.need_mib / 1024:.1f} GiB)")
    for rejected in plan.placement.rejected:
        out.say(f"not placed there: {rejected.replica} on {rejected.where}: {rejected.reason}")
    for notice in plan.notices:
        out.say(f"{notice.level}: {f'{notice.where}: ' if notice.where else ''}{notice.text}")
    for model, seconds in plan.downtime_s.items():
        out.say(f"downtime: {model} cannot answer for about {seconds:.0f} s (its only replica changes)")


def summary(plan: Plan) -> str:
    """One line: how much there is to do, and the worst that it does."""
    if plan.empty:
        return "nothing to do: everything is as the stack file says"
    count, hosts = len(plan.changes), len({c.host for c in plan.changes if c.host})
    order = list(Effect)
    worst = max((c.effect for c in plan.changes), key=order.index)
    effect = "" if worst is Effect.NONE else f"; worst effect: {worst}"
    return f"{count} change{'s' * (count != 1)} on {hosts} host{'s' * (hosts != 1)}{effect}; +0.00/h (owned hosts)"


def as_json(plan: Plan) -> dict[str, Any]:
    from hostler.codec import encode

    return {
        "stack": plan.stack,
        "file": plan.file,
        "observed": plan.observed,
        "release": plan.release.number,
        "changes": [encode(change) for change in plan.changes],
        "placement": encode(plan.placement),
        "notices": [encode(notice) for notice in plan.notices],
        "downtime_s": dict(plan.downtime_s),
        "empty": plan.empty,
    }
