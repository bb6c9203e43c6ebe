"""After a reboot or a power cut a stack serves again by itself, as it was."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.desk import Desk
from lab.hosts import Host
from lab.shell import wait_for
from lab.side_by_side import side_by_side

pytestmark = pytest.mark.lab

SERVES_S = 120.0
FOLDERS = {"drain": "755 root:root", "gateway": "750 hostler:hostler", "edge": "750 hostler:hostler"}


def placed(desk: Desk) -> dict[str, Any]:
    """Which replica runs on which host's cards."""
    return {r["id"]: (r["host"], r["cards"]) for r in desk("status", "--json", code=(0, 4)).json["replicas"]}


def serves(desk: Desk, before: dict[str, Any]) -> None:
    """Both replicas again, without `up`: by the gateway's own word, too."""

    def ready() -> bool:
        report = desk("status", "--json", code=(0, 4)).json
        return {r["id"]: r["state"] for r in report["replicas"]} == dict.fromkeys(before, "ready")

    wait_for("both replicas to serve again", ready, SERVES_S)
    assert "Paris" in desk.ask()
    assert desk.plan() == []
    assert placed(desk) == before


def folders(host: Host) -> dict[str, str]:
    shown = host.run(["stat", "-c", "%n %a %U:%G", *(f"/run/hostler/{name}" for name in FOLDERS)]).stdout
    return {line.split(" ", 1)[0].rpartition("/")[2]: line.split(" ", 1)[1] for line in shown.splitlines()}


@pytest.mark.parametrize("name", ["gpu-1", "gpu-2"])
def test_a_reboot(desk: Desk, hosts: dict[str, Host], name: str) -> None:
    before = placed(desk)
    host = hosts[name]
    host.run(["touch", "/run/hostler/drain/chat-0"])
    host.reboot()
    assert folders(host) == FOLDERS
    serves(desk, before)
    assert host.run(["ls", "/run/hostler/drain"]).stdout == ""


def test_a_power_cut_of_all(desk: Desk, hosts: dict[str, Host]) -> None:
    before = placed(desk)
    side_by_side([host.power_cut for host in hosts.values()])
    side_by_side([host.power_on for host in hosts.values()])
    serves(desk, before)
