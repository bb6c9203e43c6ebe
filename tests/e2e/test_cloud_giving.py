"""A rented machine that nobody asks is given back: by the controller alone, and by the machine alone; never one that works."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from e2e.desk import Desk
from e2e.sky import instances, rented_from, shown
from lab.hosts import Host
from lab.shell import wait_for
from lab.spec import HostSpec

if TYPE_CHECKING:
    from lab.cloud.client import Cloud

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.usefixtures("controller_world")]
HOME = HostSpec("door-1", suite="bookworm")
SERVICE = "hostler-controller.service"
POLICIES = "/etc/hostler/idle.json"
ALARMS = "/var/lib/hostler/controller/state/alarms"
CHAT = "/v1/chat/completions"
BY_ITSELF = "Client.InstanceInitiatedShutdown"
AFTER_S = 30
GONE_S = AFTER_S + 60.0  # while the controller lives
AGAIN_S = 60.0  # until the controller asks a host again that said no
HASTE_S = 5  # that the host's own switch waits longer, instead of 5 minutes
SAVED_S = 480.0  # a row of the ledger is written when its five minutes are over
STACK = f"""
stack: giving
pools:
  door: [door-1]
  burst:
    aws: {{regions: [eu-central-1], instances: [g5.xlarge], spot: never, disk: 100 GiB, image: nvidia}}
    count: 1
    idle: {{after: {AFTER_S}s, do: terminate}}
models:
  chat:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
    pool: burst
    context: 8k
    args: ["--threads", "1"]
    smoke: {{prompt: What is the capital of France? Answer in one short sentence., expect: Paris}}
alarms: [{{command: "cat >> /state/alarms; echo >> /state/alarms"}}]
mirror: {{toolkit_key: ~/.config/hostler/toolkit.asc, driver_key: ~/.config/hostler/toolkit.asc}}
"""
ASKED = json.dumps(
    {"model": "chat", "max_tokens": 8, "messages": [{"role": "user", "content": "Name a colour."}]}
)
STREAM = """
import json, os, time, openai
client = openai.OpenAI(base_url=os.environ["ADDRESS"], api_key=os.environ["KEY"], max_retries=0, timeout=120)
began, pieces, ends = time.monotonic(), 0, []
while time.monotonic() - began < SECONDS:
    asked = [{"role": "user", "content": "Count to ten thousand."}]
    more = {"ignore_eos": True}
    ends.append(None)
    for piece in client.chat.completions.create(
        model="chat", max_tokens=7500, messages=asked, stream=True, extra_body=more
    ):
        pieces += 1
        ends[-1] = piece.choices[0].finish_reason if piece.choices else ends[-1]
        if pieces == 1:
            print("streams", flush=True)
        if time.monotonic() - began >= SECONDS:
            break
print(json.dumps({"pieces": pieces, "ends": ends, "s": time.monotonic() - began}))
"""


@pytest.fixture(scope="module")
def there(wheel: Path, pulumi: Path) -> Iterator[tuple[Desk, Cloud]]:
    with rented_from("e2e-giving", "gina", wheel, pulumi, HOME) as (desk, found):
        desk.write(STACK)
        desk.first = desk.up()
        yield desk, found


@pytest.fixture(scope="module")
def office(there: tuple[Desk, Cloud]) -> Desk:
    """A gateway with its controller at home, and a rented host that serves."""
    return there[0]


@pytest.fixture(scope="module")
def cloud(there: tuple[Desk, Cloud]) -> Cloud:
    return there[1]


def gateway(desk: Desk) -> Host:
    return desk.lab.hosts()[0]


def slot(desk: Desk) -> dict[str, Any]:
    """As the record has it, for those who may not ask AWS."""
    text = gateway(desk).run(["cat", "/var/lib/hostler/home/record.json"]).stdout
    return json.loads(text)["slots"]["burst-0"]


def idle(desk: Desk) -> dict[str, dict[str, Any]]:
    """By name, what hosts judged of themselves and their replicas."""
    return {row["name"]: row for row in desk("idle", "--json", code=(0, 4)).json}


def alarms(desk: Desk) -> list[dict[str, Any]]:
    lines = gateway(desk).run(["cat", ALARMS], check=False).stdout.splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def said(desk: Desk) -> str:
    """What the controller said since it was there."""
    return gateway(desk).run(["journalctl", "-u", SERVICE, "-o", "cat", "--no-pager"]).stdout


def curl(
    desk: Desk, path: str, *words: str, at: Mapping[str, Any] | None = None, timeout: float = 150
) -> tuple[int, dict[str, Any]]:
    found = at or desk.connection()
    argv = ["curl", "-sS", "-m", "120", "-w", "\n%{http_code}", f"{found['address']}{path}", *words]
    argv += ["-H", f"Authorization: Bearer {found['key']}", "-H", "Content-Type: application/json"]
    body, _, code = desk.operator.run(argv, timeout=timeout).stdout.rpartition("\n")
    return int(code), json.loads(body)


def went(cloud: Cloud, instance: str, limit: float) -> None:
    """By its own shutdown, and not for anybody who asked AWS for it."""
    wait_for(
        f"{instance} to go",
        lambda: cloud.instance(instance)["State"]["Name"] != "running",
        limit,
        every=0.5,
    )
    ended = cloud.wait(instance, "terminated", limit=120)
    assert ended["StateReason"]["Code"] == BY_ITSELF, ended["StateReason"]


@contextmanager
def streaming(desk: Desk, seconds: float) -> Iterator[Callable[[], dict[str, Any]]]:
    """Long streams, one after the other, for so long; to be called for what became of them."""
    found = desk.connection()
    env = {"ADDRESS": f"{found['address']}/v1", "KEY": found["key"]}
    words = [sys.executable, "-c", STREAM.replace("SECONDS", str(seconds))]
    process = desk.operator.popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end() -> dict[str, Any]:
        out, err = process.communicate(timeout=seconds + 120)
        assert process.returncode == 0, err
        return json.loads(out)

    try:
        assert process.stdout
        assert process.stdout.readline().strip() == "streams"
        yield end
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@contextmanager
def logged_in(desk: Desk) -> Iterator[None]:
    session = desk.start("ssh", "burst-0", "sleep", "900", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        wait_for("the session", lambda: "1 sessions" in idle(desk)["burst-0"]["evidence"], 90, every=2)
        yield
    finally:
        session.kill()
        session.communicate()


def test_requests_under_way_and_who_is_logged_in_keep_it(office: Desk, cloud: Cloud) -> None:
    """Each for longer than its window and all the time that there is for giving it back."""
    (machine,) = instances(cloud)
    with streaming(office, GONE_S) as end:
        wait_for("the host to be busy", lambda: idle(office)["burst-0"]["state"] == "busy", 60, every=2)
        found = end()
        assert found["pieces"] > 0
        assert set(found["ends"][:-1]) <= {"length"}, found
        assert [one["InstanceId"] for one in instances(cloud)] == [machine["InstanceId"]]
        with logged_in(office):
            wait_for(
                "its replica to be idle for long",
                lambda: (idle(office)["chat-0"]["since_s"] or 0.0) > GONE_S,
                2 * GONE_S,
                every=5,
            )
            assert idle(office)["burst-0"]["state"] == "busy"
            assert [one["InstanceId"] for one in instances(cloud)] == [machine["InstanceId"]]
    assert not [one for one in alarms(office) if one["event"] in ("idle", "idle failed")]


def test_who_asks_when_it_is_about_to_go_is_answered(office: Desk, cloud: Cloud) -> None:
    """The request wins; only behind the point of no return it is told what wakes the machine."""
    found, words = office.connection(), "burst-0: idle for"
    before = said(office).count(words)
    wait_for("its window's end", lambda: said(office).count(words) > before, GONE_S, every=0.05)
    code, body = curl(office, CHAT, "-d", ASKED, at=found)
    if code == 200:
        assert body["choices"][0]["message"]["content"]
        wait_for("its host's word", lambda: "burst-0 stays: " in said(office), 30, every=0.5)
        assert len(instances(cloud)) == 1
    else:
        assert (code, "hostler wake burst" in body["error"]["message"]) == (503, True)


def test_the_controller_gives_it_back(office: Desk, cloud: Cloud) -> None:
    """Within a minute of its window's end; parked, which is no drift; told, and counted."""
    went(cloud, slot(office)["machine"], GONE_S + AGAIN_S)
    wait_for("its slot to be parked", lambda: slot(office)["state"] == "parked", 30)
    assert slot(office)["given_back"] is True
    done = office("plan", "--check")
    assert done.out == ""
    assert "parked, and no drift: burst-0" in done.err
    found = shown(office).json
    assert [row["state"] for row in found["slots"]] == ["parked"]
    assert [row["state"] for row in found["replicas"]] == ["parked"]
    assert "next: hostler wake burst" in office("status").err
    told = [one for one in alarms(office) if one["event"] == "idle"]
    assert [one["details"]["about"] for one in told] == ["burst-0"], told
    assert "burst-0 was given back: idle for" in told[0]["text"]


def test_who_asks_for_what_was_given_back_is_told_what_wakes_it(office: Desk, cloud: Cloud) -> None:
    def state() -> bool:
        return curl(office, "/v1/models")[1]["data"][0]["state"] in ("asleep", "parked")

    wait_for("the model's state", state, 60, every=1)
    code, body = curl(office, CHAT, "-d", ASKED)
    assert code == 503
    assert "hostler wake burst" in body["error"]["message"]
    assert instances(cloud) == []  # nothing is rented for a request


def test_what_it_saves_is_counted(office: Desk) -> None:
    def saved() -> dict[str, Any] | None:
        found = office("cost", "--json").json["saved"]
        return found if found["amount"] > 0 else None

    found = wait_for("a row of what is saved", saved, SAVED_S, every=10)
    assert found
    assert found["currency"] == "USD"
    assert found["measured"] == 0  # what would have been is an estimate


def test_by_its_pools_name_it_comes_back(office: Desk, cloud: Cloud) -> None:
    before = slot(office)["machine"]
    assert "answered" in office("wake", "burst", "--yes").err
    assert "Paris" in office.ask()
    (machine,) = instances(cloud)
    assert machine["InstanceId"] != before
    assert (slot(office)["state"], slot(office)["given_back"]) == ("wanted", False)
    assert {one["event"] for one in alarms(office)} == {"idle"}
    assert "error" not in said(office)
    assert "nothing is given back now" not in said(office)


def test_the_host_alone_gives_itself_back(office: Desk, cloud: Cloud) -> None:
    """Its controller dead, and nobody with credentials that are valid."""
    home, (machine,) = gateway(office), instances(cloud)
    home.run(["systemctl", "stop", SERVICE])
    cloud.expire()
    try:
        host = cloud.host(machine["InstanceId"])
        written = json.loads(host.run(["cat", POLICIES]).stdout)
        host.run(["sh", "-c", f"cat > {POLICIES}"], stdin=json.dumps({**written, "extra_s": HASTE_S}))
        went(cloud, machine["InstanceId"], GONE_S + HASTE_S + 60.0)
        assert "credentials that are valid now" in office("plan", code=5).err
    finally:
        cloud.mend()
    home.run(["systemctl", "start", SERVICE])
    done = office("plan", "--check")
    assert done.out == ""
    assert "burst-0: gave itself back when idle; `hostler wake burst` brings it back" in done.err
    assert "parked: burst-0" in office.up().err
    assert (slot(office)["state"], slot(office)["given_back"]) == ("parked", True)
    assert office("plan", "--check").out == ""


def test_nothing_left_after_down(office: Desk, cloud: Cloud) -> None:
    office("down", "--yes")
    assert cloud.account() == {}
