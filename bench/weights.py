"""A model's file onto 4 hosts against onto one, over an outside line that is the same for all together: `hostler up` on
hosts that lack the file and nothing else."""

from __future__ import annotations

import sys

from stand import STUB, Tools, clock, say, stand

from e2e.desk import Desk
from lab.hubdata import hub_files

ALONE, FOUR = "alone", tuple(f"gpu-{number + 1}" for number in range(4))
LINE = 4_000_000  # bytes a second
ROUNDS = 2
CDN = "cas-bridge.xethub.hf.co"
STACK = """\
stack: {name}
pools:
  rack: [{hosts}]
models:
  chat:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
    image: {image}
    replicas: {replicas}
    cards: 0
    context: 2k
"""


def stack_of(hosts: tuple[str, ...]) -> str:
    name = f"bench-{len(hosts)}"
    return STACK.format(name=name, hosts=", ".join(hosts), image=STUB, replicas=len(hosts))


def measured(tools: Tools, _work: object) -> dict[str, float]:
    """Seconds of each, means over the rounds; and how many times the file went over the line for the four."""
    groups = {"one": (ALONE,), "four": FOUR}
    with stand(tools, [ALONE, *FOUR], stack_of(FOUR)) as desk:
        for name, hosts in groups.items():
            say(f"weights: bringing {name} up")
            desk.write(stack_of(hosts))
            desk.up()
        desk.lab.fault("huggingface.co", "^/lfs/", line=LINE)
        found: dict[str, list[float]] = {name: [] for name in groups}
        carried: list[float] = []
        for order in (list(groups), list(groups)[::-1])[:ROUNDS]:
            for name in order:
                since = desk.lab.now()
                found[name].append(fetched(desk, groups[name]))
                say(f"weights: {name} {found[name][-1]:.1f} s")
                if name == "four":
                    carried.append(times(desk, since))
    return {
        **{name: sum(taken) / len(taken) for name, taken in found.items()},
        "carried": max(carried),
        "line_mbit": LINE * 8 / 1e6,
    }


def fetched(desk: Desk, hosts: tuple[str, ...]) -> float:
    """Seconds of an `up` that brings these hosts their file."""
    desk.write(stack_of(hosts))
    for host in desk.lab.hosts():
        if host.name in hosts:
            host.run(["sh", "-c", "rm -f /var/lib/hostler/models/*/*"])
    with clock() as taken:
        desk.up()
    if desk.plan():
        sys.exit("not all have the file")
    return taken[0]


def times(desk: Desk, since: float) -> float:
    """How many times the file's bytes went over the line."""
    size = (hub_files() / "1.gguf").stat().st_size
    return sum(asked["sent"] for asked in desk.lab.requests(CDN, since) if asked["method"] == "GET") / size
