"""What is worth a word: states of a snapshot that are not as they should be. Told when they begin, and when they are over.

Pure: a snapshot (`hostler status --json`) gives the alarms that are on; what is told is the difference to before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

SOON_D = 14.0  # days that a certificate has left
BUDGET = "budget-"
STEPS = tuple(f"{BUDGET}{state}" for state in ("warn", "hold", "stop"))
REFUSED = f"{BUDGET}refused"
QUIET = ("absent", "unknown", "suspended")  # why a host does not answer, where nobody needs to hear of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """`event`: what kind; `about`: whose. The same kind about the same thing is one alarm, however its words change.
    `next`: the command that mends it, or shows more."""

    event: str
    about: str
    text: str
    next: str = ""
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def name(self) -> str:
        return f"{self.event} {self.about}"


def on(snapshot: Mapping[str, Any]) -> dict[str, Alarm]:
    """By name, those that are on."""
    found = (
        *_hosts(snapshot),
        *_cards(snapshot),
        *_replicas(snapshot),
        *_strays(snapshot),
        *_money(snapshot),
    )
    return {one.name: one for one in (*found, *_idle(snapshot), *_certificates(snapshot))}


def news(before: Mapping[str, str], now: Mapping[str, Alarm]) -> tuple[list[Alarm], list[Alarm]]:
    """(those that began, those that are over). `before`: what was told last, by name: the alarm's text. A step of a budget
    is not over because the next one was reached."""
    began = [one for name, one in now.items() if name not in before]
    higher = {one.about for one in began if one.event.startswith(BUDGET)}
    over = [_over(name, text) for name, text in before.items() if name not in now]
    return began, [one for one in over if not (one.event in STEPS and one.about in higher)]


def _over(name: str, text: str) -> Alarm:
    event, _, about = name.partition(" ")
    return Alarm(event=event, about=about, text=f"over: {text}", details={"over": True})


def _hosts(snapshot: Mapping[str, Any]) -> Iterator[Alarm]:
    for row in snapshot.get("hosts") or ():
        if not row["reached"] and row["error_kind"] not in QUIET:
            text = f"{row['name']} does not answer: {row['error']}"
            told = str(row.get("next") or "")  # often no command
            step = told if told.startswith("hostler ") else "hostler doctor"
            yield Alarm(event="host", about=row["name"], text=text, next=step)


def _cards(snapshot: Mapping[str, Any]) -> Iterator[Alarm]:
    for row in snapshot.get("cards") or ():
        if row["state"] == "missing":
            text = f"{row['host']}: a card is gone, {row['name']} ({row['uuid']})"
            details = {"host": row["host"]}
            yield Alarm(event="card", about=row["uuid"], text=text, next="hostler doctor", details=details)


def _replicas(snapshot: Mapping[str, Any]) -> Iterator[Alarm]:
    for row in snapshot.get("replicas") or ():
        event: Mapping[str, Any] = row.get("event") or {}
        if event.get("wrong"):
            text = f"{row['id']} on {row['host']}: {event['what']}"
            details = {"model": row["model"]}
            yield Alarm(
                event="stall", about=row["id"], text=text, next=f"hostler logs {row['id']}", details=details
            )


def _strays(snapshot: Mapping[str, Any]) -> Iterator[Alarm]:
    swept: Mapping[str, Any] = snapshot.get("strays") or {}
    for row in swept.get("things") or ():
        text = f"stray {row['kind']} {row['id']} in {row['region']} costs, and no state knows it"
        yield Alarm(event="stray", about=str(row["id"]), text=text, next="hostler doctor --remove-strays")


def _money(snapshot: Mapping[str, Any]) -> Iterator[Alarm]:
    """Each step of a budget is an alarm of its own, and that a key is refused is one more than all of them."""
    money: Mapping[str, Any] = snapshot.get("money") or {}
    for row in money.get("budgets") or ():
        whose = str(row.get("key") or "the stack")
        text = f"budget of {whose}: {row['text']}"
        if row.get("refused_until"):
            yield Alarm(event=REFUSED, about=whose, text=text, next="hostler cost --by key")
        elif f"{BUDGET}{row.get('state')}" in STEPS:
            yield Alarm(
                event=f"{BUDGET}{row['state']}", about=whose, text=text, next="hostler cost --by host"
            )


def _idle(snapshot: Mapping[str, Any]) -> Iterator[Alarm]:
    """What should be gone and cannot go."""
    for row in snapshot.get("idle") or ():
        if row.get("stays"):
            text = f"{row['name']} is idle and cannot end: {row['stays']}"
            yield Alarm(event="stays", about=row["name"], text=text, next=f"hostler ssh {row['host']}")


def _certificates(snapshot: Mapping[str, Any]) -> Iterator[Alarm]:
    for row in snapshot.get("certificates") or ():
        if row["days"] is not None and row["days"] < SOON_D:
            text = f"the certificate {row['name']} on {row['host']} ends in {row['days']:.0f} days"
            yield Alarm(
                event="certificate", about=f"{row['host']}/{row['name']}", text=text, next="hostler up"
            )
