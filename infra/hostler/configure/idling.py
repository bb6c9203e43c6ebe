"""What an idle host does with itself and its replicas: its policies as the stack file says them, and the timer that looks.

A host acts on its own evidence, so each carries the whole of what concerns it; node/idle/policy.py reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hostler import resources
from hostler.configure.types import Change
from hostler.hosts.types import Host
from hostler.manifest.contents import Text
from hostler.manifest.items import File, Item, Manifest, Part, Unit
from hostler.models.types import Replica
from hostler.stackfile import idling
from hostler.stackfile.saving import Idle

if TYPE_CHECKING:
    from hostler.configure.wish import Wish

FILE = "/etc/hostler/idle.json"
UNITS = ("hostler-idle.timer", "hostler-idle.service")
FILES = tuple(f"/etc/systemd/system/{name}" for name in UNITS)
ASLEEP = "asleep"

type Policy = dict[str, Any]


def items(wish: Wish, host: Host) -> tuple[Item, ...]:
    """Where something is to happen, or to be said."""
    replicas, own = of_replicas(wish, host), of_host(wish, host)
    if not replicas and own is None:
        return ()
    told = {"replicas": replicas, "host": own, "controller": idling.controlled(wish.file.stack)}
    units = zip(FILES, UNITS, strict=True)
    return (
        *(File(path=path, part=Part.BASE, content=Text(text=text_of(name))) for path, name in units),
        File(path=FILE, part=Part.BASE, content=Text(text=json.dumps(told, indent=1, sort_keys=True) + "\n")),
        Unit(name=UNITS[0], part=Part.BASE),
    )


def text_of(name: str) -> str:
    return (resources.templates() / name).read_text()


def of_replicas(wish: Wish, host: Host) -> dict[str, Policy]:
    """By id. Those that stay are the first of their model, by number."""
    stack = wish.file.stack
    found: dict[str, Policy] = {}
    for replica in wish.replicas(host.name):
        idle = idling.of_replica(stack, replica.model, host.pool) if replica.model in stack.models else None
        if idle and replica.members[0].host == host.name:
            found[replica.id] = policy(
                idle, kept=replica.id in _first(wish.placement.replicas, replica, idle)
            )
    return found


def _first(replicas: Sequence[Replica], one: Replica, idle: Idle) -> list[str]:
    return sorted((r.id for r in replicas if r.model == one.model), key=_by_number)[: idle.keep]


def of_host(wish: Wish, host: Host) -> Policy | None:
    """None on the gateway's host: without it there is no stack."""
    idle = idling.of_pool(wish.file.stack, host.pool)
    if idle is None or host.name == wish.record.gateway_host:
        return None
    return policy(idle, kept=host.name in _staying(wish, host.pool)[: idle.keep])


def _staying(wish: Wish, pool: str) -> list[str]:
    """Those of a pool that can stay, the first ones first: what is there, and then what is yet to come. One that goes, or
    that was given back and is not there again, stays for nobody."""
    slots = {name: slot for name, slot in wish.record.slots.items() if slot.pool == pool}
    there = {host.name for host in wish.hosts if host.pool == pool}
    spare = {name for name, slot in slots.items() if not slot.given_back and name not in there}
    goes = {name for name, slot in slots.items() if slot.state == "retiring"}
    return [*sorted(there - goes, key=_by_number), *sorted(spare - goes, key=_by_number)]


def _by_number(name: str) -> tuple[str, int, str]:
    """chat-9 is before chat-10."""
    stem, _, number = name.rpartition("-")
    return (stem, int(number), "") if number.isdigit() else (name, 0, name)


def policy(idle: Idle, *, kept: bool) -> Policy:
    """As node/idle/looks.py has it."""
    return {
        "after_s": idle.after,
        "do": "" if idle.do == "none" else idle.do,
        "hours": idle.hours or "",
        "max_age_s": idle.max_age or 0.0,
        "shadow": idle.shadow,
        "kept": kept,
    }


def concerned(manifest: Manifest, changes: Sequence[Change] | None) -> bool:
    """Whether the timer is to be started, or to be stopped where nothing happens any more."""
    wanted = any(unit.name == UNITS[0] for unit in manifest.units)
    return wanted or any(change.item == f"path:{FILE}" for change in changes or ())


def may_sleep(manifest: Manifest, replica: str) -> bool:
    """Whether the stack file lets a replica of this host be asleep."""
    texts = (
        file.content.text for file in manifest.files if file.path == FILE and isinstance(file.content, Text)
    )
    return any(replica in json.loads(text)["replicas"] for text in texts)


def is_asleep(seen: Mapping[str, Any] | None) -> bool:
    """Of what a probe saw of a replica: it sleeps, or is being woken, which is over soon."""
    return str(_mark(seen).get("state", "")) in (ASLEEP, "waking")


def since(seen: Mapping[str, Any] | None) -> float:
    """Seconds since 1970."""
    return float(_mark(seen).get("since") or 0.0)


def why(seen: Mapping[str, Any] | None) -> str:
    return str(_mark(seen).get("why") or "")


def _mark(seen: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return (seen or {}).get("asleep") or {}
