"""Where the measuring happens: a lab of this run's own, an operator with the wheel's `hostler`, and a stack file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "infra")]

from e2e.desk import Desk  # noqa: E402
from lab.lab import Lab  # noqa: E402
from lab.machine import trouble  # noqa: E402
from lab.spec import HostSpec  # noqa: E402

STUB = "ghcr.io/hostler-lab/stub-engine:1"
STACK = """\
stack: bench
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


@dataclass(frozen=True)
class Tools:
    """What was built before the first clock starts."""

    hostler: Path
    pulumi: Path


def stack_file(hosts: Sequence[str], image: str = STUB) -> str:
    """A stack with one replica a host."""
    return STACK.format(hosts=", ".join(hosts), image=image, replicas=len(hosts))


@contextmanager
def stand(
    tools: Tools, names: Sequence[str], stack: str, cards: tuple[str, ...] = (), suite: str = "bookworm"
) -> Generator[Desk]:
    """Bare hosts of these names and a desk with a stack file; all of it is gone afterwards."""
    if why := trouble():
        sys.exit(f"this machine cannot host a lab: {why}")
    with Lab.start(f"bench-{os.getpid()}") as lab:
        lab.hosts(*(HostSpec(name, suite=suite, gpus=cards) for name in names))
        desk = Desk(lab, lab.operator("bench"), tools.hostler, tools.pulumi)
        desk.write(stack)
        yield desk


@contextmanager
def clock() -> Generator[list[float]]:
    """Appends the seconds that the block took."""
    taken: list[float] = []
    began = time.monotonic()
    yield taken
    taken.append(time.monotonic() - began)


def say(text: str) -> None:
    """The story, on stderr; data is on stdout."""
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()
