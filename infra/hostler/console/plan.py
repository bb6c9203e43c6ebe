"""A plan as rows: the table people read before they say yes, and the same rows as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hostler.configure.types import Change, Exchange, Plan
from hostler.console.out import Out
from hostler.manifest.items import Effect
from hostler.models.types import Replica

HEADS = ("", "PART", "WHAT", "CHANGE", "EFFECT", "WHY")
SIGNS = {"add": "+", "change": "~", "remove": "-"}
NOTHING = ("", "not there", "not installed")
DIGEST = re.compile(r"@?sha256:([0-9a-f]{12})[0-9a-f]{52}")


def rows(changes: Iterable[Change]) -> list[tuple[str, ...]]:
    """One row a change, short enough to be read: digests by their first 12 digits, paths without their kind."""
    return [
        (
            SIGNS[change.action],
            str(change.part),
            short(change.item.removeprefix("path:")),
            short(moves(change)),
            "" if change.effect is Effect.NONE else str(change.effect),
            change.why,
        )
        for change in changes
    ]


def moves(change: Change) -> str:
    """What becomes of it: `then` where nothing was there, `now` where nothing will be, else both."""
    if change.action == "remove":
        return change.now
    return change.then if change.now in NOTHING else f"{change.now} -> {change.then}"


def short(text: str) -> str:
    return DIGEST.sub(r" \1", text)


def show(plan: Plan, out: Out, *, details: bool = False) -> None:
    """The table on standard output, a section a host; what to know about it on standard error."""
    for host in dict.fromkeys(change.host for change in plan.changes):
        out.data(host or "stack")
        out.table(HEADS, rows(change for change in plan.changes if change.host == host))
        for line in _details(plan, host) if details else ():
            out.data(line)
        out.data("")
    moved = {change.replica for change in plan.changes if change.replica and change.action != "remove"}
    for replica in plan.placement.replicas:
        why = plan.placement.reasons.get(replica.id, "") if details else ""
        if replica.id in moved or why:
            out.say(place(replica) + (f": {why}" if why else ""))
    for rejected in plan.placement.rejected:
        if rejected.replica in plan.placement.missing or rejected.replica in moved:
            out.say(f"not placed there: {rejected.replica} on {rejected.where}: {rejected.reason}")
    for gone in plan.vacated:
        out.say(
            f"first: {gone.replica} leaves {gone.host}: {gone.for_replica} needs the memory that it holds"
        )
    for notice in plan.notices:
        if notice.level != "refuse":
            out.say(f"{notice.level}: {f'{notice.where}: ' if notice.where else ''}{notice.text}")
    if plan.exchanges:
        out.say(in_turn(plan.exchanges))
    for model, seconds in plan.downtime_s.items():
        out.say(
            f"downtime: {model} cannot answer for about {seconds:.0f} s (nothing else serves it meanwhile)"
        )
    for model, seconds in plan.held_s.items():
        out.say(held(model, seconds))


def in_turn(exchanges: Sequence[Exchange]) -> str:
    """`exchange: first chat-1 on gpu2 (beside the old one), then chat-0 on gpu1 (in place: ...)`."""
    words = [f"{one.replica} on {one.host} ({way(one)})" for one in exchanges]
    return "exchange: " + (f"first {', then '.join(words)}" if len(words) > 1 else words[0])


def way(one: Exchange) -> str:
    return f"in place: {one.in_place}" if one.in_place else "beside the old one"


def held(model: str, seconds: float) -> str:
    return f"held: {model} waits about {seconds:.0f} s (new requests wait at the gateway, and are answered after)"


def place(replica: Replica) -> str:
    member = replica.members[0]
    cards = f"{len(member.cards)} card{'s' * (len(member.cards) != 1)}" if member.cards else "no card"
    return f"place: {replica.id} on {member.host} ({cards}, {replica.need_mib / 1024:.1f} GiB)"


def _details(plan: Plan, host: str) -> Iterator[str]:
    for change in plan.changes:
        if change.host == host and change.detail:
            yield from ("", f"  {change.item}", *(f"  {line}" for line in change.detail.splitlines()))


def summary(plan: Plan) -> str:
    """One line: how much there is to do, and the worst that it does."""
    if plan.empty:
        return "nothing to do: everything is as the stack file says"
    count, hosts = len(plan.changes), len({c.host for c in plan.changes if c.host})
    order = list(Effect)
    worst = max((c.effect for c in plan.changes), key=order.index)
    effect = "" if worst is Effect.NONE else f"; worst effect: {worst}"
    return f"{count} change{'s' * (count != 1)} on {hosts} host{'s' * (hosts != 1)}{effect}"


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
        "held_s": dict(plan.held_s),
        "exchanges": [encode(one) for one in plan.exchanges],
        "vacated": [encode(gone) for gone in plan.vacated],
        "empty": plan.empty,
    }
