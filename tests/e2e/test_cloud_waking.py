"""A request rents a machine again that was given back: by the controller alone, with rights that were shown before."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from e2e.desk import Desk
from e2e.sky import instances, rented_from
from e2e.test_cloud_giving import ASKED, CHAT, alarms, curl, gateway, went
from lab.shell import wait_for
from lab.spec import HostSpec

if TYPE_CHECKING:
    from lab.cloud.client import Cloud

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.usefixtures("controller_world")]
HOME = HostSpec("door-1", suite="bookworm")
AFTER_S = 60
GONE_S = AFTER_S + 120.0
WAITING = 8
STACK = """
stack: waking
pools:
  door: [door-1]
  burst:
    aws: {regions: [eu-central-1], instances: [g5.xlarge], spot: never, disk: 100 GiB, image: nvidia}
    count: 0-1
    idle: {after: 2h, do: terminate, queue: 16, for: 15m}
models:
  chat:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
    pool: burst
    context: 8k
    args: ["--threads", "1"]
    smoke: {prompt: What is the capital of France? Answer in one short sentence., expect: Paris}
alarms: [{command: "cat >> /state/alarms; echo >> /state/alarms"}]
mirror: {toolkit_key: ~/.config/hostler/toolkit.asc, driver_key: ~/.config/hostler/toolkit.asc}
"""
RENTS = """
controller: {rents: {credentials: AWS_CREDENTIALS, passphrase: STATE_PASSPHRASE}}
secrets:
  AWS_CREDENTIALS: {file: ~/.config/hostler/controller-aws}
  STATE_PASSPHRASE: {file: ~/.local/state/hostler/stacks/waking/pulumi/passphrase}
"""
ASKS = """
import json, os, sys, openai
client = openai.OpenAI(base_url=os.environ["ADDRESS"], api_key=os.environ["KEY"], max_retries=0, timeout=900)
asked = {"model": "chat", "max_tokens": 16, "temperature": 0,
         "messages": [{"role": "user", "content": "What is the capital of France? Answer in one short sentence."}]}
if sys.argv[1] == "stream":
    pieces = client.chat.completions.create(stream=True, **asked)
    print("".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices))
else:
    print(client.chat.completions.create(**asked).choices[0].message.content)
"""


@pytest.fixture(scope="module")
def there(wheel: Path, pulumi: Path) -> Iterator[tuple[Desk, Cloud]]:
    with rented_from("e2e-waking", "wanda", wheel, pulumi, HOME) as (desk, found):
        desk.write(STACK.replace("count: 0-1", "count: 1"))
        desk.first = desk.up()
        desk.edit("count: 1", "count: 0-1")
        yield desk, found


@pytest.fixture(scope="module")
def office(there: tuple[Desk, Cloud]) -> Desk:
    return there[0]


@pytest.fixture(scope="module")
def cloud(there: tuple[Desk, Cloud]) -> Cloud:
    return there[1]


def waiting(desk: Desk, how: str) -> subprocess.Popen[str]:
    found = desk.connection()
    env = {"ADDRESS": f"{found['address']}/v1", "KEY": found["key"]}
    words = [sys.executable, "-c", ASKS, how]
    return desk.operator.popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def told(desk: Desk) -> int:
    """How often it said that it rented."""
    return [one["event"] for one in alarms(desk)].count("rented")


def parked(desk: Desk, cloud: Cloud) -> None:
    went(cloud, instances(cloud)[0]["InstanceId"], GONE_S)
    record = lambda: gateway(desk).run(["cat", "/var/lib/hostler/home/record.json"]).stdout  # noqa: E731
    wait_for(
        "its slot to be parked", lambda: json.loads(record())["slots"]["burst-0"]["state"] == "parked", 60
    )


def test_its_rights_are_shown_before_they_are_given(office: Desk, cloud: Cloud) -> None:
    policy = office("rights").json
    place = office.operator.home / ".config/hostler/controller-aws"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(cloud.credentials("controller", policy))
    office.write(office.file.read_text() + RENTS)
    planned = office("plan", "--check", code=10)
    assert (
        "the controller may spend money: its credentials are to have these rights and no others"
        in planned.err
    )
    assert "ec2:RunInstances" in planned.err
    done = office.up()
    assert "the controller on door-1 may rent again what is given back" in done.err
    assert office("plan", "--check").out == ""
    assert cloud.refused() == []


def test_all_who_wait_are_answered_by_one_machine(office: Desk, cloud: Cloud) -> None:
    office.edit("after: 2h", f"after: {AFTER_S}s")
    office.up()
    parked(office, cloud)
    states = wait_for(
        "its state", lambda: curl(office, "/v1/models")[1]["data"][0].get("state") == "asleep", 60
    )
    assert states
    office.edit(f"after: {AFTER_S}s", "after: 2h")
    those = [waiting(office, how) for how in ("stream", "whole") * (WAITING // 2)]
    try:
        answers = [one.communicate(timeout=900) for one in those]
    finally:
        for one in those:
            if one.poll() is None:
                one.kill()
    assert [one.returncode for one in those] == [0] * WAITING, [err[-400:] for _, err in answers]
    assert all("Paris" in out for out, _ in answers), answers
    (machine,) = instances(cloud)
    assert machine["State"]["Name"] == "running"
    wait_for("its word", lambda: "rented" in [one["event"] for one in alarms(office)], 300, every=2)
    assert [one["event"] for one in alarms(office)].count("rented") == 1


def test_it_needed_no_more_than_its_rights(office: Desk, cloud: Cloud) -> None:
    policy: dict[str, Any] = office("rights").json
    allowed = {action for one in policy["Statement"] for action in one["Action"]} | {"sts:GetCallerIdentity"}
    called = cloud.called("controller")
    assert "ec2:RunInstances" in called
    assert called <= allowed, called - allowed
    assert cloud.refused() == []


def test_afterwards_nothing_differs(office: Desk) -> None:
    office.up()  # the window, which was edited
    done = office("plan", "--check")
    assert done.out == ""
    assert {row["state"] for row in office("status", "--json").json["replicas"]} == {"ready"}


def test_a_model_that_never_had_a_machine_rents_one(office: Desk, cloud: Cloud) -> None:
    """It comes while its pool is empty, so no replica of it has a place."""
    text, before = office.file.read_text(), told(office)
    office.edit("after: 2h", f"after: {AFTER_S}s")
    office.up()
    parked(office, cloud)
    new = STACK.partition("  chat:")[2].partition("alarms:")[0]
    office.write(
        office.file.read_text()
        .replace("models:\n", f"models:\n  new:{new}")
        .replace(f"after: {AFTER_S}s", "after: 2h")
    )
    done = office.up()
    assert "new-0 waits for a host: burst has parked ones" in done.err
    states = lambda: {row["id"]: row.get("state") for row in curl(office, "/v1/models")[1]["data"]}  # noqa: E731
    wait_for("its state", lambda: states().get("new") == "asleep", 60, every=1)
    code, body = curl(office, CHAT, "-m", "900", "-d", ASKED.replace('"chat"', '"new"'), timeout=930)
    assert code == 200, body
    assert len(instances(cloud)) == 1
    wait_for(
        "its word", lambda: told(office) == before + 1, 300, every=2
    )  # that run ends after the first answer
    office.write(text)
    office.up()
    assert office("plan", "--check").out == ""


def test_no_secret_is_anywhere_else(office: Desk) -> None:
    host = gateway(office)
    words = host.run(["cat", "/etc/hostler/controller/secrets/STATE_PASSPHRASE"]).stdout.strip()
    for text in (
        host.run(["journalctl", "--no-pager", "-o", "cat"]).stdout,
        host.run(["sh", "-c", "docker ps -a --no-trunc; docker inspect $(docker ps -aq)"]).stdout,
        host.run(["sh", "-c", "cat /var/lib/hostler/controller/state/rents/*.json"]).stdout,
    ):
        assert words not in text
        assert "aws_secret_access_key" not in text


def test_what_cannot_be_had_is_said_and_not_asked_for_again_at_once(office: Desk, cloud: Cloud) -> None:
    office.edit("after: 2h", f"after: {AFTER_S}s")
    office.up()
    parked(office, cloud)
    cloud.no_capacity()
    code, body = curl(office, CHAT, "-m", "600", "-d", ASKED)
    assert code == 503
    assert "could not be rented" in body["error"]["message"]
    before = cloud.called("controller")
    code, body = curl(office, CHAT, "-d", ASKED)
    assert code == 503
    assert "could not be rented" in body["error"]["message"]
    assert cloud.called("controller") == before
    assert instances(cloud) == []
    for event in ("wake failed", "rent failed"):
        assert [one["event"] for one in alarms(office)].count(event) == 1, event
