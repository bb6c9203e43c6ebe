"""A stack of stub engines whose every answer is proven whole and computed once, and what must hold after a rollout."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from e2e.desk import Desk
from e2e.load import Load
from e2e.running import Hosts
from e2e.tally import Tally

LEAST = int(os.environ.get("HOSTLER_REQUESTS", "10000"))  # of a scenario
SMALL = "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
STUB = "ghcr.io/hostler-lab/stub-engine"
QUICK = ((4, 0), (40, 2), (4, 0), (12, 10), (4, 0), (60, 25), (4, 0), (20, 5), (4, 0))
LENGTHS = (*QUICK, (30, 10), *QUICK, (200, 25))  # tokens, and ms before each: up to 5 s
CLIENTS = 40
RATE = 80.0
STACK = """\
stack: lab
pools: {{rack: {{hosts: [gpu-1, gpu-2]}}}}
models:
  chat:
    source: "{source}"
    image: {image}
    replicas: {replicas}
    slots: 64
    context: 1k
    args: [{args}]
{more}
mirror: {{toolkit_key: ~/.config/hostler/toolkit.asc}}
"""


@dataclass(frozen=True)
class Wish:
    """What the stack file says; `more`: further lines of the model."""

    source: str = SMALL
    image: str = f"{STUB}:1"
    replicas: int = 2
    args: tuple[str, ...] = ()
    more: str = ""

    def text(self, tally: Tally) -> str:
        args = ", ".join(f'"{word}"' for word in ("--tally", tally.address, *self.args))
        return STACK.format(
            source=self.source, image=self.image, replicas=self.replicas, args=args, more=self.more
        )


def busy(desk: Desk) -> Load:
    """The load of these tests: 40 clients."""
    return Load(desk, clients=CLIENTS, rate=RATE, numbered=True, lengths=LENGTHS)


def proven(load: Load, tally: Tally) -> int:
    """Ends the load: nothing was lost, cut, or computed twice. How many requests that was."""
    whole, broken = load.end()
    assert broken == ""
    tally.settled(whole)
    assert tally.twice() == {}
    assert tally.cut() == {}
    assert set(tally.begun) == {answer.number for answer in load.answers}
    return whole


def specs(hosts: Hosts) -> dict[str, str]:
    """Of each container of a replica that is there, running or not: its specification."""
    form = '{{.Names}} {{.Label "hostler.spec"}}'
    found: dict[str, str] = {}
    for host in hosts.values():
        lines = host.run(["docker", "ps", "-a", "--format", form]).stdout.splitlines()
        found |= dict(line.split() for line in lines if line.startswith("hostler-chat-"))
    return found


def tidy(desk: Desk, hosts: Hosts, replicas: int) -> None:
    """Each replica is ready, nothing is drained, half-way or left over, and all is as the file says."""
    shown = desk("status", "--json").json["replicas"]
    assert {row["id"]: row["state"] for row in shown} == {f"chat-{n}": "ready" for n in range(replicas)}
    assert set(specs(hosts)) == {f"hostler-chat-{n}" for n in range(replicas)}
    for host in hosts.values():
        left = ["find", "/run/hostler/drain", "/var/lib/hostler/journal", "-type", "f"]
        assert host.run(left, check=False).stdout == ""
    assert desk("rollout", "status", "--json").json["release"] is None
    assert desk.plan() == []


def images(desk: Desk, hosts: Hosts) -> Mapping[str, str]:
    """Of each replica's running container: its image's id."""
    found: dict[str, str] = {}
    for host in hosts.values():
        names = host.run(["docker", "ps", "--format", "{{.Names}}"]).stdout.split()
        for name in (name for name in names if name.startswith("hostler-chat-")):
            found[name] = host.run(["docker", "inspect", "-f", "{{.Image}}", name]).stdout.strip()
    return found
