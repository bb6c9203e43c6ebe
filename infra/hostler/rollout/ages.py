"""Whether an image is older than what runs, or too young to be taken. Pure."""

from __future__ import annotations

from typing import Literal

DAY_S = 86400.0

Bar = Literal["", "young", "back", "older", "unknown"]


def stopped(
    built: float | None, before: float | None, min_age: float, now: float, *, back: str = ""
) -> tuple[Bar, str]:
    """What stops a candidate, and why, for people; empty: nothing. `built` and `before`: when it and what runs were made,
    in seconds since 1970, None: not known; `back`: why it is not tried again."""
    if built is not None and before is not None and built < before:
        days = (before - built) / DAY_S
        return "older", f"it is older than what runs, by {days:.1f} days: the tag was moved back"
    if back:
        return "back", f"{back} (--again: all the same)"
    if built is not None and now - built < min_age:
        waits = (built + min_age - now) / DAY_S
        age = (now - built) / DAY_S
        return (
            "young",
            f"it is {age:.1f} days old; min_age lets it in in {waits:.1f} days (--now: at once)",
        )
    return "", ""
