"""`hostler status` as data and as tables. Each fact with its age; unknown says unknown."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hostler.console import card_health, memory, watched
from hostler.console.out import Out, age, size
from hostler.hosts.types import Absent, Card, Host, Observed, Seen, Unknown, Value
from hostler.models.types import Replica
from hostler.record.types import Expected, Journal, Record

UNKNOWN = "unknown"
UNREACHED = {
    "unknown": UNKNOWN,
    "absent": "not rented",
    "stopped": "stopped",
}  # by error_kind; no answer else
NOT_ROUTED = "ready, not routed"
SLEEPING = ("asleep", "waking")
HEALTHY, LOADING = 200, 503  # what engines answer when asked for their health


def report(
    hosts: Sequence[Host],
    seen: Mapping[str, Seen],
    record: Record | None,
    now: float | None = None,
    *,
    known: bool = True,
) -> dict[str, Any]:
    """Everything that is known now, as JSON values. Ages in seconds, memory in MiB, power in watts. `known`: whether
    no record means that there is none."""
    now = time.time() if now is None else now
    rows = replicas(record, seen, now) if record else []
    there = record.replicas if record else ()
    return {
        "stack": record.stack if record else None,
        "record_known": known,
        "release": record.release if record else None,
        "under_way": _under_way(record.journal) if record and record.journal else None,
        "hosts": [_host(host, seen[host.name], now) for host in hosts],
        "cards": [row for host in hosts for row in _cards(host.name, seen[host.name], record, now)],
        "warnings": [
            *(row for host in hosts for row in card_health.warnings(seen[host.name])),
            *memory.warnings(there, seen),
        ],
        "replicas": rows,
        "memory": memory.rows(there, seen, now),
        "models": _models(rows),
        "gateway": _part(record.gateway_host, "gateway", seen) if record else UNKNOWN,
    }


def _under_way(journal: Journal) -> dict[str, Any]:
    names = ("run", "stage", "release", "who", "since")
    return {name: getattr(journal, name) for name in names}


def replicas(record: Record, seen: Mapping[str, Seen], now: float = 0.0) -> list[dict[str, Any]]:
    """A row for each replica."""
    home = record.gateway_host
    return [_replica(replica, seen, route_of(replica, home, seen), now) for replica in record.replicas]


def _host(host: Host, seen: Seen, now: float) -> dict[str, Any]:
    facts = seen.facts
    row = {
        "name": host.name,
        "pool": host.pool,
        "reached": seen.reached,
        "error": seen.error,
        "error_kind": seen.error_kind,
        "parked": seen.parked,
        "next": seen.next_step,
    }
    if not facts:
        return {**row, "age_s": None}
    return {
        **row,
        "os": facts.os_name,
        "driver": f"{facts.driver.version or facts.driver.state}",
        "docker": facts.docker or "none",
        "disk_free": facts.disk_free,
        "cards": len(facts.cards),
        "round_trip_s": round(seen.seconds, 2),
        "age_s": round(now - seen.at, 1),
    }


def _cards(host: str, seen: Seen, record: Record | None, now: float) -> Iterable[dict[str, Any]]:
    """Cards that are there, then those that are expected and missing."""
    there = seen.facts.cards if seen.facts else ()
    for card in there:
        yield {"host": host, **_card(card), "state": "seen", "age_s": round(now - seen.at, 1)}
    expected = record.expected.get(host) if record and not seen.parked else None
    for uuid, name, mib in _missing(expected, there):
        state = "missing" if seen.reached else UNKNOWN
        yield {"host": host, "uuid": uuid, "name": name, "memory_mib": mib, "state": state, "age_s": None}


def _card(card: Card) -> dict[str, Any]:
    return {
        "index": card.index,
        "uuid": card.uuid,
        "name": card.name,
        "memory_mib": card.memory_mib,
        "used_mib": card.used_mib,
        "utilization": card.utilization,
        "power_w": card.power_w,
        "power_limit_w": card.power_limit_w,
        "power_range_w": [card.power_min_w, card.power_max_w],
        "pcie": {"gen": card.pcie_gen, "width": card.pcie_width, "width_max": card.pcie_width_max},
        "temperature_c": card.temperature_c,
    }


def _missing(expected: Expected | None, there: Sequence[Card]) -> list[tuple[str, str, int]]:
    found = {card.uuid for card in there}
    return [card for card in expected.cards if card[0] not in found] if expected else []


def _replica(
    replica: Replica, seen: Mapping[str, Seen], route: Observed | None, now: float
) -> dict[str, Any]:
    """`route`: the gateway's own word. An engine that does not count its requests has those that the gateway sent."""
    member = replica.members[0]
    host = seen.get(member.host)
    found: Observed | None = host.observed.get(f"replica:{replica.id}") if host and host.reached else None
    sent: Mapping[str, Any] = route.value if isinstance(route, Value) else {}
    row: dict[str, Any] = {
        "id": replica.id,
        "model": replica.model,
        "host": member.host,
        "cards": list(member.cards),
        "route": sent.get("status") or (UNKNOWN if isinstance(route, Unknown) else "none"),
        "check": sent.get("check"),
    }
    if not isinstance(found, Value):
        row |= {"state": _why_not(found, host), "age_s": None}
        more = {"event": None, "asleep": None}
        return {**row, "running": sent.get("sessions"), "waiting": sent.get("queued"), **more}
    value = found.value
    return {
        **row,
        "state": state_of(value, route),
        "running": _known(value.get("running"), sent.get("sessions")),
        "waiting": _known(value.get("waiting"), sent.get("queued")),
        "context": value.get("context"),
        "event": watched.event(value, now),
        "asleep": _asleep(value, now),
        "age_s": round(now - found.at, 1),
    }


def _asleep(value: Mapping[str, Any], now: float) -> dict[str, Any] | None:
    """Since when, and why it was put to sleep; None: it is awake."""
    mark: Mapping[str, Any] = value.get("asleep") or {}
    if mark.get("state") not in SLEEPING:
        return None
    return {"since_s": round(max(0.0, now - float(mark["since"])), 1), "why": str(mark.get("why") or "")}


def _known(first: int | None, second: int | None) -> int | None:
    return second if first is None else first


def route_of(replica: Replica, gateway: str, seen: Mapping[str, Seen]) -> Observed:
    """What the gateway thinks of a replica; unknown where its host does not answer."""
    host = seen.get(gateway)
    if host is None or not host.reached:
        return Unknown("the gateway's host does not answer", host.at if host else 0.0)
    every = host.observed.get("routes:*", Unknown("it was not asked", host.at))
    return host.observed.get(f"route:{replica.id}") or (
        every if isinstance(every, Unknown) else Absent(host.at)
    )


def _why_not(found: Observed | None, host: Seen | None) -> str:
    if isinstance(found, Absent):
        return "stopped"
    if isinstance(found, Unknown):
        return f"{UNKNOWN}: {found.reason}"
    if host is not None and host.parked:
        return "parked"
    return UNKNOWN if host is None or not host.reached else "stopped"


def state_of(value: Mapping[str, Any], route: Observed | None = None) -> str:
    """asleep (on purpose, a request wakes it), draining, loading, not answering; ready only where the gateway sends it
    requests, too."""
    mark: Mapping[str, Any] = value.get("asleep") or {}
    if mark.get("state") in SLEEPING:
        return str(mark["state"])
    good = value.get("health") == HEALTHY and not value.get("draining")
    if not good and (named := watched.state(value)):
        return named
    if value.get("draining"):
        return "draining"
    if value.get("health") != HEALTHY:
        return "loading" if value.get("health") == LOADING else "not answering"
    if isinstance(route, Unknown):
        return f"ready, route {UNKNOWN}"
    return "ready" if is_routed(route) else NOT_ROUTED


def is_routed(route: Observed | None) -> bool:
    """Whether the gateway sends it requests; `UP 1/3` is on its way down, and still gets them."""
    return isinstance(route, Value) and str(route.value["status"]).startswith(("UP", "no check"))


def _models(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    states: dict[str, list[str]] = {}
    for row in rows:
        states.setdefault(row["model"], []).append(row["state"])
    return [
        {"name": name, "replicas": len(found), "ready": found.count("ready"), "asleep": found.count("asleep")}
        for name, found in sorted(states.items())
    ]


def _part(host: str, identity: str, seen: Mapping[str, Seen]) -> str:
    found = seen[host].observed.get(f"container:{identity}") if host in seen and seen[host].reached else None
    if isinstance(found, Value):
        return "running" if found.value.get("running") else "stopped"
    return UNKNOWN if found is None else "stopped"


def show(report: Mapping[str, Any], out: Out) -> None:
    stack = report["stack"] or (
        "(not up)" if report["record_known"] else "(not known: no answer from its gateway)"
    )
    out.data(f"stack {stack}, release {report['release'] or '-'}, gateway {report['gateway']}")
    if report["under_way"]:
        out.data("a change is under way or was interrupted (`hostler rollout status`): `hostler up` goes on")
    out.table(
        ("HOST", "POOL", "STATE", "OS", "DRIVER", "DOCKER", "DISK FREE", "AGE"),
        map(_host_row, report["hosts"]),
    )
    if report["cards"]:
        out.data("")
        out.table(
            ("HOST", "CARD", "NAME", "MEMORY", "USE", "POWER", "TEMP", "STATE", "AGE"),
            map(_card_row, report["cards"]),
        )
    if report["replicas"]:
        out.data("")
        heads = ("MODEL", "REPLICA", "HOST", "CARDS", "STATE", "IN FLIGHT", "WAITING", "AGE")
        out.table(heads, map(_replica_row, report["replicas"]))
    for row in report["replicas"]:
        if found := row["asleep"]:
            out.data(f"{row['id']}: asleep for {age(found['since_s'])}, woken by a request ({found['why']})")
    watched.show(report["replicas"], out)
    if report["memory"]:
        out.data("")
        memory.show(report["memory"], out)
    for row in report.get("refused") or ():
        out.say(f"warning: key {row['key']}: {row['text']}")
    for row in report["warnings"]:
        out.say(f"{row['level']}: {row['host']}: {row['text']}")
    for host in report["hosts"]:
        if not host["reached"]:
            out.say(f"{'note' if host['parked'] else 'error'}: {host['name']}: {host['error']}")
            if host["next"]:
                out.say(f"next: {host['next']}")


def _host_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    if not row["reached"] or "os" not in row:
        state = "parked" if row["parked"] else UNREACHED.get(row["error_kind"], "no answer")
        return (row["name"], row["pool"], state, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "-")
    return (
        row["name"],
        row["pool"],
        "up",
        row["os"],
        row["driver"],
        row["docker"],
        size(row["disk_free"]),
        age(row["age_s"]),
    )


def _card_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    if row["state"] != "seen":
        return (row["host"], "-", row["name"], _mib(row["memory_mib"]), "-", "-", "-", row["state"], "-")
    used = f"{_mib(row['used_mib'])} / {_mib(row['memory_mib'])}"
    return (
        row["host"],
        str(row["index"]),
        row["name"],
        used,
        _unit(row["utilization"], "%"),
        f"{_unit(row['power_w'], '')} / {_unit(row['power_limit_w'], ' W')}",
        _unit(row["temperature_c"], " C"),
        "seen",
        age(row["age_s"]),
    )


def _replica_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    count = "-" if not row["cards"] else str(len(row["cards"]))
    when = "-" if row["age_s"] is None else age(row["age_s"])
    return (
        row["model"],
        row["id"],
        row["host"],
        count,
        row["state"],
        _unit(row["running"], ""),
        _unit(row["waiting"], ""),
        when,
    )


def _unit(value: float | None, unit: str) -> str:
    return UNKNOWN if value is None else f"{value:.0f}{unit}"


def _mib(value: int | None) -> str:
    return UNKNOWN if value is None else size(value * 2**20)
