"""firewalld: our ports are let in, by the zone of the others, and closed again; what somebody opened stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import files, shell
from hostler.node.base.protocol import NodeError
from hostler.node.base.shell import Result
from hostler.node.base.told import Told
from hostler.node.doors import firewall

from .fakes import Heard

ROUTE = "Iface\tDestination\tGateway\neth0\t0002000A\t0\neth1\t00000000\t0102000A\n"
UNIT = "sys/fs/cgroup/system.slice/firewalld.service"


class Firewalld:
    """Ports by zone, now and from the next boot on."""

    def __init__(self) -> None:
        self.now: set[tuple[str, str]] = set()
        self.kept: set[tuple[str, str]] = set()
        self.zones = {"eth1": "internal"}
        self.known = {"internal", "public", "work"}
        self.broken = ""
        self.installed = True

    def stop(self, root: Path) -> None:
        (root / UNIT).rmdir()
        self.now.clear()

    def run(self, argv: tuple[str, ...], *_rest: Any, **_more: Any) -> Result:
        if not self.installed:
            return Result(argv, shell.MISSING, "", f"{argv[0]}: not installed")
        if self.broken:
            return Result(argv, 252, "", self.broken)
        words: dict[str, str] = {}
        for word in argv[1:]:
            name, _, value = word.lstrip("-").partition("=")
            words[name] = value
        if "version" in words:
            return Result(argv, 0, "1.3.4\n", "")
        if "get-default-zone" in words:
            return Result(argv, 0, "public\n", "")
        if "get-zone-of-interface" in words:
            zone = self.zones.get(words["get-zone-of-interface"], "")
            return Result(argv, 0 if zone else 2, zone or "no zone", "")
        offline = argv[0] == "firewall-offline-cmd"
        if not offline and not firewall.runs():
            return Result(argv, 252, "", "FirewallD is not running")
        if "zone" in words and words["zone"] not in self.known:
            return Result(argv, 112, "", f"INVALID_ZONE: {words['zone']}")
        ports = self.kept if offline or "permanent" in words else self.now
        for word, rest in words.items():
            one = (words["zone"], rest)
            if word == "query-port":
                return Result(argv, 0 if one in ports else 1, "", "")
            if word == "add-port":
                ports.add(one)
            elif word == "remove-port":
                ports.discard(one)
        return Result(argv, 0, "success\n", "")


@pytest.fixture
def fire(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> Firewalld:
    made = Firewalld()
    monkeypatch.setattr(shell, "run", made.run)
    (short_root / UNIT).mkdir(parents=True)
    files.write("/proc/net/route", ROUTE.encode())
    return made


def opened(part: str, *ports: str) -> dict[str, Any]:
    heard = Heard()
    firewall.firewall({"part": part, "ports": list(ports)}, heard)
    return heard.last


def test_without_one_nothing_is_in_the_way(short_root: Path) -> None:
    assert firewall.look(["8443/tcp"]) == {"8443/tcp": None}
    assert opened("edge", "8443/tcp") == {"changed": False, "opened": [], "closed": []}
    assert files.read(firewall.OPENED) is None


def test_a_port_is_opened_now_and_for_good(fire: Firewalld) -> None:
    assert firewall.look(["8443/tcp"]) == {"8443/tcp": {"open": False, "zone": "internal"}}
    assert opened("edge", "8443/tcp") == {"changed": True, "opened": ["8443/tcp"], "closed": []}
    assert fire.now == fire.kept == {("internal", "8443/tcp")}
    assert firewall.look(["8443/tcp"]) == {"8443/tcp": {"open": True, "zone": "internal"}}
    assert opened("edge", "8443/tcp") == {"changed": False, "opened": [], "closed": []}


def test_open_until_the_next_reload_is_not_open(fire: Firewalld) -> None:
    fire.now.add(("internal", "8443/tcp"))
    assert firewall.look(["8443/tcp"]) == {"8443/tcp": {"open": False, "zone": "internal"}}


def test_another_port_takes_the_place_of_the_old_one(fire: Firewalld) -> None:
    opened("gateway", "8000/tcp")
    opened("edge", "8443/tcp")
    assert opened("gateway", "8001/tcp") == {"changed": True, "opened": ["8001/tcp"], "closed": ["8000/tcp"]}
    assert fire.now == fire.kept == {("internal", "8001/tcp"), ("internal", "8443/tcp")}


def test_down_closes_ours_alone(fire: Firewalld) -> None:
    fire.zones = {}
    for ports in (fire.now, fire.kept):
        ports.add(("public", "22/tcp"))
        ports.add(("public", "8000/tcp"))
    opened("gateway", "8000/tcp")
    opened("edge", "8443/tcp")
    dry = Told(dry=True)
    firewall.leave(dry)
    assert dry.would["settings"] == ["firewall: port 8443/tcp in zone public"]
    assert ("public", "8443/tcp") in fire.now
    firewall.leave(Told())
    assert fire.now == fire.kept == {("public", "22/tcp"), ("public", "8000/tcp")}


def test_the_zone_of_the_others_changes(fire: Firewalld) -> None:
    """What was open in the old one does not stay open."""
    opened("edge", "8443/tcp")
    fire.zones["eth1"] = "public"
    assert opened("edge", "8443/tcp") == {"changed": True, "opened": ["8443/tcp"], "closed": ["8443/tcp"]}
    assert fire.now == fire.kept == {("public", "8443/tcp")}
    assert opened("edge", "8443/tcp")["changed"] is False


def test_a_change_of_zone_that_was_cut_off(fire: Firewalld) -> None:
    """Both are known until the old one is closed."""
    opened("edge", "8443/tcp")
    both = [("internal", "8443/tcp"), ("public", "8443/tcp")]
    files.write_json(firewall.OPENED, {"edge": {"opened": both}})
    for ports in (fire.now, fire.kept):
        ports.update(both)
    firewall.leave(Told())
    assert fire.now == fire.kept == set()


def test_what_an_older_agent_opened_is_closed(fire: Firewalld) -> None:
    files.write_json(firewall.OPENED, {"edge": {"zone": "work", "ports": ["8443/tcp"]}})
    fire.now.add(("work", "8443/tcp"))
    fire.kept.add(("work", "8443/tcp"))
    assert opened("edge", "8443/tcp")["closed"] == ["8443/tcp"]
    assert fire.now == fire.kept == {("internal", "8443/tcp")}
    files.write_json(firewall.OPENED, {"edge": {"zone": "internal", "ports": ["8443/tcp"]}})
    firewall.leave(Told())
    assert fire.now == fire.kept == set()


def test_down_while_it_is_stopped(fire: Firewalld, short_root: Path) -> None:
    opened("edge", "8443/tcp")
    fire.stop(short_root)
    told = Told()
    firewall.leave(told)
    assert told.removed == ["firewall: port 8443/tcp in zone internal"]
    assert fire.kept == set(), "it would be open again from the next start on"


def test_down_after_it_was_removed(fire: Firewalld, short_root: Path) -> None:
    opened("edge", "8443/tcp")
    fire.stop(short_root)
    fire.installed = False
    told = Told()
    firewall.leave(told)
    (kept,) = told.kept
    assert "`firewall-offline-cmd --zone=internal --remove-port=8443/tcp`" in kept["why"]
    assert (told.removed, told.left) == ([], [])


def test_a_zone_that_is_gone_has_no_open_port(fire: Firewalld) -> None:
    opened("edge", "8443/tcp")
    fire.known.discard("internal")
    told = Told()
    firewall.leave(told)
    assert (told.removed, told.left) == (["firewall: port 8443/tcp in zone internal"], [])


def test_one_that_cannot_be_closed_stays_with_the_command(fire: Firewalld) -> None:
    opened("edge", "8443/tcp")
    fire.broken = "no answer"
    told = Told()
    firewall.leave(told)
    (left,) = told.left
    assert "no answer" in left["why"]
    assert "`firewall-cmd --zone=internal --remove-port=8443/tcp`" in left["why"]


def test_one_that_does_not_answer_is_unknown(fire: Firewalld) -> None:
    fire.broken = "FirewallD is not running"
    assert firewall.look(["8443/tcp"]) == {"8443/tcp": "firewalld: FirewallD is not running"}
    with pytest.raises(NodeError, match="FirewallD is not running"):
        opened("edge", "8443/tcp")
