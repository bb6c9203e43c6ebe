"""Hosts and an outside world with something wrong: a clear line each, the others go on, and `up` goes on when it is right."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.desk import Desk, Done, replica_of
from lab.hosts import Host
from lab.hubdata import FILE, hub_files
from lab.lab import Lab
from lab.machine import trouble
from lab.spec import HostSpec

pytestmark = pytest.mark.lab

ONE_CARD = ("RTX 3090",)
SPECS = (
    HostSpec("good", gpus=ONE_CARD, user="ops"),  # its user has sudo: all that converges here is done so
    HostSpec("no-python", python3=False),
    HostSpec("no-sudo", user="ops", sudo="none"),
    HostSpec("asks", user="ops", sudo="password"),
    HostSpec("broken", gpus=ONE_CARD, driver="broken"),
    HostSpec("driverless", suite="trixie", gpus=ONE_CARD, driver="absent"),
)
STACK = """
stack: faults
pools: {{rack: [{hosts}]}}
models:
  chat:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
    context: 2k
    args: ["--threads", "1"]
mirror: {{toolkit_key: {key}}}
"""
KEY = "~/.config/hostler/toolkit.asc"
WEIGHTS = "/var/lib/hostler/models"


@dataclass(frozen=True)
class Site:
    """The hosts by name, and a desk to reach them from."""

    desk: Desk
    hosts: dict[str, Host]

    def pool(self, *names: str, key: str = KEY) -> Desk:
        self.desk.write(STACK.format(hosts=", ".join(names), key=key))
        return self.desk


@pytest.fixture(scope="module")
def site(wheel: Path, pulumi: Path) -> Iterator[Site]:
    if why := trouble():
        pytest.fail(f"this machine cannot host a lab: {why}")
    with Lab.start(f"faults-{os.getpid()}") as lab:
        made = lab.hosts(*SPECS)
        desk = Desk(lab, lab.operator("carol"), wheel, pulumi)
        yield Site(desk, {host.name: host for host in made})


@pytest.fixture
def good(site: Site) -> Iterator[Host]:
    """A bare host with one card."""
    yield site.hosts["good"].reset()
    site.desk.lab.clear_faults()


def line_of(done: Done, host: str) -> str:
    """What is said of a host."""
    return "\n".join(line for line in done.err.splitlines() if line.startswith(f"error: {host}"))


# -- hosts that cannot be used


def test_each_is_named_with_its_reason_and_the_others_go_on(site: Site) -> None:
    """The broken host's sshd is stopped here: it takes connections and says nothing, as a machine that swaps does."""
    site.hosts["no-sudo"].run(["rm", "-f", "/usr/bin/sudo"])
    slow, dead = site.hosts["broken"], site.hosts["driverless"]
    sshd = slow.run(["pidof", "sshd"]).stdout.split()
    slow.run(["kill", "-STOP", *sshd])
    dead.network_cut()
    try:
        done = site.pool("good", "no-python", "no-sudo", "asks", "broken", "driverless")(
            "plan", "--json", code=4
        )
    finally:
        slow.run(["kill", "-CONT", *sshd])
        dead.network_restore()
    assert {change["host"] for change in done.changes} == {"good"}
    reasons = {
        "no-python": "no python3",
        "no-sudo": "no sudo",
        "asks": "sudo that asks for one",
        "broken": "says nothing",
        "driverless": "to answer",
    }
    for host, reason in reasons.items():
        assert reason in line_of(done, host), done
    assert done.err.count("next: ") == len(reasons)
    assert "good" not in line_of(done, "good")


def test_without_a_working_driver_nothing_is_changed(site: Site) -> None:
    """Exit 9, with what to type there; apart from what a login writes, the hosts are as before. The other one could
    get its driver, but nothing is rebooted in vain."""
    before = {name: site.hosts[name].files() for name in ("broken", "driverless")}
    done = site.pool("broken", "driverless").up(code=9)
    assert re.search(r"broken.*a driver that does not answer", done.err)
    assert "cuda/repos/debian12" in done.err
    assert "error: driverless" not in done.err
    assert done.err.count("sudo apt-get install -y linux-headers") == 1
    for name, files in before.items():
        now = site.hosts[name].files()
        touched = {path for path in files.keys() | now.keys() if files.get(path) != now.get(path)}
        assert {path for path in touched if not path.startswith(("/run", "/var/log", "/tmp"))} == set()


# -- packages


@pytest.mark.soak
def test_a_wrong_key_of_the_toolkit_installs_nothing(site: Site, good: Host) -> None:
    wrong = site.desk.operator.home / "other.asc"
    site.desk.operator.run(["bash", "-ec", OTHER_KEY.format(file=wrong)], check=True)
    done = site.pool("good", key=str(wrong)).up(code=6)
    assert "nvidia.github.io" in done.err
    assert "key" in done.err.lower()
    installed = good.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", "nvidia-container-toolkit"], check=False
    ).stdout
    assert not installed.startswith("ii")


def test_no_room_for_packages_is_said(site: Site, good: Host) -> None:
    good.fill_disk(leave_bytes=30 << 20)
    done = site.pool("good").up(code=6)
    assert "packages need 512.0 MiB below /var; " in line_of(done, "good"), done
    assert "make room on its disk" in done.err


OTHER_KEY = """
export GNUPGHOME=$(mktemp -d)
gpg --batch --quiet --passphrase '' --quick-generate-key 'Somebody else <else@example.com>' rsa2048 sign never
gpg --batch --armor --export > {file}
rm -r "$GNUPGHOME"
"""


# -- images and weights


@dataclass(frozen=True)
class Prepared:
    """What `up` said on the way to a host that lacks the weights alone; the release is known then."""

    registry: Done
    hub: Done


@pytest.fixture(scope="module")
def prepared(site: Site) -> Prepared:
    """From an interrupted dpkg, first with a registry whose files fail, then with a hub whose file is gone; the hub
    is asked in the first run, too, in the background."""
    host, lab = site.hosts["good"].reset(), site.desk.lab
    host.run(["sh", "-ec", HALF_INSTALLED])
    lab.fault("huggingface.co", "^/lfs/", status=404, client=host.address)
    lab.fault("ghcr.io", "/blobs/", status=503)
    registry = site.pool("good").up(code=6)
    lab.clear_faults()
    lab.fault("huggingface.co", "^/lfs/", status=404, client=host.address)
    hub = site.desk.up(code=6)
    lab.clear_faults()
    lab.snapshot("prepared")
    return Prepared(registry, hub)


HALF_INSTALLED = """
apt-get update -qq
cd /tmp
apt-get download -qq iptables
dpkg --unpack iptables_*.deb >/dev/null 2>&1 || true
dpkg --audit | grep -q iptables
"""


@pytest.fixture
def waiting(site: Site, prepared: Prepared) -> Iterator[Desk]:
    yield site.pool("good")
    site.desk.lab.restore("prepared")


def weights(host: Host) -> set[str]:
    return set(host.run(["find", WEIGHTS, "-name", f"{FILE}*", "-printf", "%f\\n"]).stdout.split())


def test_an_interrupted_installation_is_mended(prepared: Prepared, site: Site) -> None:
    host = site.hosts["good"]
    assert host.run(["dpkg", "--audit"]).stdout == ""
    assert host.run(["systemctl", "is-active", "docker"]).stdout == "active\n"


def test_a_registry_that_fails_is_named(prepared: Prepared) -> None:
    assert "ghcr.io" in line_of(prepared.registry, "good"), prepared.registry
    assert "503" in line_of(prepared.registry, "good")


def test_a_file_that_is_gone_is_named(prepared: Prepared) -> None:
    assert "there is no such file (HTTP 404)" in line_of(prepared.hub, "good"), prepared.hub
    assert "next: " in prepared.hub.err


@pytest.mark.soak
def test_a_full_disk_is_said_and_up_goes_on_with_room(waiting: Desk, site: Site) -> None:
    """A dead host beside it holds nobody up: all is done on the other, and the exit code says that one is missing."""
    host, dead = site.hosts["good"], site.hosts["driverless"]
    host.fill_disk(leave_bytes=80 << 20)
    full = waiting.up(code=6)
    assert re.search(rf"{FILE} needs [0-9.]+ MiB more; [0-9.]+ MiB are free there", line_of(full, "good")), (
        full
    )
    assert weights(host) <= {f"{FILE}.part"}
    host.free_disk()
    dead.network_cut()
    try:
        done = site.pool("good", "driverless").up(code=4)
        assert "answered" in done.err
        assert "to answer" in line_of(done, "driverless")
        assert waiting("plan", "--json", code=4).changes == []
    finally:
        dead.network_restore()


def test_wrong_bytes_never_get_the_final_name(waiting: Desk, site: Site) -> None:
    host = site.hosts["good"]
    waiting.lab.fault("huggingface.co", "^/lfs/", wrong=True, client=host.address)
    done = waiting.up(code=6)
    right = json.loads((hub_files() / "hashes.json").read_text())["1.gguf"]
    assert re.search(f"expected SHA-256 {right}; got [0-9a-f]{{64}}", line_of(done, "good")), done
    assert weights(host) == {f"{FILE}.part"}
    waiting.lab.clear_faults()
    waiting.up()
    assert waiting.plan() == []
    assert weights(host) == {FILE, f"{FILE}.hostler"}


@pytest.mark.soak
def test_a_cut_connection_is_resumed(waiting: Desk, site: Site) -> None:
    """Cut in the middle: the rest is asked for, not the whole."""
    host, size = site.hosts["good"], (hub_files() / "1.gguf").stat().st_size
    waiting.lab.fault("huggingface.co", "^/lfs/", cut=size // 2, times=1, client=host.address)
    since = waiting.lab.now()
    waiting.up()
    every = waiting.lab.requests("cas-bridge.xethub.hf.co", since)
    first, second = (r for r in every if r["client"] == host.address)
    assert first["sent"] <= size // 2
    assert second["range"] == f"bytes={size - second['sent']}-"
    assert 0 < second["sent"] < size
    assert waiting.plan() == []
    assert replica_of(host) == "chat-0"


# -- what is asked before anything is planned


@pytest.mark.parametrize(
    ("place", "path", "status", "word"),
    [
        ("huggingface.co", "^/api/", 404, "HuggingFaceTB/SmolLM2-135M-Instruct-GGUF"),
        ("huggingface.co", "", 503, "huggingface.co"),
        ("ghcr.io", "", 503, "ghcr.io"),
    ],
)
def test_an_outside_world_that_fails_is_named(
    site: Site, good: Host, place: str, path: str, status: int, word: str
) -> None:
    site.desk.lab.fault(place, path, status=status)
    done = site.pool("good")("plan", code=(3, 5))
    assert word in done.err
    assert str(status) in done.err or "not" in done.err
    assert "next: " in done.err
