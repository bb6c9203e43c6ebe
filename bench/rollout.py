"""Another image for two replicas under a steady load: `hostler up` against its floor, and beside it `docker compose up -d`
of the same change, with a plain HAProxy in front, as a careful person does it: one host, wait for its health, the other.

The floor is what no way without a spare card can save: of each replica the time until its last answer has ended, and
from its new container's start to its loaded model, by the answers, Docker and the engine's own log.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles

from compose import Compose
from stand import Tools, clock, say, stand

from e2e.desk import Desk
from e2e.load import Answer, Load
from lab.hosts import Host
from lab.shell import wait_for

HOSTS = ("gpu-1", "gpu-2")
STUB = "ghcr.io/hostler-lab/stub-engine"
LOAD_S = 30  # of a model
RATE = 25.0  # requests a second, half of what one replica can
CLIENTS = 40
QUICK = ((4, 0), (40, 5), (8, 10), (60, 20))
LENGTHS = (
    *QUICK,
    *QUICK,
    *QUICK,
    *QUICK,
    *QUICK,
    (8, 5),
    (200, 50),
)  # tokens, and ms before each: up to 10 s
BEFORE_S = 30.0
STACK = """\
stack: bench
pools:
  rack: [{hosts}]
models:
  chat:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
    image: {stub}:{tag}
    replicas: 2
    cards: 0
    slots: 32
    context: 1k
    args: ["--load-ms", "{load}"]
"""


def stack_of(tag: int) -> str:
    return STACK.format(hosts=", ".join(HOSTS), stub=STUB, tag=tag, load=LOAD_S * 1000)


@dataclass(frozen=True)
class Span:
    """What clients met in a time: answers in each whole second, and seconds to the first tokens of streams."""

    rates: list[int]
    first_p95: float

    @classmethod
    def of(cls, answers: Sequence[Answer], begun: float, ended: float) -> Span:
        whole = [a for a in answers if not a.flaw]
        seconds = Counter(int(a.ended - begun) for a in whole if begun <= a.ended < ended)
        firsts = [a.first - a.begun for a in whole if begun <= a.begun < ended and a.way.endswith("stream")]
        return cls(
            rates=[seconds[n] for n in range(int(ended - begun))], first_p95=quantiles(firsts, n=20)[-1]
        )


def measured(tools: Tools, _work: Path) -> dict[str, float]:
    """Seconds, ratios, and counts of requests."""
    with stand(tools, HOSTS, stack_of(1), suite="trixie") as desk:
        found = ours(desk)
        desk("down", "--yes")
        return {**found, **theirs(desk)}


# -- hostler


def ours(desk: Desk) -> dict[str, float]:
    say("rollout: bringing two replicas up")
    desk.up()
    desk.write(stack_of(2))
    with Load(desk, clients=CLIENTS, rate=RATE, numbered=True, lengths=LENGTHS) as load, phases(desk) as seen:
        before = steady(load)
        begun = time.time()
        with clock() as taken:
            done = desk.up()
        ended = time.time()
        whole, broken = load.end()
    if broken or desk.plan():
        sys.exit(f"not a rollout without a flaw: {broken}\n{done}")
    drains, loads = [drain_s(load, seen, name) for name in HOSTS], [load_s(host) for host in desk.lab.hosts()]
    floor = sum((*drains, *loads))
    tell(seen, begun, ended, drains, loads)
    during, at_rest = Span.of(load.answers, begun, ended), Span.of(load.answers, before, begun)
    return {
        "floor": floor,
        "took": taken[0],
        "exchanges": sum(seen[name]["over"] - first(seen, name) for name in HOSTS),
        "ours_requests": whole,
        "ours_lost": 0,
        "rate_before": max(at_rest.rates),
        "rate": max(during.rates),
        "middle_before": median(at_rest.rates),
        "middle": median(during.rates),
        "first_before": at_rest.first_p95,
        "first": during.first_p95,
    }


def steady(load: Load) -> float:
    """When the load was at its pace; some time goes by so that there is something to compare with."""
    since = time.time()
    wait_for("a steady load", lambda: load.answered() >= RATE * BEFORE_S, 4 * BEFORE_S)
    return since + 2


type Seen = dict[str, dict[str, float]]  # host -> phase of its exchange -> when it was first seen


@contextmanager
def phases(desk: Desk) -> Generator[Seen]:
    """What the hosts' journals say, looked at every few milliseconds."""
    seen: Seen = {name: {} for name in HOSTS}
    over = threading.Event()

    def look() -> None:
        roots = {host.name: Path(f"/proc/{host.leader}/root") for host in desk.lab.hosts()}
        while not over.wait(0.02):
            for name, root in roots.items():
                note(seen[name], root)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def note(seen: dict[str, float], root: Path) -> None:
    journals = list((root / "var/lib/hostler/journal").glob("chat-*.json"))
    if seen and not journals:
        seen.setdefault("over", time.time())
    for path in journals:
        try:
            seen.setdefault(str(json.loads(path.read_text())["phase"]), time.time())
        except (OSError, ValueError):  # it is being replaced
            continue


def first(seen: Seen, name: str) -> float:
    return min(seen[name].values())


def drain_s(load: Load, seen: Seen, name: str) -> float:
    """From the moment when the old engine gets nothing new to its last answer; ids name the engine that began it."""
    since = seen[name].get("switch") or seen[name]["drain"]
    engines = [a.id.rpartition("-")[0] for a in load.answers if f"-{name}-" in a.id and a.ended <= since]
    ends = [a.ended for a in load.answers if engines and a.id.startswith(f"{engines[0]}-")]
    return max(0.0, max(ends, default=since) - since)


def load_s(host: Host) -> float:
    """From the new container's start to its loaded model."""
    name = host.run(["docker", "ps", "--format", "{{.Names}}", "-f", "name=hostler-chat-"]).stdout.strip()
    started = host.run(["docker", "inspect", "-f", "{{.State.StartedAt}}", name]).stdout.strip()
    logs = host.run(["docker", "logs", "-t", name])
    line = next(line for line in (logs.stdout + logs.stderr).splitlines() if line.endswith("model loaded"))
    return moment(line.split()[0]) - moment(started)


def moment(text: str) -> float:
    """Of Docker's time with nanoseconds."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z", r"\1+00:00", text)).timestamp()


def tell(seen: Seen, begun: float, ended: float, drains: list[float], loads: list[float]) -> None:
    """Where the time went."""
    order = sorted(HOSTS, key=lambda name: first(seen, name))
    say(f"rollout: {first(seen, order[0]) - begun:.1f} s until the first exchange")
    for name, drain, load in zip(HOSTS, drains, loads, strict=True):
        at = sorted(seen[name].items(), key=lambda pair: pair[1])
        steps = (f"{a} {then - now:.1f}" for (a, now), (_, then) in pairwise(at))
        say(f"rollout: {name}: {', '.join(steps)} s; floor: drain {drain:.1f} s, load {load:.1f} s")
    say(f"rollout: {first(seen, order[1]) - seen[order[0]]['over']:.1f} s between the two")
    say(f"rollout: {ended - seen[order[1]]['over']:.1f} s after the second")


# -- docker compose


def theirs(desk: Desk) -> dict[str, float]:
    say("rollout: the same by docker compose")
    compose = Compose(desk.lab.hosts(), f"--load-ms {LOAD_S * 1000}", STUB)
    compose.install()
    compose.up(1)
    at = {"address": f"http://{desk.lab.hosts()[0].address}:8000", "key": "none"}
    with Load(desk, at=at, clients=CLIENTS, rate=RATE, numbered=True, lengths=LENGTHS) as load:
        steady(load)
        with clock() as taken:
            compose.up(2)
        load.end()
    lost = sum(bool(answer.flaw) for answer in load.answers)
    return {"compose": taken[0], "compose_lost": lost, "compose_requests": len(load.answers)}
