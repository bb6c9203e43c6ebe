"""`up` killed at every stage, stopped with Ctrl-C, or cut off: the next one ends what was left, and converges.

Each stage is a sign that is waited for. One is drawn in a normal run, all are tried in `make soak`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from e2e.conftest import BARE
from e2e.desk import Desk, replica_of
from e2e.running import Hosts, Run
from lab import network
from lab.hosts import Host
from lab.shell import wait_for

pytestmark = pytest.mark.lab

SEED = os.environ.get("HOSTLER_SEED", "1")
FREE_S = 60.0
LEFT = ("-type", "f", "-not", "(", "-path", "*/models/*", "-not", "-name", "*.part*", ")")


def installs(host: Host) -> bool:
    return host.run(["pgrep", "-x", "dpkg"], check=False).returncode == 0


type Sign = Callable[[Run], bool]


@dataclass(frozen=True)
class Stage:
    """`sign`: it is reached. `bare`: on the way from bare hosts, else in a change of what serves."""

    name: str
    sign: Sign
    bare: bool = True
    whole: bool = False
    slow: str = ""  # what the outside world holds up for it
    in_place: bool = False

    def __str__(self) -> str:
        return self.name


def phase(name: str, kind: str = "chat") -> Sign:
    return lambda run: name in run.phases(kind)


def there(host: str, pattern: str) -> Sign:
    return lambda run: any(run.roots[host].glob(pattern))


def recorded(release: int) -> Sign:
    return lambda run: (run.record().get("journal", 0), run.record().get("release")) == (None, release)


STAGES = (
    Stage("before the lock", lambda run: "gpu-1" in run.out.read_text()),
    Stage("with the lock", lambda run: any(run.texts("gpu-1", "run/lock/hostler.lock"))),
    Stage("with a journal", lambda run: bool(run.record().get("journal"))),
    Stage("in Pulumi", lambda run: any(run.home.glob(".local/state/hostler/**/locks/**/*.json")), whole=True),
    Stage("installing", lambda run: installs(run.hosts["gpu-2"])),
    Stage("installing, machine down", lambda run: installs(run.hosts["gpu-1"]), whole=True),
    Stage("pulling", there("gpu-2", "var/lib/hostler/pulled.json"), slow="ghcr.io"),
    Stage("fetching", there("gpu-2", "var/lib/hostler/models/*/*.part"), slow="huggingface.co"),
    Stage("starting the edge", phase("start", "edge")),
    Stage("starting engines", phase("start"), whole=True),
    Stage("checking engines", phase("check")),
    Stage("starting the gateway", phase("check", "gateway")),
    Stage("verifying", lambda run: "changed  gpu-1: Start it" in run.said()),
    Stage("recorded", recorded(1)),
    Stage("draining", there("gpu-1", "run/hostler/drain/*"), bare=False, in_place=True),
    Stage("stopping", phase("stop"), bare=False, whole=True, in_place=True),
    Stage("exchanging", phase("start"), bare=False, in_place=True),
    Stage("checking the new one", phase("check"), bare=False, whole=True, in_place=True),
    Stage("committing", phase("commit"), bare=False, in_place=True),
    Stage("proving it beside the old one", phase("beside"), bare=False, whole=True),
    Stage("seeing the old one off", phase("leave"), bare=False),
    Stage("all recorded", recorded(2), bare=False),
)
DRAWN = random.Random(SEED).sample(STAGES, 1)


def change(*desks: Desk, in_place: bool = True) -> None:
    """One thing to change, and not beside the replica that serves."""
    for one in desks:
        one.edit("context: 2k ", "context: 3k ")
        if in_place:
            one.edit("    replicas: 2 ", "    exchange: in-place\n    replicas: 2 ")


def begun(desk: Desk, hosts: Hosts, stage: Stage) -> Run:
    """`up` on its way to a stage: from bare hosts, or with one more thing to change."""
    if stage.bare:
        desk.lab.restore(BARE)
    else:
        change(desk, in_place=stage.in_place)
    if stage.slow:
        desk.lab.fault(stage.slow, "^/lfs/|/blobs/", slow=20 << 20)
    return Run(desk, hosts)


def converges(desk: Desk, hosts: Hosts) -> None:
    """The next `up` makes it all true, and nothing of the first one is left."""
    desk.lab.clear_faults()
    desk.up()
    assert desk.plan() == []
    assert "Paris" in desk.ask()
    replicas = {name: f"hostler-{replica_of(host)}" for name, host in hosts.items()}
    assert sorted(replicas.values()) == ["hostler-chat-0", "hostler-chat-1"]
    for name, host in hosts.items():
        doors = {"hostler-edge"} | ({"hostler-gateway"} if name == "gpu-1" else set[str]())
        shown = host.run(["docker", "ps", "-a", "--format", "{{.Names}}"]).stdout
        assert set(shown.split()) == {*doors, replicas[name]}
        left = ["find", "/run/hostler/drain", "/var/lib/hostler/journal", "/var/lib/hostler/models", *LEFT]
        assert host.run(left).stdout == ""
        assert (
            host.run(
                ["sh", "-c", "grep -lz ^HOSTLER_RUN= /proc/[0-9]*/environ 2>/dev/null"], check=False
            ).stdout
            == ""
        )
    assert free(hosts)


def free(hosts: Hosts) -> bool:
    """Nobody holds the stack's lock."""
    return hosts["gpu-1"].run(["flock", "-n", "/run/lock/hostler.lock", "true"], check=False).returncode == 0


def killed(desk: Desk, hosts: Hosts, stage: Stage) -> None:
    with begun(desk, hosts, stage) as run:
        run.until(stage.sign)
        run.kill(whole=stage.whole)
    converges(desk, hosts)


@pytest.mark.parametrize("stage", DRAWN, ids=str)
def test_killed_at_a_drawn_stage(stage: Stage, desk: Desk, hosts: Hosts) -> None:
    """HOSTLER_SEED draws others."""
    print(f"HOSTLER_SEED={SEED}: {', '.join(map(str, DRAWN))}")
    killed(desk, hosts, stage)


@pytest.mark.soak
@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in DRAWN], ids=str)
def test_killed_at_every_other_stage(stage: Stage, desk: Desk, hosts: Hosts) -> None:
    killed(desk, hosts, stage)


def interrupted(desk: Desk, hosts: Hosts, name: str) -> None:
    stage = next(stage for stage in STAGES if stage.name == name)
    with begun(desk, hosts, stage) as run:
        run.until(stage.sign)
        assert run.interrupt() == 130, run.said()
    assert "interrupted; the next `hostler up` goes on from here" in run.said()
    assert "Traceback" not in run.said()
    assert free(hosts)
    converges(desk, hosts)


def test_ctrl_c_stops_cleanly(desk: Desk, hosts: Hosts) -> None:
    interrupted(desk, hosts, "checking the new one")


@pytest.mark.soak
@pytest.mark.parametrize(
    "name",
    [
        "before the lock",
        "with the lock",
        "in Pulumi",
        "installing",
        "fetching",
        "starting engines",
        "draining",
    ],
)
def test_ctrl_c_stops_cleanly_at(name: str, desk: Desk, hosts: Hosts) -> None:
    interrupted(desk, hosts, name)


# -- cut off


@pytest.fixture
def roamer(desk: Desk) -> Iterator[Desk]:
    """A colleague with a network of their own."""
    operator = desk.lab.operator("roamer", alone=True)
    other = Desk(desk.lab, operator, desk.hostler, desk.pulumi)
    other.write(desk.file.read_text(encoding="utf-8"))
    yield other
    desk.lab.dismiss(operator)


@pytest.mark.soak
def test_without_its_network_the_lock_does_not_stay(desk: Desk, roamer: Desk, hosts: Hosts) -> None:
    """A colleague's `up` goes on, and ends what the lost one left behind."""
    change(desk, roamer)
    with Run(roamer, hosts) as run:
        run.until(phase("check"))
        roamer.operator.network_cut()
        wait_for("the lock to be free", lambda: free(hosts), FREE_S)
        converges(desk, hosts)
        assert run.process.wait(120) in (4, 6), run.said()


@pytest.mark.soak
def test_who_lost_the_lock_changes_nothing_more(desk: Desk, roamer: Desk, hosts: Hosts) -> None:
    """Cut off from the gateway's host alone: the others could still be reached, and are left in peace."""
    change(roamer)
    ends = (desk.lab.number, roamer.operator.alone, hosts["gpu-1"].address)
    with Run(roamer, hosts) as run:
        run.until(phase("check"))
        network.cut_pair(*ends)
        try:
            assert run.process.wait(90) == 4, run.said()
        finally:
            network.heal_pair(*ends)
    assert "the lock" in run.said()
    wait_for("the lock to be free", lambda: free(hosts), FREE_S)
    change(desk)
    converges(desk, hosts)


@pytest.mark.soak
def test_a_host_loses_its_power(desk: Desk, hosts: Hosts) -> None:
    desk.edit("context: 2k ", "context: 3k ")
    with Run(desk, hosts) as run:
        run.until(there("gpu-2", "var/lib/hostler/journal/chat*.json"))
        hosts["gpu-2"].power_cut()
        assert run.process.wait(180) in (4, 6), run.said()
    assert "gpu-2" in run.said()
    hosts["gpu-2"].power_on()
    converges(desk, hosts)
