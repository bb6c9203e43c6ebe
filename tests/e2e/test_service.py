"""The controller that runs all the time: it puts idle replicas to sleep, wakes them for whoever asks, shows and counts."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.desk import LAB_STACK, Desk
from lab.hosts import Host
from lab.lab import Lab
from lab.shell import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("controller_world")]
SERVICE = "hostler-controller.service"
AFTER_S = 20
ASLEEP_S = AFTER_S + 60.0  # while the controller lives
WAITING = 20
STACK = LAB_STACK.replace("    replicas: 2 ", f"    idle: {{after: {AFTER_S}s}}\n    replicas: 2 ") + (
    'alarms: [{command: "cat >> /state/alarms; echo >> /state/alarms"}]\nbudget: {month: 100 EUR}\n'
)
MANY = """
import concurrent.futures, json, os, time, openai
client = openai.OpenAI(base_url=os.environ["ADDRESS"], api_key=os.environ["KEY"], max_retries=0, timeout=240)
def one(number):
    began = time.monotonic()
    messages = [{"role": "user", "content": f"Name a colour, number {number}."}]
    if number % 2:
        pieces = client.chat.completions.create(model="chat", max_tokens=8, messages=messages, stream=True)
        text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    else:
        text = client.chat.completions.create(model="chat", max_tokens=8, messages=messages).choices[0].message.content
    return {"text": text, "s": time.monotonic() - began}
with concurrent.futures.ThreadPoolExecutor(COUNT) as pool:
    print(json.dumps(list(pool.map(one, range(COUNT)))))
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, wheel: Any, pulumi: Any) -> Iterator[Desk]:
    with Lab.start(f"service-{os.getpid()}") as lab:
        lab.host("gpu-1", suite="bookworm", gpus=("RTX 3090",))
        lab.host("gpu-2", suite="trixie", gpus=("RTX 3090",))
        desk = Desk(lab, lab.operator("alice"), wheel, pulumi)
        desk.write(STACK)
        desk.first = desk.up()
        yield desk


@pytest.fixture
def gateway(desk: Desk) -> Host:
    return next(host for host in desk.lab.hosts() if host.name == "gpu-1")


def states(desk: Desk) -> list[str]:
    return [row["state"] for row in desk("status", "--json").json["replicas"]]


def asleep(desk: Desk) -> None:
    wait_for(
        "both replicas to be asleep", lambda: states(desk) == ["asleep", "asleep"], 2 * ASLEEP_S, every=2.0
    )


def many(desk: Desk, count: int) -> list[dict[str, Any]]:
    return json.loads(desk.python(MANY.replace("COUNT", str(count)), timeout=300).stdout)


def models(desk: Desk) -> list[dict[str, Any]]:
    found = desk.connection()
    words = [
        "curl",
        "-sS",
        "-m",
        "10",
        f"{found['address']}/v1/models",
        "-H",
        f"Authorization: Bearer {found['key']}",
    ]
    return json.loads(desk.operator.run(words).stdout)["data"]


def page(desk: Desk, key: str, path: str = "/hostler/status.json") -> tuple[int, str]:
    words = [
        "curl",
        "-sS",
        "-m",
        "20",
        "-w",
        "\n%{http_code}",
        "-u",
        f"any:{key}",
        desk.connection()["address"] + path,
    ]
    body, _, code = desk.operator.run(words).stdout.rpartition("\n")
    return int(code), body


def test_asleep_and_woken_by_twenty_at_once(desk: Desk, gateway: Host) -> None:
    """Within a minute of its window's end, without drift; one wake for all who wait, none of them lost."""
    assert "page: " in (desk.first.err if desk.first else "")
    asleep(desk)
    assert desk("plan", "--check").code == 0
    assert models(desk)[0]["state"] == "asleep"
    answers = many(desk, WAITING)
    assert all(answer["text"].strip() for answer in answers), answers
    assert len(answers) == WAITING
    said = gateway.run(["journalctl", "-u", SERVICE, "-o", "cat", "--no-pager"]).stdout
    assert said.count("waking chat-0, chat-1") == 1, said
    assert models(desk)[0]["state"] == "ready"
    alarms = [
        json.loads(line)
        for line in gateway.run(["cat", "/var/lib/hostler/controller/state/alarms"]).stdout.splitlines()
        if line
    ]
    assert {"idle"} <= {one["event"] for one in alarms}, alarms
    rows = {row["name"]: row for row in desk("idle", "--json").json}
    assert rows["chat-0"]["do"] == "sleep"
    assert rows["gpu-1"]["kind"] == "host"


def test_the_page_and_its_key(desk: Desk) -> None:
    assert page(desk, "wrong")[0] == 401
    assert page(desk, desk.connection()["key"])[0] == 401  # a client's
    key = desk("key", "add", "ops", "--admin").out.strip()
    assert page(desk, key)[0] == 200
    wait_for("the ledger to be read", lambda: json.loads(page(desk, key)[1])["money"], 60.0, every=1.0)
    shown, said = json.loads(page(desk, key)[1]), desk("status", "--json").json
    assert [row["id"] for row in shown["replicas"]] == [row["id"] for row in said["replicas"]]
    assert shown["release"] == said["release"]
    assert [row["uuid"] for row in shown["cards"]] == [row["uuid"] for row in said["cards"]]
    assert shown["money"]["budget"] == {"amount": 100.0, "currency": "EUR"}
    code, text = page(desk, key, "/hostler/metrics")
    assert (code, "hostler_host_up{" in text) == (200, True)
    assert desk("connect", "page").out.count(key) == 1
    desk("key", "revoke", "ops")
    assert page(desk, key)[0] == 401


def test_killed_it_loses_nothing(desk: Desk, gateway: Host) -> None:
    """kill -9 of its container: systemd brings it back, windows go on, and whoever asks meanwhile is answered."""
    asleep(desk)
    gateway.run(["docker", "kill", "--signal", "KILL", "hostler-controller"])
    wait_for(
        "it to be back",
        lambda: "hostler-controller" in gateway.run(["docker", "ps", "--format", "{{.Names}}"]).stdout,
        60.0,
    )
    socket = "/run/hostler/gateway/holder.sock"
    wait_for("its door", lambda: gateway.run(["test", "-S", socket], check=False).returncode == 0, 60.0)
    assert all(answer["text"].strip() for answer in many(desk, 2))


def test_a_request_in_the_middle_of_falling_asleep(desk: Desk, gateway: Host) -> None:
    """At moments of its way to sleep: each is answered."""
    many(desk, 2)
    began = time.monotonic()
    answers: list[dict[str, Any]] = []
    while "asleep" not in states(desk):
        assert time.monotonic() - began < 2 * ASLEEP_S
        time.sleep(0.5)  # of a wait for a condition
    for _ in range(3):
        answers += many(desk, 1)
    assert all(answer["text"].strip() for answer in answers)


def test_switched_off_without_a_trace(desk: Desk, gateway: Host) -> None:
    desk.write(LAB_STACK.replace("replicas: 2 ", "replicas: 2 "))
    desk.up()
    assert desk.plan() == []
    assert gateway.run(["systemctl", "is-active", SERVICE], check=False).stdout.strip() != "active"
    assert "hostler-controller" not in gateway.run(["docker", "ps", "-a", "--format", "{{.Names}}"]).stdout
    for host in desk.lab.hosts():
        left = [path for path in host.files() if "hostler-idle" in path or path.endswith("/idle.json")]
        assert left == [], left
    assert states(desk) == ["ready", "ready"]
