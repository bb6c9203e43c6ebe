"""A change of a served replica cuts no request where there are two."""

from __future__ import annotations

import subprocess
import sys

import pytest

from e2e.desk import Desk, container, replica_of
from lab.hosts import Host
from lab.shell import wait_for

pytestmark = pytest.mark.lab

# streams from several clients until it is told to stop; counts whole and broken answers
LOAD = """
import asyncio, os, sys, openai
done = {"whole": 0, "broken": []}
async def one(client, stop):
    while not stop.is_set():
        try:
            finish = None
            stream = await client.chat.completions.create(model="chat", stream=True, max_tokens=24, temperature=0,
                messages=[{"role": "user", "content": "Count to twenty."}])
            async for piece in stream:
                finish = (piece.choices and piece.choices[0].finish_reason) or finish
            if finish:
                done["whole"] += 1
            else:
                done["broken"].append("no finish reason")
        except Exception as error:
            done["broken"].append(f"{type(error).__name__}: {error}")
async def main():
    stop = asyncio.Event()
    client = openai.AsyncOpenAI(base_url=os.environ["ADDRESS"], api_key=os.environ["KEY"], max_retries=0, timeout=120)
    workers = [asyncio.create_task(one(client, stop)) for _ in range(4)]
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    stop.set()
    await asyncio.gather(*workers)
    print(done["whole"], len(done["broken"]), *done["broken"][:3])
asyncio.run(main())
"""


class Load:
    """Requests in the background."""

    def __init__(self, desk: Desk) -> None:
        found = desk.connection()
        env = {"ADDRESS": f"{found['address']}/v1", "KEY": found["key"]}
        self.process = desk.operator.popen([sys.executable, "-c", LOAD], env=env, stdin=subprocess.PIPE)

    def __enter__(self) -> Load:
        assert self.process.stdout
        assert self.process.stdout.readline().strip() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()

    def end(self) -> tuple[int, str]:
        """(whole answers, what was broken)"""
        out, err = self.process.communicate("\n", timeout=180)
        words = out.strip().split(" ", 1)
        assert words[0].isdigit(), err
        return int(words[0]), "" if words[1].startswith("0") else words[1]


def test_a_rolling_restart_cuts_nothing(desk: Desk, hosts: dict[str, Host]) -> None:
    before = {name: containers(host) for name, host in hosts.items()}
    with Load(desk) as load:
        rolled = desk("roll", "chat", "--json").json
        whole, broken = load.end()
    assert [row["outcome"] for row in rolled] == ["exchanged", "exchanged"]
    assert broken == ""
    assert whole > 0
    assert all(containers(host) != before[name] for name, host in hosts.items())
    assert desk.plan() == []


def test_a_changed_model_is_exchanged_under_load(desk: Desk) -> None:
    desk.edit("context: 2k ", "context: 3k ")
    with Load(desk) as load:
        desk.up()
        whole, broken = load.end()
    assert broken == ""
    assert whole > 0
    assert {r["context"] for r in desk("status", "--json").json["replicas"]} == {3072}
    assert desk.plan() == []


def test_a_replica_that_does_not_start_is_put_back(desk: Desk, hosts: dict[str, Host]) -> None:
    """Arguments that the engine refuses: the old one answers again, exit 7, and the container's own words are shown."""
    desk.edit('"--threads", "1"', '"--threads", "1", "--no-such-flag"')
    with Load(desk) as load:
        failed = desk.up(code=7)
        _, broken = load.end()
    assert broken == ""
    assert "no-such-flag" in failed.err
    assert {r["state"] for r in desk("status", "--json").json["replicas"]} == {"ready"}
    desk.edit(', "--no-such-flag"', "")
    desk.up()
    assert desk.plan() == []


def test_one_replica_needs_allow_downtime(desk: Desk) -> None:
    desk.edit("    replicas: 2 ", "    replicas: 1 ")
    desk.up("--allow-downtime")
    desk.edit("context: 2k ", "context: 3k ")
    refused = desk.up(code=9)
    assert "--allow-downtime" in refused.err
    desk.up("--allow-downtime")
    assert desk.plan() == []


def containers(host: Host) -> set[str]:
    names = host.run(["docker", "ps", "--format", "{{.Names}}"]).stdout.split()
    return {
        container(host, name.removeprefix("hostler-")) for name in names if name.startswith("hostler-chat")
    }


@pytest.mark.soak
def test_a_replica_that_gets_no_requests_is_not_done(desk: Desk, hosts: dict[str, Host]) -> None:
    """Both engines are ready, and the gateway cannot reach one: the other's answer must not hide that."""
    drop = ["iptables", "-{}", "OUTPUT", "-p", "tcp", "--dport", "8443", "-j", "DROP"]
    away = replica_of(hosts["gpu-2"])

    def states() -> dict[str, str]:
        return {r["id"]: r["state"] for r in desk("status", "--json").json["replicas"]}

    hosts["gpu-1"].run([word.format("I") for word in drop])
    wait_for("the gateway to see it", lambda: states()[away] == "ready, not routed", 30)
    refused = desk("roll", "chat", code=6)
    assert f"{away} on gpu-2: expected a replica that the gateway sends requests" in refused.err
    assert "Paris" in desk.ask()
    desk.edit("context: 2k ", "context: 3k ")
    assert "another replica to serve meanwhile" in desk.up(code=9).err
    hosts["gpu-1"].run([word.format("D") for word in drop])
    wait_for("the gateway to see it", lambda: states()[away] == "ready", 30)
    desk.up()
    assert desk.plan() == []
