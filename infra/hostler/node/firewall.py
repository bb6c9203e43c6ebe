"""The host's own firewall, where one runs: firewalld lets others in by the ports of ours, now and after each boot.

What we opened is kept in a file: `down` closes that, and nothing that somebody else opened.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Sequence, Tuple

from . import files, shell
from .protocol import Answers, NodeError, Request
from .told import Told

PROGRAM = "firewall-cmd"
UNIT = "firewalld.service"
CGROUPS = (
    "/sys/fs/cgroup/system.slice/",
    "/sys/fs/cgroup/systemd/system.slice/",
)  # there while the unit runs
OPENED = "/var/lib/hostler/firewall.json"  # {part: {"zone", "ports": ["8443/tcp"]}}
ROUTES = "/proc/net/route"
WAYS: Sequence[Tuple[str, ...]] = ((), ("--permanent",))  # now, and from the next boot on

Json = Dict[str, Any]


def runs() -> bool:
    """Whether firewalld runs, without starting a program to ask."""
    return any(os.path.isdir(files.at(folder + UNIT)) for folder in CGROUPS)


def look(ports: Sequence[str]) -> Dict[str, Any]:
    """port -> {"open", "zone"}, None without a firewall, or why it cannot be seen."""
    if not ports or not runs():
        return dict.fromkeys(ports)
    try:
        zone = zone_of_others()
        return {
            port: {"open": all(_is_open(zone, port, way) for way in WAYS), "zone": zone} for port in ports
        }
    except NodeError as error:
        return dict.fromkeys(ports, error.message)


def firewall(request: Request, answers: Answers) -> int:
    """`firewall PART -` with {"ports": ["8443/tcp"]}: open; those of this part that are not wanted any more are closed.
    Says {"changed", "opened", "closed"}."""
    part, wanted = str(request["part"]), [str(port) for port in request.get("ports") or ()]
    known: Json = files.read_json(OPENED, {})
    before: Json = known.get(part) or {"zone": "", "ports": []}
    closed = [port for port in before["ports"] if port not in wanted]
    opened: List[str] = []
    if runs():
        zone = zone_of_others()
        for port in closed:
            _each(before["zone"], "--remove-port", port)
        opened = [port for port in wanted if not all(_is_open(zone, port, way) for way in WAYS)]
        ours = sorted({*opened, *(port for port in before["ports"] if port in wanted)})
        _keep(known, part, {"zone": zone, "ports": ours})  # before it is done: what is half done is ours
        for port in opened:
            _each(zone, "--add-port", port)
    answers.say(changed=bool(opened or closed), opened=opened, closed=closed)
    return 0


def leave(told: Told) -> None:
    """Closes what we opened."""
    known: Json = files.read_json(OPENED, {})
    for one in known.values():
        for port in one["ports"]:
            name = "firewall: port %s in zone %s" % (port, one["zone"])
            told.take(
                "settings", name, lambda zone=one["zone"], port=port: _each(zone, "--remove-port", port)
            )


def zone_of_others() -> str:
    """The zone by which others come in: that of the interface with the way to everywhere, else the default one."""
    for row in files.read_text(ROUTES).splitlines()[1:]:
        fields = row.split("\t")
        if len(fields) > 2 and fields[1] == "00000000":
            result = shell.run((PROGRAM, "--get-zone-of-interface=" + fields[0]))
            if result.ok:
                return result.stdout.strip()
    return _said("--get-default-zone")


def _is_open(zone: str, port: str, way: Tuple[str, ...]) -> bool:
    """firewalld says yes with 0 and no with 1."""
    result = shell.run((PROGRAM, *way, "--zone=" + zone, "--query-port=" + port))
    if result.rc not in (0, 1):
        raise NodeError("firewall", "firewalld: " + result.why, "look at it: systemctl status firewalld")
    return result.ok


def _each(zone: str, word: str, port: str) -> None:
    for way in WAYS if runs() else ():
        _said(*way, "--zone=" + zone, "%s=%s" % (word, port))


def _said(*words: str) -> str:
    result = shell.run((PROGRAM, *words))
    if not result.ok:
        raise NodeError("firewall", "firewalld: " + result.why, "look at it: systemctl status firewalld")
    return result.stdout.strip()


def _keep(known: Json, part: str, now: Json) -> None:
    rest = {name: value for name, value in known.items() if name != part}
    files.write_json(OPENED, {**rest, **({part: now} if now["ports"] else {})})
