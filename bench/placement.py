"""A plan of 200 hosts with 8 bridged cards each and 100 models: what it costs from the stack file to the plan, without
the network (no probe, nothing to resolve). Prints JSON: seconds, the best of ROUNDS."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations

from hostler.hosts.types import Card, Facts, Host, Seen
from hostler.models.release import wanted_of
from hostler.models.rooms import rooms_of
from hostler.models.types import Need, Release, ReleasedModel
from hostler.placement.place import place
from hostler.rollout import planning
from hostler.rollout.observe import Observation, gateway_host
from hostler.stackfile.hosts import hosts_of
from hostler.stackfile.load import loads
from hostler.stackfile.sections import StackFile
from worlds import configure_world as world

HOSTS, CARDS, MODELS, ROUNDS = 200, 8, 100, 3
CARD_MIB = 24576


def stack_text() -> str:
    """Models from a third of a card to four cards, 1 to 15 replicas."""
    lines = ["stack: fleet", "pools:", "  rack:", "    hosts:"]
    lines += [f"      - {{address: 10.0.{n // 250}.{n % 250 + 1}, name: gpu-{n}}}" for n in range(HOSTS)]
    lines += ["models:"]
    lines += [f'  m{n}: {{source: "hf:acme/m{n}:Q4_1", replicas: {1 + n * 7 % 15}}}' for n in range(MODELS)]
    return "\n".join(lines) + "\n"


def facts(number: int) -> Facts:
    cards = tuple(
        Card(
            index=n,
            uuid=f"GPU-{number}-{n}",
            name="RTX 3090",
            memory_mib=CARD_MIB,
            used_mib=300 * (n == 0) + number,
        )
        for n in range(CARDS)
    )
    links = tuple(
        (cards[a].uuid, cards[b].uuid, "NV4" if a // 2 == b // 2 else "SYS")
        for a, b in combinations(range(CARDS), 2)
    )
    return world.facts(number, cards=cards, links=links, addresses=())


def release() -> Release:
    """Everything resolved."""
    found = world.release()
    sizes = [7_000, 15_000, 22_000, 40_000, 75_000]
    models = {
        f"m{n}": ReleasedModel(
            asked="asked",
            runs=world.runs(need=Need(divided_mib=sizes[n % 5] + 13 * n, card_mib=700, spread_mib=900)),
        )
        for n in range(MODELS)
    }
    return replace(found, models=models)


def observation(file: StackFile, hosts: tuple[Host, ...], seen: Mapping[str, Seen]) -> Observation:
    record = world.record(stack="fleet", releases=(release(),), release=1, gateway_host=hosts[0].name)
    return Observation(
        file=file, hosts=hosts, gone=(), seen=seen, record=record, gateway=gateway_host(file, hosts)
    )


def best_of(run: Callable[[], object]) -> float:
    taken: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return min(taken)


def measured() -> dict[str, float]:
    """Seconds: `plan` of bare hosts, `place` what placing takes of it; and the number of replicas."""
    text, known = stack_text().encode(), release()
    file = loads(text, "fleet.yaml")
    hosts = hosts_of(file)
    bare = {h.name: replace(world.bare(n), host=h.name, facts=facts(n)) for n, h in enumerate(hosts)}

    def plan() -> planning.Draft:
        read = loads(text, "fleet.yaml")
        return planning.make(observation(read, hosts_of(read), bare), release=known)

    placed = plan().plan.placement
    if placed.missing:
        raise SystemExit(f"not all are placed: {placed.missing}")
    wanted, rooms = wanted_of(file.stack, known), rooms_of(hosts, bare)
    return {
        "replicas": len(placed.replicas),
        "plan": best_of(plan),
        "place": best_of(lambda: place(wanted, rooms)),
    }


if __name__ == "__main__":
    print(json.dumps(measured()))
