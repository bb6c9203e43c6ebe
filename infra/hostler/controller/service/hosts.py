"""The hosts of a stack as the service sees them, in the words that `status` is made from. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hostler.controller.service.world import World
from hostler.hosts.types import Host, Seen
from hostler.record.types import Record
from hostler.stackfile.hosts import hosts_of
from hostler.stackfile.sections import StackFile

WENT = {  # by what it said that it does: kind, and why
    "suspend": ("suspended", "it is suspended, and woken by a request"),
    "terminate": ("absent", "it gave itself back when idle"),
    "stop": ("absent", "it stopped itself when idle"),
}
LOST_S = 60.0  # as long a stream may be gone until its host is said not to answer


def known(file: StackFile, record: Record) -> tuple[Host, ...]:
    """Those of the file, and those that are rented; one that is parked is a slot, and no host."""
    owned = hosts_of(file)
    names = {host.name for host in owned}
    rented = (
        host
        for name, host in sorted(record.hosts.items())
        if name not in names and name in record.slots and record.slots[name].state == "wanted"
    )
    return (*owned, *rented)


def seen_of(hosts: Sequence[Host], world: World, wall: float) -> Mapping[str, Seen]:
    return {host.name: _seen(host, world, wall) for host in hosts}


def _seen(host: Host, world: World, wall: float) -> Seen:
    """A host's last answer, also while its stream comes again; then that it is not reached, and whether on purpose."""
    view = world.views.get(host.name)
    if view is None or (view.seen is None and not view.error):
        return _silent(host, wall, "unknown", "it was not heard of yet")
    if word := view.last_word(world.now):
        return _silent(host, wall, *WENT.get(str(word.get("do")), WENT["terminate"]))
    if view.seen and (not view.error or not view.seen.reached or world.now - view.at < LOST_S):
        return view.seen
    return _silent(host, wall, "timeout", view.error)


def _silent(host: Host, wall: float, kind: str, why: str) -> Seen:
    step = f"hostler wake {host.pool}" if kind in ("suspended", "absent") else f"hostler ssh {host.name}"
    return Seen(host=host.name, at=wall, seconds=0.0, error=why, error_kind=kind, next_step=step)
