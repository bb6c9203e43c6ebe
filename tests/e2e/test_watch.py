"""A replica that stalls is taken out, restarted and back; a slow one is left alone; one that never starts is stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from e2e.desk import Desk, container, replica_of
from e2e.load import Load
from lab.hosts import Host
from lab.shell import wait_for

pytestmark = pytest.mark.lab
LIMITS = "/etc/hostler/watch.json"  # the host's own file; `up` writes it anew
NODE = "/usr/local/lib/hostler/hostler-node"
QUICK = {"stalled_s": 5, "checks": 2, "starts": 5}
BACK_S = 300.0  # five looks, half a minute apart, and the model's load
CLIENTS = 4
PROMPT = """
import json, os, urllib.request
words = "The lighthouse keeper counts ships and gulls. " * 150
asked = {"model": "chat", "messages": [{"role": "user", "content": words}], "max_tokens": 4}
request = urllib.request.Request(os.environ["ASK"], json.dumps(asked).encode(), {"Content-Type": "application/json"})
print(json.load(urllib.request.urlopen(request, timeout=600))["choices"][0]["finish_reason"])
"""


def shorten(host: Host, **limits: int) -> None:
    host.run(["sh", "-c", f"cat > {LIMITS}"], stdin=json.dumps({**QUICK, **limits}))


def row(desk: Desk, replica: str) -> Mapping[str, Any]:
    return next(one for one in desk("status", "--json").json["replicas"] if one["id"] == replica)


def look(host: Host, replica: str) -> str:
    """What the watch says of it, now."""
    said: dict[str, str] = {}

    def looked() -> bool:
        answer = json.loads(host.run([NODE, "watch"]).stdout.splitlines()[-1])
        said.update(answer["replicas"])
        return "why" not in answer  # the timer's own look is going on

    wait_for("a look", looked, 60)
    return said[replica]


@contextmanager
def frozen(host: Host, replica: str) -> Iterator[None]:
    """None of its threads runs any more; its container does."""
    host.run(["docker", "kill", "--signal=STOP", f"hostler-{replica}"])
    try:
        yield
    finally:
        host.run(["docker", "kill", "--signal=CONT", f"hostler-{replica}"], check=False)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["gpu-1", "gpu-2"])
def test_a_frozen_engine_comes_back(desk: Desk, hosts: dict[str, Host], name: str) -> None:
    """By its timer; gpu-1 is the gateway's own host. What was in flight there is lost, and nothing else."""
    host = hosts[name]
    replica = replica_of(host)
    born = host.run(["docker", "inspect", "-f", "{{.State.StartedAt}}", f"hostler-{replica}"]).stdout
    shorten(host)
    with Load(desk, clients=CLIENTS) as load:
        wait_for("answers", lambda: load.answered() > CLIENTS, 60)
        wait_for("it to be seen", lambda: look(host, replica) == "serving", 60)
        with frozen(host, replica):
            since = time.time()
            wait_for("it to be back", lambda: row(desk, replica)["event"] is not None, BACK_S)
        back = time.time()
        whole, _ = load.end()
    lost = [answer for answer in load.answers if answer.flaw]
    assert len(lost) <= CLIENTS
    assert all(answer.begun < since + 10 for answer in lost), lost
    assert whole > CLIENTS
    between = [answer for answer in load.answers if since + 10 < answer.begun < back]
    assert between  # the other one served
    shown = row(desk, replica)
    assert shown["event"]["what"].startswith("stalled ")
    assert shown["event"]["what"].endswith("restarted, back")
    assert shown["state"] == "ready"
    assert host.run(["docker", "inspect", "-f", "{{.State.StartedAt}}", f"hostler-{replica}"]).stdout != born
    assert shown["event"]["what"] in desk("status").out
    assert any(
        shown["event"]["what"] in found["what"] for found in desk("doctor", "--json", code=(0, 4)).json
    )
    assert "restarted, back" in host.run(["journalctl", "-u", "hostler-watch", "-o", "cat"]).stdout
    desk.up()  # the limits as they are everywhere
    assert desk.plan() == []


@pytest.mark.soak
def test_a_slow_engine_under_load_is_left_alone(desk: Desk, hosts: dict[str, Host]) -> None:
    """A twentieth of a processor: one step of its prompt takes longer than the limit, its health check may be late."""
    host = hosts["gpu-2"]
    replica = replica_of(host)
    before = container(host, replica)
    shorten(host)
    port = json.loads(host.run(["cat", f"/var/lib/hostler/applied/{replica}.json"]).stdout)["port"]
    host.run(["docker", "update", "--cpu-period", "100000", "--cpu-quota", "5000", f"hostler-{replica}"])
    asks = ["env", f"ASK=http://127.0.0.1:{port}/v1/chat/completions", "python3", "-c", PROMPT]
    unit = [
        "systemd-run",
        "--quiet",
        "--unit",
        "lab-ask",
        "--property",
        "StandardOutput=file:/tmp/lab-ask",
        *asks,
    ]
    host.run(unit)
    said = [look(host, replica) for _ in range(8)]
    # between looks in such haste not one tick of its processor may pass; it takes two in a row
    assert not {"stalled", "restarting"} & set(said), said
    assert "computing" in said
    assert container(host, replica) == before
    host.run(["docker", "update", "--cpu-period", "100000", "--cpu-quota", "200000", f"hostler-{replica}"])
    wait_for(
        "its answer", lambda: host.run(["cat", "/tmp/lab-ask"]).stdout.strip() in ("stop", "length"), 180
    )
    assert row(desk, replica)["event"] is None


@pytest.mark.soak
def test_an_engine_that_never_starts_is_stopped_and_said_so(desk: Desk, hosts: dict[str, Host]) -> None:
    """Its weights are damaged; when they are whole again, `up` brings it back."""
    host = hosts["gpu-2"]
    replica = replica_of(host)
    weights = host.run(["sh", "-c", "ls /var/lib/hostler/models/*/*.gguf"]).stdout.strip()
    host.run(["sh", "-c", f"mv {weights} {weights}.whole && head -c 4096 /dev/zero > {weights}"])
    host.run(["docker", "kill", f"hostler-{replica}"])
    wait_for("it to be given up", lambda: row(desk, replica)["state"] == "restart loop", BACK_S)
    shown = row(desk, replica)["event"]["what"]
    assert shown.startswith("restart loop: ")
    assert "starts in" in shown
    table = desk("status").out
    assert shown in table
    assert f"hostler logs {replica}; then hostler up" in table
    assert any(f"{replica}: {shown}" == found["what"] for found in desk("doctor", "--json", code=4).json)
    host.run(["sh", "-c", f"mv {weights}.whole {weights}"])
    assert shown in [change["why"] for change in desk.plan()]
    assert "Paris" in desk.ask()  # the other one answers
    desk.up()
    assert desk.plan() == []
    assert row(desk, replica)["state"] == "ready"
