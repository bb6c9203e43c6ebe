"""Files of weights go over the outside line once: one host fetches, the others follow it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from e2e.desk import Desk, Done
from lab.hosts import Host
from lab.hubdata import FILE, hub_files
from lab.lab import Lab
from lab.machine import trouble
from lab.spec import HostSpec

pytestmark = [pytest.mark.lab, pytest.mark.soak]  # four hosts of its own: minutes

NAMES = ("gpu-1", "gpu-2", "gpu-3", "gpu-4")
CDN = "cas-bridge.xethub.hf.co"
WEIGHTS = "/var/lib/hostler/models"
READY = "ready"
STACK = """
stack: models
pools: {{rack: [{hosts}]}}
models:
  chat:
    source: "{source}"
    image: ghcr.io/hostler-lab/stub-engine:1
    replicas: {replicas}
    cards: 0
    context: 2k
{more}
"""
HUB = "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"


@pytest.fixture(scope="module")
def desk(wheel: Path, pulumi: Path) -> Iterator[Desk]:
    if why := trouble():
        pytest.fail(f"this machine cannot host a lab: {why}")
    with Lab.start(f"models-{os.getpid()}") as lab:
        lab.hosts(*(HostSpec(name, suite="trixie" if name == "gpu-3" else "bookworm") for name in NAMES))
        yield Desk(lab, lab.operator("mo"), wheel, pulumi)


@pytest.fixture(scope="module")
def first(desk: Desk) -> dict[str, Any]:
    """From bare hosts to an answer, over a line that is slower than all else; what was asked of it."""
    write(desk, NAMES)
    desk.lab.fault("huggingface.co", "^/lfs/", line=5_000_000)
    since = desk.lab.now()
    plan = desk("plan", "--json").changes
    done = desk.up()
    desk.lab.clear_faults()
    asked = fetched(desk, since)
    desk.lab.snapshot(READY)
    return {"plan": plan, "done": done, "asked": asked}


@pytest.fixture
def ready(desk: Desk, first: dict[str, Any]) -> Iterator[Desk]:
    write(desk, NAMES)
    yield desk
    desk.lab.clear_faults()
    desk.lab.restore(READY)


def write(desk: Desk, hosts: tuple[str, ...], source: str = HUB, more: str = "") -> None:
    desk.write(STACK.format(hosts=", ".join(hosts), replicas=len(hosts), source=source, more=more))


def of(desk: Desk, name: str) -> Host:
    return next(host for host in desk.lab.hosts() if host.name == name)


def size() -> int:
    return (hub_files() / "1.gguf").stat().st_size


def fetched(desk: Desk, since: float) -> list[dict[str, Any]]:
    """What hosts asked for of the hub's file; the operator reads its header."""
    hosts = {host.address for host in desk.lab.hosts()}
    return [one for one in desk.lab.requests(CDN, since) if one["method"] == "GET" and one["client"] in hosts]


def forget(host: Host) -> None:
    """The weights are gone, as after a disk was exchanged; the engine has them in memory."""
    host.run(["sh", "-c", f"rm -f {WEIGHTS}/*/*"])


def part_size(host: Host) -> int:
    found = host.run(["sh", "-c", f"stat -c %s {WEIGHTS}/*/{FILE}.part 2>/dev/null || echo 0"]).stdout
    return int(found.split()[0])


def until(holds: Callable[[], bool], what: str, limit: float = 60.0) -> None:
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end, f"not in {limit} s: {what}"
        time.sleep(0.1)


def said_of_weights(done: Done) -> dict[str, str]:
    """Host -> where its file came from, as `up` tells it."""
    lines = [line for line in done.err.splitlines() if "Fetch weights" in line and line.startswith("changed")]
    return {line.split()[1].rstrip(":"): line.rpartition(".gguf: ")[2] for line in lines}


def test_four_bare_hosts_and_one_download(desk: Desk, first: dict[str, Any]) -> None:
    gets = first["asked"]
    assert {asked["client"] for asked in gets} == {of(desk, "gpu-1").address}
    assert sum(asked["sent"] for asked in gets) == size()
    plan = {c["host"]: c["then"] for c in first["plan"] if c["item"].startswith("model:")}
    assert {host: then.partition(" from ")[2] for host, then in plan.items()} == {
        "gpu-1": "huggingface.co",
        "gpu-2": "gpu-1",
        "gpu-3": "gpu-2",
        "gpu-4": "gpu-3",
    }
    said = said_of_weights(first["done"])
    assert said == {
        "gpu-1": "from huggingface.co",
        "gpu-2": "from gpu-1",
        "gpu-3": "from gpu-2",
        "gpu-4": "from gpu-3",
    }, first["done"]


def test_the_second_up_changes_nothing(ready: Desk) -> None:
    done = ready.up("--json")
    assert done.json["changes"] == []
    assert "changed " not in done.err


@pytest.mark.soak
def test_a_file_that_one_lacks_comes_from_its_neighbour(ready: Desk) -> None:
    """Also to the gateway's host, and on Debian 13."""
    for name in ("gpu-1", "gpu-3"):
        forget(of(ready, name))
    since = ready.lab.now()
    done = ready.up()
    assert said_of_weights(done) == {"gpu-1": "from gpu-4", "gpu-3": "from gpu-2"}, done
    assert fetched(ready, since) == []
    assert ready.plan() == []


def test_a_peer_that_is_lost_in_the_middle_is_gone_past(ready: Desk) -> None:
    """gpu-1 fetches it, and gpu-2 does not reach it any more: gpu-2 goes on outside, where it was."""
    one, other = of(ready, "gpu-1"), of(ready, "gpu-2")
    for name in NAMES:
        forget(of(ready, name))
    ready.lab.fault("huggingface.co", "^/lfs/", line=4_000_000)
    since = ready.lab.now()
    with ThreadPoolExecutor(1) as beside:
        cut = beside.submit(lose_each_other, ready, one, other)
        done = ready.up()
        cut.result()
    said = said_of_weights(done)
    assert said["gpu-2"].startswith("from huggingface.co (gpu-1: "), done
    assert said["gpu-3"] in ("from gpu-2", "from gpu-1"), done
    assert said["gpu-4"] in ("from gpu-3", "from gpu-2", "from gpu-1"), done
    asked = {get["client"]: get for get in fetched(ready, since)}
    assert set(asked) == {one.address, other.address}
    assert asked[other.address]["range"] != "", "it went on, and did not begin anew"
    assert ready.plan() == []


def lose_each_other(desk: Desk, one: Host, other: Host) -> None:
    """From the time when one follows the other until it has turned away."""
    until(lambda: part_size(other) > 10_000_000, "it follows")
    desk.lab.cut_pair(one, other)
    try:
        until(lambda: part_size(other) == 0, "it has gone on alone", limit=120)
    finally:
        desk.lab.heal_pair(one, other)


def test_a_gated_file_is_copied_without_its_token(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token goes to the one that fetches, and is in no log of any host."""
    gated = "hf:hostler-lab/gated-GGUF:Q4_1"
    write(ready, NAMES, gated, "secrets: {HF_TOKEN: env}")
    monkeypatch.setitem(ready.environment, "HF_TOKEN", "hf_lab_token")
    since = ready.lab.now()
    done = ready.up()
    assert {asked["client"] for asked in fetched(ready, since)} == {of(ready, "gpu-1").address}
    assert said_of_weights(done)["gpu-2"] == "from gpu-1", done
    for name in NAMES:
        assert "hf_lab_token" not in of(ready, name).run(["journalctl", "--no-pager", "-o", "cat"]).stdout


def test_nobody_else_is_given_anything(ready: Desk) -> None:
    """Neither without a certificate, nor a neighbour that asks for a replica."""
    pair = ["--cert", "/etc/hostler/tls/edge.crt", "--key", "/etc/hostler/tls/edge.key"]
    asker, giver = of(ready, "gpu-3"), of(ready, "gpu-4")

    def ask(name: str, *words: str) -> str:
        to = ["--connect-to", f"{name}:443:{giver.address}:8443", f"https://{name}/health"]
        words = ("curl", "-sk", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}", *words, *to)
        return asker.run(words, check=False).stdout

    until(lambda: ask("files.gpu-4", *pair) == "404", "its edge is up again and lets a neighbour in")
    assert ask("files.gpu-4") == "000"
    assert ask("chat-3.gpu-4", *pair) == "000"


def test_down_leaves_nothing_that_listens(ready: Desk) -> None:
    ready("down", "--yes")
    for name in NAMES:
        host = of(ready, name)
        assert "hostler" not in host.run(["ss", "-lxnp"]).stdout
        units = host.run(["systemctl", "list-units", "--all", "--plain", "--no-legend", "hostler*"]).stdout
        assert units.strip() == "", units
        assert host.run(["sh", "-c", "ls -d /etc/systemd/system/*hostler* 2>/dev/null || true"]).stdout == ""
