"""`down` leaves a host as it was found."""

from __future__ import annotations

import pytest

from e2e import traces
from e2e.desk import Desk
from lab.hosts import Host

pytestmark = pytest.mark.lab


def test_down_leaves_no_trace(desk: Desk, hosts: dict[str, Host]) -> None:
    listed = desk("down", "--yes", "--json").json
    assert {"gpu-1", "gpu-2"} == {row["host"] for row in listed}
    for name, host in hosts.items():
        now = traces.look(host)
        assert sorted(desk.before[name] - now) == [], f"{name} lacks what it had"
        assert sorted(now - desk.before[name]) == [], f"{name} keeps what it had not"
    assert "nothing to remove" in desk("down", "--yes").err
    assert not (desk.operator.home / ".local/state/hostler/stacks/lab").exists()


def test_down_asks_before_it_removes(steady: Desk) -> None:
    refused = steady("down", code=2)
    assert "chat-0" in refused.out
    assert steady.plan() == []


def test_other_peoples_containers_and_settings_stay(desk: Desk, hosts: dict[str, Host]) -> None:
    """A host that somebody else uses as well: their container runs on, their daemon.json keeps its keys."""
    host = hosts["gpu-2"]
    image = host.run(["docker", "images", "-q", "haproxy"]).stdout.split()[0]
    host.run(
        [
            "docker",
            "run",
            "-d",
            "--name",
            "theirs",
            "--network",
            "none",
            "--entrypoint",
            "sleep",
            image,
            "3600",
        ]
    )
    host.run(["sh", "-ec", "sed -i '1a \"debug\": false,' /etc/docker/daemon.json"])
    assert desk.plan() == []
    done = desk("down", "--yes", "--keep-models")
    assert "other containers are here: theirs" in done.err
    assert host.run(["docker", "ps", "--format", "{{.Names}}"]).stdout.split() == ["theirs"], done
    assert '"debug": false' in host.run(["cat", "/etc/docker/daemon.json"]).stdout
    assert host.run(["sh", "-c", "ls /var/lib/hostler/models/*/*.gguf"]).stdout.strip()
    gateway = hosts["gpu-1"]
    kept = ("file /var/lib/hostler ", "file /var/lib/hostler/models")
    more = traces.look(gateway) - desk.before["gpu-1"]
    assert sorted(line for line in more if not line.startswith(kept)) == [], "the gateway's host keeps more"
