"""A change that turns out to be bad, or that nobody ends, goes back; a good one can be taken back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2e.desk import Desk, container, replica_of
from e2e.load import Load
from e2e.running import Hosts, Run
from lab.hosts import Host

pytestmark = pytest.mark.lab
WORDS = '"--threads", "1"'
SLOTS = "/slots-of-one-host"


def specs(hosts: Hosts) -> dict[str, str]:
    """Of each replica's container."""
    label = '{{index .Config.Labels "hostler.spec"}}'
    found: dict[str, str] = {}
    for host in hosts.values():
        replica = replica_of(host)
        found[replica] = host.run(["docker", "inspect", "-f", label, f"hostler-{replica}"]).stdout.strip()
    return found


def weights_folder(host: Host) -> str:
    """The one folder of weights that an engine sees."""
    return host.run(["sh", "-c", "dirname /var/lib/hostler/models/*/*.gguf"]).stdout.strip()


def test_what_fails_on_the_second_host_goes_back_on_the_first(desk: Desk, hosts: Hosts) -> None:
    """Words that only one of them can start with: both run the old ones in the end, and nothing is lost meanwhile."""
    folder = weights_folder(hosts["gpu-1"]) + SLOTS
    hosts["gpu-1"].run(["mkdir", "-p", folder])
    before = specs(hosts)
    desk.edit(WORDS, f'{WORDS}, "--slot-save-path", "{folder}/"')
    with Load(desk) as load:
        failed = desk.up(code=7)
        whole, broken = load.end()
    assert broken == ""
    assert whole > 0
    assert "going back to release 1" in failed.err
    assert specs(hosts) == before
    newest, first = desk("releases", "--json").json
    assert newest["ended"].startswith("failed: ")
    assert not newest["live"]
    assert (first["live"], first["ended"]) == (True, "good")
    assert "no rollout is under way" in desk("rollout", "status").out
    assert "release 2 ran the same and went back" in desk("plan").err
    desk.edit(f', "--slot-save-path", "{folder}/"', "")
    assert desk.plan() == []


@pytest.mark.soak
def test_a_good_one_is_taken_back_and_stays_so(desk: Desk, hosts: Hosts) -> None:
    before = specs(hosts)
    desk.edit(WORDS, f'{WORDS}, "--threads-batch", "1"')
    desk.up()
    changed = specs(hosts)
    assert changed != before
    with Load(desk) as load:
        done = desk("rollback", "--yes")
        _, broken = load.end()
    assert broken == ""
    assert "answered" in done.err
    assert specs(hosts) == before
    assert desk.plan() == []
    desk("rollback", "2", "--yes")
    assert specs(hosts) == changed
    rows = desk("releases", "--json").json
    assert [row["release"] for row in rows] == [4, 3, 2, 1]
    assert rows[1]["why"] == "rollback"
    assert desk("rollback", "9", "--yes", code=2).err


@pytest.mark.soak
@pytest.mark.parametrize("end", ["abort", "resume", "up"])
def test_nobody_ends_it(end: str, desk: Desk, hosts: Hosts) -> None:
    """Killed with one replica on each release."""
    before = specs(hosts)
    desk.edit("context: 2k ", "context: 3k ")
    with Run(desk, hosts) as run:
        run.until(one_is_exchanged(hosts))
        run.kill(whole=True)
    shown = desk("rollout", "status", "--json").json
    assert (shown["live"], shown["release"], shown["stage"]) == (1, 2, "apply")
    assert {row["runs"] for row in shown["replicas"]} == {"release 1", "release 2"}
    if end == "up":
        desk.up()
    else:
        desk("rollout", end, "--yes")
    assert desk("rollout", "status", "--json").json["release"] is None
    live = {row["release"]: row["ended"] for row in desk("releases", "--json").json if row["live"]}
    if end == "abort":
        assert specs(hosts) == before
        assert live == {1: "good"}
        assert desk.plan() != []
        desk.edit("context: 3k ", "context: 2k ")
    else:
        assert set(specs(hosts).values()).isdisjoint(before.values())
        assert live == {2: "good"}
    assert desk.plan() == []
    assert "Paris" in desk.ask()


def one_is_exchanged(hosts: Hosts) -> Callable[[Run], bool]:
    first = {name: container(host, replica_of(host)) for name, host in hosts.items()}
    replicas = {name: replica_of(host) for name, host in hosts.items()}

    def seen(run: Run) -> bool:
        """The first one is done: its journal is gone, and its container another."""
        now = {name: container(host, replicas[name]) for name, host in hosts.items()}
        return any(now[name] not in (first[name], "") for name in hosts) and "check" not in run.phases("chat")

    return seen
