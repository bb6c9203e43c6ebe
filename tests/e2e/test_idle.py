"""The host's own dead man's switch, alone: it puts an idle replica to sleep, which is no drift, and gives way to whatever comes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.desk import LAB_STACK, Desk
from lab.hosts import CLEAN, Host
from lab.lab import Lab
from lab.python_world import python_world
from lab.shell import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.soak]
NODE = "/usr/local/lib/hostler/hostler-node"
POLICIES = "/etc/hostler/idle.json"
REPLICA = "chat-0"
AFTER_S = 40
LOOKED_S = 60.0  # by the timer of the host's looks, or of the watch
STACK = LAB_STACK.replace("hosts: [gpu-1, gpu-2]", "hosts: [gpu-1]").replace(
    "    replicas: 2 ", f"    idle: {{after: {AFTER_S}s}}\n    replicas: 1 "
)
ASKED = {"model": "chat", "max_tokens": 8, "messages": [{"role": "user", "content": "Name a colour."}]}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, wheel: Path, pulumi: Path) -> Iterator[Desk]:
    python_world()  # of the controller, which is not asked for anything here
    with Lab.start(f"idle-{os.getpid()}") as lab:
        lab.host("gpu-1", suite="bookworm", gpus=("RTX 3090",))
        desk = Desk(lab, lab.operator("alice"), wheel, pulumi)
        desk.write(STACK)
        desk.up()
        yield desk


@pytest.fixture
def host(desk: Desk) -> Iterator[Host]:
    """Its replica is awake; what else could put it to sleep, or wake it, is dead."""
    (host,) = desk.lab.hosts()
    host.run(["systemctl", "stop", "hostler-controller.service"], check=False)
    node(host, "wake", REPLICA)
    yield host
    node(host, "wake", REPLICA)


def node(host: Host, *words: str) -> dict[str, Any]:
    return json.loads(host.run([NODE, *words]).stdout.splitlines()[-1])


def look(host: Host) -> dict[str, Any]:
    return node(host, "idle-look", "--oldest", "0")["looked"]


def row(desk: Desk) -> Mapping[str, Any]:
    return next(one for one in desk("status", "--json").json["replicas"] if one["id"] == REPLICA)


def engines(host: Host) -> str:
    return host.run(["pgrep", "-x", "llama-server"], check=False).stdout.strip()


@contextmanager
def in_haste(host: Host) -> Iterator[None]:
    """The switch waits for 5 s where it waits for 5 minutes; the file is then as `up` wrote it."""
    written = host.run(["cat", POLICIES]).stdout
    host.run(["sh", "-c", f"cat > {POLICIES}"], stdin=json.dumps({**json.loads(written), "extra_s": 5}))
    try:
        yield
    finally:
        host.run(["sh", "-c", f"cat > {POLICIES}"], stdin=written)


def test_the_switch_alone_puts_it_to_sleep_and_that_is_no_drift(desk: Desk, host: Host) -> None:
    assert engines(host)
    with in_haste(host):
        wait_for("it to be asleep", lambda: row(desk)["state"] == "asleep", AFTER_S + 5 + 2 * LOOKED_S)
    assert not engines(host)
    assert "asleep for" in desk("status").out
    assert row(desk)["asleep"]["why"].startswith("idle for")
    host.run(["systemctl", "start", "hostler-controller.service"])
    assert desk("plan", "--check").code == 0
    assert desk.plan() == []
    assert "done: idle for" in host.run(["journalctl", "-u", "hostler-idle", "-o", "cat"]).stdout
    desk.up()
    assert row(desk)["state"] == "asleep"
    woken = node(host, "wake", REPLICA)
    assert woken["changed"]
    assert woken["seconds"] > 0
    assert engines(host)
    assert "Paris" in desk.ask()
    assert desk.plan() == []


def test_a_boot_leaves_it_asleep(desk: Desk, host: Host) -> None:
    assert node(host, "sleep", REPLICA, "--force")["changed"]
    host.reboot()
    host.wait()
    wait_for("a look", lambda: look(host)["replicas"][REPLICA]["word"] == "asleep", LOOKED_S)
    assert not engines(host)
    assert desk.plan() == []


class Sleeping:
    """A `sleep` on the host that says what it says, and hears what is said."""

    def __init__(self, host: Host) -> None:
        enter = ["nsenter", "-t", str(host.leader), "-m", "-u", "-i", "-n", "-p", "-r", "-w", *CLEAN]
        words = [*enter, NODE, "sleep", REPLICA, "-"]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.say(json.dumps({"ask": True, "why": "a test"}))

    def __enter__(self) -> Sleeping:
        assert self.hear() == {"drained": True}
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())


def looked_at(host: Host) -> None:
    """Its window has begun."""
    wait_for("its window", lambda: look(host)["replicas"][REPLICA]["word"] == "idle", LOOKED_S)
    look(host)


def asking(desk: Desk) -> subprocess.Popen[str]:
    """A request through the gateway, under way."""
    found = desk.connection()
    words = ["curl", "-sS", "-m", "120", f"{found['address']}/v1/chat/completions", "-d", json.dumps(ASKED)]
    words += ["-H", f"Authorization: Bearer {found['key']}", "-H", "Content-Type: application/json"]
    return desk.operator.popen(words, stdout=subprocess.PIPE)


def queued(host: Host) -> bool:
    return look(host)["queues"].get("chat", 0) > 0


@pytest.mark.parametrize("word", ["back", "go"])
def test_a_request_while_it_drains_is_answered(desk: Desk, host: Host, word: str) -> None:
    """It waits at the gateway, where this host sees it by itself: so a `go` is not enough."""
    looked_at(host)
    with Sleeping(host) as sleeping:
        request = asking(desk)
        wait_for("the request", lambda: queued(host), 8)  # the word is waited for for 10 s
        sleeping.say(word)
        assert sleeping.hear()["changed"] is False
        out, _ = request.communicate(timeout=120)
    assert json.loads(out)["choices"][0]["message"]["content"]
    assert engines(host)
    assert row(desk)["state"] == "ready"


def test_a_kill_in_its_middle_leaves_it_serving(desk: Desk, host: Host) -> None:
    looked_at(host)
    with Sleeping(host):
        request = asking(desk)
        pid = host.run(["pgrep", "-f", f"{NODE} sleep {REPLICA}"]).stdout.split()[0]
        host.run(["kill", f"-{signal.SIGKILL.value}", pid])
        out, _ = request.communicate(timeout=120)
    assert json.loads(out)["choices"][0]["message"]["content"]
    wait_for("it to serve", lambda: row(desk)["state"] == "ready", LOOKED_S)
    assert host.run(["ls", "/run/hostler/drain", "/var/lib/hostler/asleep"]).stdout.split() == [
        "/run/hostler/drain:", "/var/lib/hostler/asleep:",
    ]  # fmt: skip


def test_somebody_who_is_logged_in_keeps_the_host(desk: Desk, host: Host) -> None:
    assert look(host)["host"]["word"] in ("idle", "unknown", "busy")
    session = desk.operator.popen(["ssh", "-tt", "gpu-1", "sleep", "300"], stdin=subprocess.PIPE)
    try:
        wait_for("the session", lambda: any(" at pts/" in who for who in look(host)["presence"]["told"]), 30)
        assert look(host)["host"]["word"] == "busy"
    finally:
        session.kill()
        session.communicate()
    wait_for("its end", lambda: not any(" at pts/" in who for who in look(host)["presence"]["told"]), 30)
    assert look(host)["replicas"][REPLICA]["word"] != "busy"  # a replica may sleep while somebody is there
