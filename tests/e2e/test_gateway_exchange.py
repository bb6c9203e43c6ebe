"""The gateway's own container, and an edge's, are exchanged under load: no connection is refused, no stream is cut."""

from __future__ import annotations

import pytest

from e2e.desk import Desk, container
from e2e.load import Load
from lab.hosts import Host
from lab.shell import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.soak]


@pytest.mark.parametrize(("name", "door"), [("gpu-1", "gateway"), ("gpu-2", "edge")])
def test_a_door_is_exchanged_under_load(desk: Desk, hosts: dict[str, Host], name: str, door: str) -> None:
    host = hosts[name]
    before = container(host, door)
    agent = "/usr/local/lib/hostler/hostler-node"
    with Load(desk) as load:
        said = host.run([agent, "exchange", door, "--force"]).stdout
        whole, broken = load.end()
    assert '"exchanged"' in said
    assert broken == ""
    assert whole > 0
    assert container(host, door) not in ("", before)
    assert host.run(["ls", "/var/lib/hostler/journal"], check=False).stdout == ""
    names = host.run(["docker", "ps", "-a", "--format", "{{.Names}}"]).stdout.split()
    assert [n for n in names if n.startswith(f"hostler-{door}")] == [f"hostler-{door}"]
    # systemd watches the new one: it is started again when it ends
    now = container(host, door)
    host.run(["docker", "kill", now])
    wait_for("systemd to start it again", lambda: container(host, door) != "", 60)
    assert "Paris" in desk.ask()
    assert desk.plan() == []
