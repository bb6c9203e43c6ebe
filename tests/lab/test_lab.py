"""The lab itself: few tests, quick ones first."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .cache import HERE, labs
from .gpus import card_uuid
from .hosts import Host
from .hubdata import COMMITS, FILE, GATED, REPO, TOKEN
from .lab import Lab
from .operators import Operator
from .plugin import FreshHosts
from .shell import LabError, Process, wait_for
from .spec import HostSpec

HUB = f"https://huggingface.co/{REPO}/resolve/main/{FILE}"
CARDS = ("RTX 3090", "RTX 3090", "A10G")


def test_boots_bare_and_resets_in_place(fresh_hosts: FreshHosts) -> None:
    (host,) = fresh_hosts("h1")
    assert host.run(["systemctl", "is-system-running"]).stdout == "running\n"
    assert host.run(["sh", "-c", "command -v docker nvidia-smi"], check=False).returncode == 127
    key, before = host.host_key, host.files()
    host.run(["sh", "-c", "echo x > /etc/new; chmod 700 /etc/hosts; rm /etc/issue"])
    after = host.files()
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert {"/etc/new", "/etc/hosts", "/etc/issue"} <= changed
    host.reset()
    assert (host.host_key, (host.root / "etc/new").exists()) == (key, False)


def test_ssh_knows_the_host_key(fresh_hosts: FreshHosts, operator: Operator) -> None:
    (host,) = fresh_hosts("h1")
    assert operator.run(["ssh", "h1", "hostname"]).stdout == "h1\n"
    host.change_host_key()
    refused = operator.run(["ssh", "h1", "hostname"])
    assert refused.returncode == 255
    assert "HOST IDENTIFICATION HAS CHANGED" in refused.stderr


@pytest.mark.parametrize(("sudo", "code"), [("nopasswd", 0), ("password", 1), ("none", 1)])
def test_users(fresh_hosts: FreshHosts, operator: Operator, sudo: str, code: int) -> None:
    fresh_hosts("h1", user="ops", sudo=sudo, python3=False)
    assert operator.run(["ssh", "h1", "sudo", "-n", "true"]).returncode == code
    with_password = operator.run(["ssh", "h1", "sudo", "-S", "id", "-un"], stdin="lab\n")
    assert (with_password.stdout == "root\n") == (sudo != "none")
    assert operator.run(["ssh", "h1", "python3", "-V"]).returncode == 127
    assert operator.run(["ssh", "root@h1", "true"]).returncode == 255


def test_cards(fresh_hosts: FreshHosts) -> None:
    (host,) = fresh_hosts("h1", gpus=CARDS)
    query = ["nvidia-smi", "--query-gpu=index,uuid,memory.total,power.limit", "--format=csv,noheader,nounits"]
    assert host.run([*query, "-i", "2"]).stdout == f"2, {card_uuid('h1', 2)}, 23028, 300.00\n"
    assert len((host.root / "etc/lab-gpus").read_text().splitlines()) == 3
    host.remove_card(0)
    assert [line.split(", ")[1] for line in host.run(query).stdout.splitlines()] == [
        card_uuid("h1", 1),
        card_uuid("h1", 2),
    ]
    assert host.run(["ls", "/sys/bus/pci/devices"]).stdout.split() == [
        "0000:00:00.0",
        "0000:02:00.0",
        "0000:03:00.0",
    ]
    host.break_driver()
    assert host.run(["nvidia-smi"], check=False).returncode == 9


def test_without_driver(fresh_hosts: FreshHosts) -> None:
    (host,) = fresh_hosts("h1", gpus=CARDS, driver="absent")
    assert host.run(["sh", "-c", "command -v nvidia-smi"], check=False).returncode == 127
    assert host.run(["cat", "/sys/bus/pci/devices/0000:03:00.0/vendor"]).stdout == "0x10de\n"


@pytest.mark.parametrize(
    ("suite", "release"),
    [("bookworm", "debian12"), pytest.param("trixie", "debian13", marks=pytest.mark.soak)],
)
def test_a_driver_from_packages_runs_after_a_reboot(
    fresh_hosts: FreshHosts, suite: str, release: str
) -> None:
    (host,) = fresh_hosts(HostSpec("h1", suite=suite, gpus=CARDS, driver="absent"))
    repository = f"https://developer.download.nvidia.com/compute/cuda/repos/{release}/x86_64"
    host.run(["curl", "-fsSLo", "/etc/apt/keyrings/n.asc", f"{repository}/3bf863cc.pub"])
    source = f"deb [signed-by=/etc/apt/keyrings/n.asc] {repository}/ /\n"
    host.run(["tee", "/etc/apt/sources.list.d/cuda.list"], stdin=source)
    host.run(["apt-get", "update", "-qq"])
    headers = f"linux-headers-{os.uname().release}"
    host.run(["apt-get", "install", "-y", "-qq", headers, "nvidia-driver-pinning-580", "nvidia-open"])
    assert host.run(["nvidia-smi"], check=False).returncode == 9
    host.reboot()
    assert len(host.run(["nvidia-smi", "-L"]).stdout.splitlines()) == len(CARDS)
    assert "580.95.05" in host.run(["cat", "/proc/driver/nvidia/version"]).stdout


def test_power_and_reboot(fresh_hosts: FreshHosts) -> None:
    (host,) = fresh_hosts("h1")
    boots = [host.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout]
    host.power_cut()
    assert not host.running
    host.power_on()
    boots.append(host.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout)
    host.reboot()
    boots.append(host.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout)
    assert len(set(boots)) == 3


def test_cuts(lab: Lab, fresh_hosts: FreshHosts) -> None:
    one, other = fresh_hosts("h1", "h2")

    def reaches(a: Host, address: str) -> bool:
        return a.run(["ping", "-c1", "-W1", address], check=False).returncode == 0

    assert reaches(one, other.address)
    lab.cut_pair(one, other)
    assert (reaches(one, other.address), reaches(one, lab.gateway)) == (False, True)
    lab.heal_pair(one, other)
    one.network_cut()
    assert not reaches(one, lab.gateway)
    one.network_restore()
    assert reaches(one, other.address)


def test_full_disk(fresh_hosts: FreshHosts) -> None:
    (host,) = fresh_hosts("h1")
    host.fill_disk(leave_bytes=1 << 20)
    for place in ("/var/lib/big", "/var/lib/docker/big"):
        full = host.run(["dd", "if=/dev/zero", f"of={place}", "bs=1M", "count=8"], check=False)
        assert "No space left on device" in full.stderr
        host.run(["rm", place])
    host.free_disk()
    host.run(["dd", "if=/dev/zero", "of=/var/lib/big", "bs=1M", "count=8"])


def test_hub(lab: Lab, operator: Operator, tmp_path: Path) -> None:
    lab.clear_faults()
    part = operator.run(["curl", "-fsSL", "-r", "0-3", HUB])
    assert part.stdout == "GGUF"
    curl = ["curl", "-sL", "-o", str(tmp_path / "x"), "-w", "%{http_code} %{size_download}"]
    lab.fault("huggingface.co", "/lfs/", cut=1000, times=1)
    assert operator.run([*curl, HUB]).stdout == "200 1000"
    lab.fault("huggingface.co", status=503, times=1)
    assert operator.run([*curl, HUB]).stdout.startswith("503 ")
    lab.fault("huggingface.co", slow=100_000)
    assert operator.run([*curl, "-m", "1", HUB]).returncode == 28
    lab.clear_faults()
    lab.hub_main(2)
    head = operator.run(["curl", "-sI", HUB]).stdout.lower()
    assert f"x-repo-commit: {COMMITS[REPO][1]}" in head
    gated = f"https://huggingface.co/api/models/{GATED}"
    assert operator.run([*curl, gated]).stdout.startswith("401 ")
    assert operator.run([*curl, "-H", f"Authorization: Bearer {TOKEN}", gated]).stdout.startswith("200 ")


def test_alone_there_is_only_the_lab(lab: Lab, fresh_hosts: FreshHosts) -> None:
    fresh_hosts("h1")
    alone = lab.operator("alone", alone=True)
    assert alone.run(["ssh", "h1", "hostname"]).stdout == "h1\n"
    assert (
        alone.run(
            ["curl", "-fsS", "-o", "/dev/null", "https://nvidia.github.io/libnvidia-container/gpgkey"]
        ).stderr
        == ""
    )
    assert alone.run(["curl", "-sS", "-m", "2", "https://outside.example/"]).returncode in (6, 7, 28)
    alone.network_cut()
    assert alone.run(["ssh", "-o", "ConnectTimeout=1", "h1", "hostname"]).returncode == 255
    lab.dismiss(alone)


def test_snapshot_and_restore(lab: Lab, fresh_hosts: FreshHosts) -> None:
    one, _ = fresh_hosts("h1", "h2")
    operator = lab.operator("keeper")
    (operator.home / "note").write_text("before")
    one.run(["sh", "-c", "echo before > /etc/note"])
    lab.snapshot("converged")
    (operator.home / "note").write_text("after")
    one.run(["sh", "-c", "echo after > /etc/note; sync"])
    lab.restore("converged")
    assert one.run(["cat", "/etc/note"]).stdout == "before\n"
    assert operator.run(["cat", "note"]).stdout == "before"
    lab.dismiss(operator)


def test_two_labs_and_nothing_left(lab: Lab) -> None:
    second = Lab.start(f"second-{os.getpid()}")
    host = second.host("h1")
    holder = second.operator().directory / "holder.json"
    processes = [Process.load(f) for f in (holder, host.directory / "supervisor.json")]
    assert host.address.rsplit(".", 1)[0] != lab.gateway.rsplit(".", 1)[0]
    second.stop()
    assert not second.directory.exists()
    assert not any(p and p.alive for p in processes)
    assert subprocess.run(["ip", "link", "show", second.bridge], capture_output=True, check=False).returncode
    with pytest.raises(LabError, match="no lab"):
        Lab.open(second.name)


def test_ends_with_its_owner() -> None:
    name = f"orphan-{os.getpid()}"
    code = f"from lab import Lab; Lab.start({name!r}).host('h1'); print('up', flush=True); input()"
    env = os.environ | {"PYTHONPATH": str(HERE.parent)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == "up\n"
        owner.send_signal(signal.SIGKILL)
    wait_for("the orphan to be gone", lambda: not (labs() / name).exists(), 20)


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
@pytest.mark.soak
def test_docker_through_apt_serves_the_model(lab: Lab, fresh_hosts: FreshHosts, suite: str) -> None:
    (host,) = fresh_hosts(HostSpec("h1", suite=suite, gpus=CARDS))
    since = time.time()
    host.run(["apt-get", "update", "-qq"], timeout=300)
    host.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "docker.io"], timeout=300)
    if suite == "trixie":
        host.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "docker-cli"], timeout=300)
    repository = "https://nvidia.github.io/libnvidia-container/stable/deb"
    host.run(
        ["curl", "-fsSLo", "/etc/apt/keyrings/n.asc", f"{repository.removesuffix('/stable/deb')}/gpgkey"]
    )
    source = f"deb [signed-by=/etc/apt/keyrings/n.asc] {repository}/$(ARCH) /\n"
    host.run(["tee", "/etc/apt/sources.list.d/nvidia.list"], stdin=source)
    host.run(["apt-get", "update", "-qq"])
    host.run(["apt-get", "install", "-y", "-qq", "nvidia-container-toolkit"])
    host.run(["nvidia-ctk", "runtime", "configure", "--runtime=docker"])
    host.run(["systemctl", "restart", "docker"])
    host.run(["docker", "pull", "-q", "haproxy:3.4"])
    host.run(["curl", "-fsSLo", "/srv/model.gguf", HUB])
    model = ["-m", "/srv/model.gguf", "--port", "9000", "-c", "512", "-np", "1", "-t", "1"]
    docker = [
        "docker",
        "run",
        "-d",
        "--name",
        "llama",
        "--gpus",
        f'"device={card_uuid("h1", 2)}"',
        "--read-only",
    ]
    publish = ["-p", "127.0.0.1:9000:9000", "-v", "/srv:/srv:ro", "ghcr.io/ggml-org/llama.cpp:server"]
    host.run([*docker, *publish, *model])

    def healthy() -> bool:
        return host.run(["curl", "-fs", "http://127.0.0.1:9000/health"], check=False).returncode == 0

    wait_for("llama-server", healthy, 60)
    assert card_uuid("h1", 2) in host.run(["docker", "exec", "llama", "nvidia-smi", "-L"]).stdout
    asked = {r["path"] for r in lab.requests("ghcr.io", since)}
    assert "/v2/ggml-org/llama.cpp/manifests/server" in asked
