"""Bare hosts to a first answer: `hostler up` against floor.sh, which does the same installs, pulls and loads by hand."""

from __future__ import annotations

import base64
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rendered import Rendered, image_of, read
from stand import TOP, Tools, clock, say, stand

from e2e.desk import Desk

HOSTS = [f"gpu-{number + 1}" for number in range(4)]
CARDS = ("RTX 3090",)
BUDGET_S = 150.0  # a second round only where the first was quick
LIMIT_S = 400.0
STACK = f"""\
stack: bench
pools:
  rack: [{", ".join(HOSTS)}]
models:
  chat:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
    replicas: {len(HOSTS)}
    cards: 1
    context: 2k
    args: ["--threads", "1"]
mirror:
  toolkit_key: ~/.config/hostler/toolkit.asc
"""


def measured(tools: Tools, work: Path) -> dict[str, float]:
    """Seconds of each way, means over the rounds; bare hosts and a new operator for each run."""
    with stand(tools, HOSTS, STACK, CARDS) as desk:
        desk.lab.snapshot("bare")
        desk("render", str(work / "rendered"))
        lists = write_lists(work / "lists", read(work / "rendered"))
        ways: dict[str, Callable[[], object]] = {"floor": lambda: floor(desk, lists), "hostler": desk.up}
        return rounds(desk, ways)


def rounds(desk: Desk, ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in ways}
    began = time.monotonic()
    for order in (list(ways), list(ways)[::-1]):
        if time.monotonic() - began > BUDGET_S:
            break
        for name in order:
            desk.lab.restore("bare")
            with clock() as taken:
                ways[name]()
            found[name] += taken
            say(f"cold: {name} {taken[0]:.1f} s")
    return {name: sum(taken) / len(taken) for name, taken in found.items()}


def floor(desk: Desk, lists: Path) -> None:
    done = desk.operator.run([str(TOP / "bench" / "floor.sh"), str(lists)], timeout=LIMIT_S)
    if done.returncode:
        sys.exit(f"floor.sh: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-3000:]}")


def write_lists(folder: Path, hosts: list[Rendered]) -> Path:
    folder.mkdir()
    for host in hosts:
        (folder / host.host).write_text("".join(f"{line}\n" for line in lines(host)))
    return folder


def lines(host: Rendered) -> Iterator[str]:
    """One host's work, as floor_host.sh reads it."""
    values = host.values
    for entry in values.get("toolkit_files", ()):
        yield f"file {entry['path']} {packed(entry['text'])}"
    for entry in values.get("docker_merged", ()):
        yield f"file {entry['path']} {packed(json.dumps(entry['values']))}"
    yield from (f"package {name}" for name in host.packages)
    yield from (f"image {ref}" for ref in values["engine_images"])
    for model in values["engine_models"]:
        yield f"model {model['url']} {model['path']} {model['sha256']}"
    for engine in host.engines:
        yield f"run {docker_words(engine)}"
        yield f"health http://127.0.0.1:{engine['port']}/health"


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def docker_words(engine: dict[str, Any]) -> str:
    """`docker run -d` takes these."""
    cards = ["--gpus", f'"device={",".join(engine["cards"])}"'] if engine["cards"] else []
    mounts = [word for m in engine["mounts"] for word in ("-v", f"{m['source']}:{m['target']}:ro")]
    return shlex.join(["--network", "host", *cards, *mounts, image_of(engine), *engine["argv"]])
