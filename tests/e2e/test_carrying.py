"""Weights of the operator's machine, and weights through it: over its line once, then from host to host."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.desk import Desk, Done
from lab.hosts import Host
from lab.hubdata import FILE, hub_files
from lab.lab import Lab
from lab.machine import trouble
from lab.spec import HostSpec

pytestmark = pytest.mark.lab

NAMES = ("gpu-1", "gpu-2")
WEIGHTS = "/var/lib/hostler/models"
READY = "ready"
OWN = "./weights/mine.gguf"
TOKEN = "hf_lab_token"
STACK = """
stack: carrying
pools: {{rack: {{hosts: [gpu-1, gpu-2], downloads: {through}}}}}
models:
  chat:
    source: "{source}"
    image: ghcr.io/hostler-lab/stub-engine:1
    replicas: 2
    cards: 0
    context: 2k
{more}
"""


@pytest.fixture(scope="module")
def desk(wheel: Path, pulumi: Path) -> Iterator[Desk]:
    """The operator has a line of its own, so that what crosses it can be counted."""
    if why := trouble():
        pytest.fail(f"this machine cannot host a lab: {why}")
    with Lab.start(f"carrying-{os.getpid()}") as lab:
        lab.hosts(HostSpec("gpu-1"), HostSpec("gpu-2", suite="trixie"))
        yield Desk(lab, lab.operator("mo", alone=True), wheel, pulumi)


@pytest.fixture(scope="module")
def first(desk: Desk) -> Done:
    """From bare hosts to an answer, with a file that lies beside the stack file; the operator's bytes beside it."""
    put(desk)
    write(desk)
    before = sent(desk)
    done = desk.up()
    assert size() <= sent(desk) - before < 1.3 * size(), "over the line once"
    desk.lab.snapshot(READY)
    return done


@pytest.fixture
def ready(desk: Desk, first: Done) -> Iterator[Desk]:
    write(desk)
    yield desk
    desk.environment.clear()
    desk.lab.clear_faults()
    desk.lab.restore(READY)


def put(desk: Desk, revision: int = 1) -> Path:
    folder = desk.operator.home / "weights"
    folder.mkdir(exist_ok=True)
    shutil.copy(hub_files() / f"{revision}.gguf", folder / "mine.gguf")
    return folder / "mine.gguf"


def write(desk: Desk, source: str = OWN, more: str = "", through: str = "hosts") -> None:
    desk.write(STACK.format(source=source, more=more, through=through))


def of(desk: Desk, name: str) -> Host:
    return next(host for host in desk.lab.hosts() if host.name == name)


def size() -> int:
    return (hub_files() / "1.gguf").stat().st_size


def sent(desk: Desk) -> int:
    """Bytes that have left the operator's machine."""
    told = desk.operator.run(["ip", "-j", "-s", "link", "show", "eth0"], check=True).stdout
    return int(json.loads(told)[0]["stats64"]["tx"]["bytes"])


def forget(desk: Desk, *names: str) -> None:
    """The weights are gone, as after a disk was exchanged; the engine has them in memory."""
    for name in names:
        of(desk, name).run(["sh", "-c", f"rm -f {WEIGHTS}/*/*"])


def part_size(host: Host) -> int:
    found = host.run(["sh", "-c", f"stat -c %s {WEIGHTS}/*/*.part 2>/dev/null || echo 0"]).stdout
    return int(found.split()[0])


def until(holds: Callable[[], bool], what: str, limit: float = 60.0) -> None:
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end, f"not in {limit} s: {what}"
        time.sleep(0.05)  # of a wait for a condition


def came(done: Done) -> dict[str, str]:
    """Host -> where its file came from, as `up` tells it."""
    lines = [line for line in done.err.splitlines() if "Fetch weights" in line and line.startswith("changed")]
    found = {
        line.split()[1].rstrip(":"): line.rpartition(".gguf: ")[2] for line in lines if ".gguf: " in line
    }
    given = [line.split()[1].rstrip(":") for line in done.err.splitlines() if line.startswith("sent ")]
    return found | dict.fromkeys(given, "from this machine")


def test_two_bare_hosts_and_one_push(desk: Desk, first: Done) -> None:
    assert came(first) == {"gpu-1": "from this machine", "gpu-2": "from gpu-1"}, first
    assert "from this machine" in first.out
    for name in NAMES:
        host = of(desk, name)
        held = host.run(["sh", "-c", f"sha256sum {WEIGHTS}/*/mine.gguf"]).stdout.split()[0]
        assert held == json.loads((hub_files() / "hashes.json").read_text())["1.gguf"]
        assert "127.0.0.1" not in forwards(host), "the way to the operator is closed again"


def test_the_second_up_changes_nothing(ready: Desk) -> None:
    before = sent(ready)
    done = ready.up("--json")
    assert done.json["changes"] == []
    assert sent(ready) - before < 2_000_000


@pytest.mark.soak
def test_a_host_that_lacks_it_gets_it_from_its_neighbour(ready: Desk) -> None:
    """A second operator, who has never had the file, needs it for neither: not to look, not to bring it back."""
    eve = Desk(ready.lab, ready.lab.operator("eve"), ready.hostler, ready.pulumi)
    write(eve)
    assert eve.plan() == []
    assert eve.up("--json").changes == []
    forget(ready, "gpu-1")
    assert came(eve.up()) == {"gpu-1": "from gpu-2"}
    forget(ready, *NAMES)
    done = eve.up(code=9)
    assert "on this machine, since gpu-1 lacks it" in done.err
    assert "next: run it on the machine that has the file" in done.err
    assert came(ready.up())["gpu-1"] == "from this machine"


@pytest.mark.soak
def test_killed_at_half_and_gone_on_with(ready: Desk) -> None:
    forget(ready, *NAMES)
    rate = size() // 8
    write(ready, more=f"downloads: {rate // 1000} KB/s")
    host = of(ready, "gpu-1")
    running = ready.start("up", "--yes", start_new_session=True)
    until(lambda: part_size(host) > size() // 2, "half of it is there")
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate(timeout=10)
    until(lambda: "127.0.0.1" not in forwards(host), "sshd lets the port go")
    have = part_size(host)
    assert size() // 2 < have < size()
    write(ready)
    before = sent(ready)
    done = ready.up()
    assert came(done)["gpu-1"] == "from this machine", done
    assert sent(ready) - before < size() - have + 0.2 * size(), "it went on, and did not begin anew"
    assert ready.plan() == []


def forwards(host: Host) -> str:
    """Ports of sshd's on loopback."""
    told = host.run(["ss", "-Hlntp"]).stdout
    return "\n".join(line for line in told.splitlines() if "sshd" in line)


def test_a_file_that_changed_is_refused(ready: Desk) -> None:
    put(ready, 2)
    try:
        got = json.loads((hub_files() / "hashes.json").read_text())["2.gguf"]
        for verb in (("plan",), ("up", "--yes")):
            done = ready(*verb, code=9)
            assert "models.chat.source: expected mine.gguf with SHA-256 " in done.err
            assert f"with SHA-256 {got}" in done.err
            assert f"next: put the old one back; or, to serve the new one, write `sha256: {got}`" in done.err
        write(ready, more="")
        ready.edit(f'"{OWN}"', f'"{OWN}"\n    sha256: {got}')
        assert {c["item"].partition(":")[0] for c in ready.plan()} >= {"model"}
    finally:
        put(ready)


@pytest.mark.soak
def test_a_pool_that_does_not_reach_the_hub(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gated file of the hub, through the operator: no host asks the hub, and none ever sees the token."""
    for host in ready.lab.hosts():
        ready.lab.fault("huggingface.co", status=503, client=host.address)
    write(ready, "hf:hostler-lab/gated-GGUF:Q4_1", "secrets: {HF_TOKEN: env}", "operator")
    monkeypatch.setitem(ready.environment, "HF_TOKEN", TOKEN)
    since, before = ready.lab.now(), sent(ready)
    done = ready.up()
    assert came(done) == {"gpu-1": "from this machine", "gpu-2": "from gpu-1"}, done
    assert "from huggingface.co through this machine" in done.out
    assert size() <= sent(ready) - before < 1.3 * size()
    asked = [one["client"] for one in ready.lab.requests("huggingface.co", since)]
    asked += [one["client"] for one in ready.lab.requests("cas-bridge.xethub.hf.co", since)]
    assert not set(asked) & {host.address for host in ready.lab.hosts()}
    for name in NAMES:
        assert TOKEN not in of(ready, name).run(["journalctl", "--no-pager", "-o", "cat"]).stdout
    assert not list(ready.operator.home.rglob(FILE)), "it was read through, and is not kept"
    write(ready, "hf:hostler-lab/gated-GGUF:Q4_1", "secrets: {HF_TOKEN: env}")
    assert ready.plan() == [], "who fetches it changes nothing that runs"


def test_an_sshd_that_forbids_it_is_named(ready: Desk) -> None:
    forget(ready, *NAMES)
    host = of(ready, "gpu-1")
    host.run(
        [
            "sh",
            "-c",
            "echo 'AllowTcpForwarding no' > /etc/ssh/sshd_config.d/00-lab.conf; systemctl reload ssh",
        ]
    )
    done = ready.up(code=4)
    assert "gpu-1: expected sshd to give the operator's connection a port on its loopback" in done.err
    assert "next: `AllowTcpForwarding remote`" in done.err
