"""Reading what a probe saw: by name, never silently fine."""

from __future__ import annotations

from typing import Any

from hostler.hosts.types import Absent, Observed, Seen, Unknown, Value

# What is ours was asked for as a whole: a name of these kinds that was not answered is not there.
OWN_KINDS = ("container", "applied", "made", "replica")
OWN_PLACES = (("path", "/etc/hostler/"), ("unit", "hostler@"), ("model", "/var/lib/hostler/models/"))
IMAGES = "images:*"  # the digests of all images on a host


def of(seen: Seen, name: str) -> Observed:
    """A value, absent or unknown. What was not asked is unknown, unless a complete list of ours leaves it out."""
    if (found := seen.observed.get(name)) is not None:
        return found
    if _left_out(seen, name):
        return Absent(seen.at)
    if name.startswith("image:") and isinstance(seen.observed.get(IMAGES), Value):
        return Value({}, seen.at)
    return Unknown("the host was not asked", seen.at)


def known(seen: Seen, name: str) -> bool:
    return not isinstance(of(seen, name), Unknown) or name in seen.observed


def value(seen: Seen, name: str) -> Any:
    """The value, or None when it is absent or unknown."""
    found = of(seen, name)
    return found.value if isinstance(found, Value) else None


def _left_out(seen: Seen, name: str) -> bool:
    kind, _, rest = name.partition(":")
    if kind == "image":
        here = seen.observed.get(IMAGES)
        return isinstance(here, Value) and short(rest) not in {short(ref) for ref in here.value}
    own = kind in OWN_KINDS or any(kind == k and rest.startswith(start) for k, start in OWN_PLACES)
    return own and "files" in seen.ours


def short(ref: str) -> str:
    """An image's name as Docker shows it."""
    return ref.removeprefix("docker.io/").removeprefix("library/")
