"""A rack at night, as the controller's page is given it: the real status report, with what the controller adds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hostler.console import status
from hostler.controller.page.source import Histogram, Series
from hostler.hosts.types import Card, CardProcess, Facts, Host, Observed, Seen, Ssh, Value
from hostler.leases import rows
from hostler.leases.judging import Subject
from hostler.models.types import Member, Replica
from hostler.money import budget, shown
from hostler.money.budget import Limits, Sum
from hostler.money.refusing import Told
from hostler.money.report import Report
from hostler.money.sums import Figure
from hostler.node.idle.looks import Policy, Verdict
from hostler.record.types import Expected, Record
from worlds import configure_world as world

AT = 1_796_000_000.0
HOSTILE = '<img src=x onerror="document.title=1">\'"&</script>'


def card(host: int, index: int, name: str = "NVIDIA GeForce RTX 3090", **more: Any) -> Card:
    usual: dict[str, Any] = {
        "memory_mib": 24576,
        "used_mib": 21320 + index,
        "utilization": 87 - 20 * index,
        "power_w": 268.4 - 31 * index,
        "power_limit_w": 280.0,
        "temperature_c": 66 - index,
        "pcie_width": 16,
        "pcie_width_max": 16,
    }
    return Card(index=index, uuid=f"GPU-{host}{index}aa-3f1c", name=name, **(usual | more))


RACK = (card(1, 0), card(1, 1), card(1, 2, used_mib=18944), card(1, 3, used_mib=None, power_w=None))
LOST = ("GPU-lost", "NVIDIA GeForce RTX 3090", 24576)
SECOND = (
    card(2, 0, used_mib=9120, power_w=112.0, throttled=("hardware slowdown",), temperature_c=88),
    card(2, 1, "NVIDIA A10G", memory_mib=23028, used_mib=412, power_w=18.2, power_limit_w=300.0, utilization=0),
)  # fmt: skip


def process(where: Card, replica: str, used: int | None) -> CardProcess:
    return CardProcess(card=where.uuid, pid=4242, name="engine", used_mib=used, ours=True, replica=replica)


def facts(number: int, cards: tuple[Card, ...], processes: tuple[CardProcess, ...]) -> Facts:
    return replace(world.facts(number), cards=cards, processes=processes, disk_free=412 << 30)


def replica(name: str, host: str, *cards: Card, need: int = 20000) -> Replica:
    member = Member(host=host, cards=tuple(one.uuid for one in cards), port=18080)
    return Replica(id=name, model=name.rsplit("-", 1)[0], members=(member,), need_mib=need)


REPLICAS = (
    replica("chat-0", "gpu-1", RACK[0], RACK[1], need=41000),
    replica("fast-0", "gpu-1", RACK[2], need=18000),
    replica("fast-1", "gpu-2", SECOND[0], need=8200),
    replica("embed-0", "gpu-3"),
    replica("heavy-0", "burst-0"),
)
HOSTS = (
    *(Host(name=f"gpu-{n}", pool="rack", ssh=Ssh(address=f"gpu-{n}")) for n in (1, 2, 3)),
    Host(name="burst-0", pool="burst", ssh=Ssh(address=""), owned=False),
)


def engine(running: int | None, waiting: int | None, context: int, **more: Any) -> Value:
    found = {"health": 200, "running": running, "waiting": waiting, "tokens": 5, "context": context}
    return Value({**found, "draining": False, "watch": {}} | more, AT - 3)


def route(sessions: int) -> Value:
    return Value({"status": "UP", "sessions": sessions, "queued": 0, "check": "L7OK"}, AT - 3)


def seen() -> dict[str, Seen]:
    home: dict[str, Observed] = {
        "replica:chat-0": engine(6, 2, 16384),
        "replica:fast-0": engine(11, 0, 8192),
        "route:chat-0": route(8),
        "route:fast-0": route(11),
        "route:fast-1": route(0),
        "container:gateway": Value({"running": True}, AT - 3),
        "routes:*": Value(["chat-0", "fast-0", "fast-1"], AT - 3),
    }
    loop = {
        "state": "loop",
        "event": {"what": "ended 5 times before it was ready: CUDA out of memory", "at": AT - 1260},
    }
    away = Seen(
        host="gpu-3",
        at=AT - 3,
        seconds=3.0,
        error="expected an answer; got no route to host",
        error_kind="dead",
        next_step="look whether it has power; then hostler up",
    )
    processes = (
        process(RACK[0], "chat-0", 20900),
        process(RACK[1], "chat-0", 20901),
        process(RACK[2], "fast-0", 18520),
    )
    first = Seen(host="gpu-1", at=AT - 3, seconds=0.11, facts=facts(1, RACK, processes), observed=home)
    second = Seen(
        host="gpu-2",
        at=AT - 4,
        seconds=0.14,
        facts=facts(2, SECOND, (process(SECOND[0], "fast-1", 8860),)),
        observed={"replica:fast-1": engine(0, 0, 8192, health=0, watch=loop)},
    )
    rented = Seen(host="burst-0", at=AT, seconds=0.0, error="it is not rented", error_kind="absent")
    return {one.host: one for one in (first, second, away, rented)}


def record() -> Record:
    expected = {
        "gpu-1": Expected(machine_id="m", cards=tuple((one.uuid, one.name, one.memory_mib) for one in RACK)),
        "gpu-2": Expected(machine_id="m", cards=(*((c.uuid, c.name, c.memory_mib) for c in SECOND), LOST)),
    }
    return Record(
        uid="u", stack="office", release=41, replicas=REPLICAS, gateway_host="gpu-1", expected=expected
    )


MODELS: dict[str, dict[str, Any]] = {
    "chat": {
        "tokens_per_s": 48.37,
        "tokens_how": "the engines' counters, 1 min",
        "first_token_p95_s": 0.42,
        "first_token_how": "measured, 5 min",
    },
    "fast": {
        "tokens_per_s": 312.5,
        "first_token_p95_s": 1.24,
        "first_token_how": "at most; llama.cpp does not count it",
    },
    "embed": {"tokens_per_s": None, "first_token_p95_s": None},
    "heavy": {"tokens_per_s": None, "first_token_p95_s": None},
}


def subject(kind: str, name: str, host: str, word: str, why: str, **more: Any) -> Subject:
    since = more.pop("since", None)
    verdict = Verdict(word=word, since=None if since is None else 100_000.0 - since, why=why)
    return Subject(
        kind=kind, name=name, host=host, model=more.pop("model", ""), verdict=verdict, boottime=1e5, **more
    )


def policy(do: str, after_s: float, *, shadow: bool = False) -> Policy:
    return Policy(after_s=after_s, do=do, hours="", max_age_s=0.0, shadow=shadow, kept=False)


QUIET = "nothing in flight, no counter moved, no session, no foreign process"
SUBJECTS = (
    subject("replica", "chat-0", "gpu-1", "busy", "6 running, 2 waiting", model="chat", policy=policy("sleep", 1200)),
    subject("host", "gpu-2", "gpu-2", "idle", QUIET, since=1610, policy=policy("suspend", 1800, shadow=True)),
    subject("replica", "fast-0", "gpu-1", "idle", "0 running", model="fast", since=900, policy=policy("sleep", 1200)),
    subject("host", "gpu-3", "gpu-3", "unknown", "it does not answer: unknown is busy"),
    subject("replica", "heavy-0", "burst-0", "asleep", "put to sleep when idle", model="heavy", since=15300, policy=policy("terminate", 1800)),
)  # fmt: skip


def calm() -> dict[str, Any]:
    """Nothing is wrong."""
    found = snapshot()
    ready = [row for row in found["replicas"] if row["model"] in ("chat", "fast") and row["id"] != "fast-1"]
    for row in found["models"]:
        row["replicas"] = row["ready"] = 1
    hosts = found["hosts"][:1]
    cards = [row for row in found["cards"] if row["host"] == "gpu-1"]
    models = [row for row in found["models"] if row["name"] in ("chat", "fast")]
    money_now = money(so_far=88.41, projection=139.8, whole=True)
    return found | {
        "hosts": hosts, "cards": cards, "models": models, "replicas": ready, "warnings": [], "errors": [], "money": money_now, "strays": None,
        "memory": [row for row in found["memory"] if row["host"] == "gpu-1"], "under_way": None, "slots": [],
        "idle": [row for row in found["idle"] if row["host"] == "gpu-1"],
    }  # fmt: skip


def money(so_far: float = 88.41, projection: float = 152.6, *, whole: bool = False) -> dict[str, Any]:
    """As hostler.money reports it, with the budget; where not all is well, with a key that is refused."""

    def figure(amount: float, **more: Any) -> Figure:
        return Figure(currency="EUR", measured=amount * 0.75, estimated=amount * 0.25, **more)

    lacking: dict[str, Any] = {} if whole else {"unknown": {"host h": 31.5}, "other": {"USD": 12.4}}
    notes = (
        "not in the sums, at no known price: host, 31.5 h",
        "not in the sums: 12.40 USD, for which there is no rate",
    )
    found = Report(
        month="2026-11",
        zone="UTC",
        now=AT,
        currency="EUR",
        since=AT - 86_400 * 20,
        until=AT,
        today=figure(3.18),
        so_far=figure(so_far, **lacking),
        hourly=figure(0.41, **lacking),
        projection=figure(projection, **lacking),
        saved=figure(41.07),
        shadow=figure(7.5),
        by={},
        notes=() if whole else notes,
    )
    limits = Limits(month=Sum(amount=150.0, currency="EUR"))
    judged = budget.verdict(limits, found, {"EUR": 1.0}.get)
    assert judged
    if whole:
        return shown.as_json(found, {"": judged})
    limit = Sum(amount=12.0, currency="EUR")
    ci = budget.Verdict(
        word="hold", percent=102.5, spent=figure(12.3), limit=limit, why=("key ci has spent 12.30 EUR",)
    )
    told = Told(until=AT + 86_400 * 3, text="12.30 of 12.00 EUR; it is free again on 2026-12-01 00:00 UTC")
    return shown.as_json(found, {"": judged, "ci": ci}, {"ci": told})


def snapshot(**more: Any) -> dict[str, Any]:
    """Much is wrong, and much is unknown."""
    found = status.report(HOSTS, seen(), record(), AT)
    found["models"] = [row | MODELS[row["name"]] for row in found["models"]]
    burst = {"slot": "burst-0", "pool": "burst", "state": "parked", "machine": None, "market": None}
    stray = {
        "kind": "instance",
        "id": "i-0abc",
        "region": "eu-central-1",
        "slot": None,
        "what": "g5.2xlarge",
        "lease": AT - 60,
    }
    stray |= {"usd_h": 1.212, "source": "AWS price list"}
    return found | {
        "cloud": None,
        "slots": [burst | {"zone": None, "instance": None, "address": None}],
        "updates": {
            "at": AT - 300,
            "state": "waiting",
            "text": "chat: image b9103 -> b9151, from Sun 2026-12-06 02:00 UTC on",
            "age_s": 300.0,
        },
        "idle": rows.rows(SUBJECTS, {"gpu-2": "0.07 EUR/h", "heavy-0": "1.21 USD/h"}),
        "strays": {"known": True, "error": None, "next": None, "things": [stray]},
        "money": money(),
        "last_change": {
            "release": 41,
            "what": "fast: image b9090 -> b9103",
            "who": "ana@laptop",
            "at": AT - 86_400 * 2,
            "ended": "good",
            "why": "",
        },
        "next_window": {"opens": AT + 86_400 * 5, "text": "Sun 03:00-05:00 Europe/Berlin"},
        "errors": [
            {
                "at": AT - 1260,
                "text": "fast-1 on gpu-2 ended five times before it was ready: CUDA out of memory",
                "next": "hostler logs fast-1; then hostler up",
            },
            {"at": AT - 5400, "text": "gpu-3 could not be asked: no route to host", "next": "hostler doctor"},
        ],
        "at": AT,
        **more,
    }


def hostile() -> dict[str, Any]:
    """Every text of it tries to be more than text."""

    def spoil(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: spoil(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [spoil(inner) for inner in value]
        return HOSTILE + value if isinstance(value, str) else value

    return spoil(snapshot())


SERIES = Series(
    tokens={("chat", "prompt"): 91234.0, ("chat", "generation"): 40211.0, ("fast", "generation"): 5.0},
    requests={("chat", "2xx"): 312.0, ("chat", "5xx"): 1.0},
    first_token={"chat": Histogram(bounds_s=(0.1, 0.5, 1.0), counts=(10, 200, 210, 211), total_s=61.5)},
    held={"heavy": 3},
    wakes={("heavy", "good"): 4.0},
    given_back={("terminate", "good"): 2.0},
    joules={RACK[0].uuid: 1_234_567.0},
)
