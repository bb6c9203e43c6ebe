"""Releases that are worse under a green health check: found by the canary, and undone under load with nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from e2e.desk import Desk
from e2e.load import Load
from e2e.test_roll import containers
from lab.hosts import Host
from lab.shell import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.soak]

WORDS = '"--threads", "1"'
NEW = "--no-warmup"  # a word of the new release alone, by which its process is known
THROTTLE = f"""
while :; do
  for p in $(pgrep -f -- "[l]lama-server .*{NEW}"); do kill -STOP $p; done; sleep 0.2
  for p in $(pgrep -f -- "[l]lama-server .*{NEW}"); do kill -CONT $p; done; sleep 0.04
done
"""


def undone(desk: Desk, hosts: dict[str, Host], why: str) -> None:
    """`up` under load: exit 7, the old ones serve as before, and no request was lost."""
    before = {name: containers(host) for name, host in hosts.items()}
    with Load(desk) as load:
        failed = desk.up(code=7)
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
    desk.edit("    replicas: 2 ", "    image: ghcr.io/hostler-lab/stub-engine:1\n    replicas: 2 ")
    undone(desk, hosts, "it repeats itself: nothing but 'word word")
    desk.write(old)
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
