"""Keys whose requests are refused, as what they may cost is used up. Pure. What nobody knows refuses nobody.

A key has a share of what its models cost, and shares move: what was refused stays so until the month is over, or the sum is
raised above the most that was seen of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from math import isclose

from hostler.money import months
from hostler.money.budget import Limits, Sum
from hostler.money.report import Report
from hostler.money.sums import Rating


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """`until`: the month's end, in seconds since 1970; `spent`: the most that was seen, in the currency of `limit`; `worth`:
    what one unit of that was worth in the sums."""

    key: str
    until: float
    spent: float
    limit: Sum
    worth: float

    def words(self, zone: tzinfo = UTC) -> str:
        """For who is refused."""
        when = datetime.fromtimestamp(self.until, zone).strftime("%Y-%m-%d %H:%M %Z")
        most = f"{self.limit.amount:.2f} {self.limit.currency}"
        return f"{self.spent:.2f} of {most}; it is free again on {when}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the gateway was told of a key: until when it is refused (seconds since 1970), and the words of the answer."""

    until: float
    text: str

    def lifted(self, key: str) -> str:
        """For who runs the stack."""
        return f"its requests are refused: {self.text}, or when budget.keys.{key}.act is raised and `hostler up` has run"


def judged(
    before: Iterable[Refused], limits: Limits, report: Report, rating: Rating, zone: tzinfo = UTC
) -> tuple[Refused, ...]:
    """By `report`, of this month on the clock of `zone`. `rating`: what one unit of a currency is worth in the report's."""
    until = months.end(report.month, zone)
    if report.since is None:  # the ledger has nothing: that is not 0
        return kept(before, limits, report.now)
    lines = {line.name: line.cost for line in report.by["key"]}
    known = {one.key: one for one in before if one.until == until}
    found = list[Refused]()
    for key, limit in limits.acts.items():
        worth = rating(limit.currency)
        if not worth:
            continue
        spent = lines[key].amount / worth if key in lines else 0.0
        last = known.get(key)
        if last and last.limit.currency == limit.currency and isclose(last.worth, worth):
            spent = max(spent, last.spent)
        if spent >= limit.amount:
            found.append(Refused(key=key, until=until, spent=spent, limit=limit, worth=worth))
    return tuple(found)


def kept(before: Iterable[Refused], limits: Limits, now: float) -> tuple[Refused, ...]:
    """Of what was judged once, that which holds by the limits of now, as long as nobody knows more."""
    found = list[Refused]()
    for one in before:
        limit = limits.acts.get(one.key)
        if limit and now < one.until and limit.currency == one.limit.currency and one.spent >= limit.amount:
            found.append(replace(one, limit=limit))
    return tuple(found)


def told(found: Iterable[Refused], zone: tzinfo = UTC) -> Mapping[str, Told]:
    """By key."""
    return {one.key: Told(until=one.until, text=one.words(zone)) for one in found}
