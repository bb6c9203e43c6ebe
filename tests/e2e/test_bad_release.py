"""Releases that are worse under a green health check: found by the canary, and undone under load with nothing lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from e2e.desk import Desk
from e2e.load import Load
from e2e.test_roll import containers
from lab.hosts import Host
from lab.hubdata import COMMITS, REPO
from lab.shell import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.soak]

STUB = "ghcr.io/hostler-lab/stub-engine"
WORDS = '"--threads", "1"'
NEW = "--no-warmup"  # a word of the new release alone, by which its process is known
THROTTLE = f"""
while :; do
  for p in $(pgrep -f -- "[l]lama-server .*{NEW}"); do kill -STOP $p; done; sleep 0.2
  for p in $(pgrep -f -- "[l]lama-server .*{NEW}"); do kill -CONT $p; done; sleep 0.04
done
"""


def undone(desk: Desk, hosts: dict[str, Host], why: str, code: int | Sequence[int] = 7) -> None:
    """`up` under load: exit 7, the old ones serve as before, and no request was lost."""
    before = {name: containers(host) for name, host in hosts.items()}
    with Load(desk) as load:
        failed = desk.up(code=code)
        whole, broken = load.end()
    assert why in failed.err, failed
    assert broken == ""
    assert whole > 0
    assert {name: containers(host) for name, host in hosts.items()} == before
    assert {r["state"] for r in desk("status", "--json").json["replicas"]} == {"ready"}
    assert "Paris" in desk.ask()


@contextmanager
def throttled(hosts: dict[str, Host]) -> Iterator[None]:
    """The new release's engine has a sixth of the processor's time."""
    try:
        for host in hosts.values():
            host.run(["systemd-run", "--unit=throttle", "sh", "-c", THROTTLE])
        yield
    finally:
        for host in hosts.values():
            host.run(["systemctl", "stop", "throttle"])


def test_half_as_fast(desk: Desk, hosts: dict[str, Host]) -> None:
    desk.edit(WORDS, f'{WORDS}, "{NEW}"')
    with throttled(hosts):
        undone(desk, hosts, "80% of the former replica's; got ")
    desk.edit(f', "{NEW}"', "")
    desk.up()
    assert desk.plan() == []


def test_another_image_that_answers_garbage(desk: Desk, hosts: dict[str, Host]) -> None:
    """Healthy, with the right name, file and context; and nobody has said what the answer must contain."""
    desk.edit("      expect: Paris\n", "")
    desk.up()
    old = desk.file.read_text()
    desk.edit(WORDS, '"--tokens", "64"')
    desk.edit("    replicas: 2 ", f"    image: {STUB}:1\n    replicas: 2 ")
    undone(desk, hosts, "it repeats itself: nothing but 'word word")
    desk.write(old)
    desk.up()
    assert desk.plan() == []


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("exits", "asked to exit at the start"),
        ("out-of-memory", "cudaMalloc failed: out of memory"),
        ("out-of-memory-asked", "cudaMalloc failed: out of memory"),
        ("never-ready", "/health says 503"),
        ("silent", "the answer is empty"),
        ("cut-streams", "the stream broke off"),
        ("other-model", "the engine has loaded /models/another.gguf"),
    ],
)
def test_another_image_that_is_broken(fault: str, why: str, desk: Desk, hosts: dict[str, Host]) -> None:
    old = desk.file.read_text()
    broken_image(desk, "--fault", fault)
    undone(desk, hosts, why)
    desk.write(old)
    assert {change["action"] for change in desk.plan()} == {
        "remove"
    }  # its image, which nothing needs any more
    desk.up()
    assert desk.plan() == []


def broken_image(desk: Desk, *words: str, tag: str = "1") -> None:
    """The stack file asks for the stub engine with these words; nobody says what it must answer."""
    desk.edit("      expect: Paris\n", "")
    desk.edit(WORDS, ", ".join(f'"{word}"' for word in words))
    desk.edit("    replicas: 2 ", f"    image: {STUB}:{tag}\n    replicas: 2 ")


def test_an_image_that_does_not_exist(desk: Desk, hosts: dict[str, Host]) -> None:
    old = desk.file.read_text()
    broken_image(desk, "--tokens", "16", tag="9")
    undone(desk, hosts, f"{STUB}:9", code=(3, 5))
    desk.write(old)
    assert desk.plan() == []


def test_an_image_that_is_gone_when_hosts_pull_it(desk: Desk, hosts: dict[str, Host]) -> None:
    broken_image(desk, "--tokens", "16")
    for host in hosts.values():
        desk.lab.fault("ghcr.io", "hostler-lab/stub-engine", status=404, client=host.address)
    undone(desk, hosts, STUB, code=6)
    desk.lab.clear_faults()
    desk.up()
    assert desk.plan() == []


def test_no_room_for_an_image(desk: Desk, hosts: dict[str, Host]) -> None:
    broken_image(desk, "--tokens", "16")
    hosts["gpu-2"].fill_disk(leave_bytes=2 << 20)
    try:
        undone(desk, hosts, "gpu-2", code=6)
    finally:
        hosts["gpu-2"].free_disk()
    desk.up()
    assert desk.plan() == []


def test_weights_with_another_checksum(desk: Desk, hosts: dict[str, Host]) -> None:
    desk.edit("-GGUF:Q4_1", f"-GGUF:Q4_1@{COMMITS[REPO][1]}")
    for host in hosts.values():
        desk.lab.fault("huggingface.co", "^/lfs/", wrong=True, client=host.address)
    undone(desk, hosts, "expected SHA-256 ", code=6)
    desk.lab.clear_faults()
    desk.up()
    assert desk.plan() == []


def test_a_good_release_is_baked_once(desk: Desk, hosts: dict[str, Host]) -> None:
    """The first of two serves while the one before it waits aside; the second follows, and nothing is lost."""
    desk.edit("    replicas: 2 ", "    bake: 20s\n    replicas: 2 ")
    desk.up()
    desk.edit("context: 2k ", "context: 3k ")
    aside: set[str] = set()

    def waits() -> bool:
        found = {name for name, host in hosts.items() if is_baked(host)}
        aside.update(found)
        return bool(found)

    with Load(desk) as load:
        with desk.start("up", "--yes") as running:
            wait_for("the bake", waits, 240)
            wait_for("the second one", lambda: not waits() and running.poll() is not None, 420)
        assert running.returncode == 0
        whole, broken = load.end()
    assert len(aside) == 1
    assert (broken, whole > 0) == ("", True)
    assert {r["context"] for r in desk("status", "--json").json["replicas"]} == {3072}
    assert not any(is_baked(host) for host in hosts.values())
    assert desk.plan() == []


def is_baked(host: Host) -> bool:
    """Whether an exchange of this host is in the middle of its bake."""
    return (
        "bake"
        in host.run(
            ["sh", "-c", 'grep -ho \'"phase": "[a-z]*"\' /var/lib/hostler/journal/* 2>/dev/null; true']
        ).stdout
    )
