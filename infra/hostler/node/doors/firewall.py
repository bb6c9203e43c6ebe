"""The host's own firewall, where one runs: firewalld lets others in by the ports of ours, now and after each boot.

What we opened is kept in a file, each port with its zone: `down` closes that, and nothing that somebody else opened,
also while firewalld is stopped.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Sequence, Tuple

from ..base import files, shell
from ..base.protocol import Answers, NodeError, Request
from ..base.told import Told

PROGRAM = "firewall-cmd"
OFFLINE = "firewall-offline-cmd"  # changes what holds from the next start on, without firewalld
UNIT = "firewalld.service"
CGROUPS = (
    "/sys/fs/cgroup/system.slice/",
    "/sys/fs/cgroup/systemd/system.slice/",
)  # there while the unit runs
OPENED = "/var/lib/hostler/firewall.json"  # {part: {"opened": [["public", "8443/tcp"]]}}
ROUTES = "/proc/net/route"
CLOSED = (0, 16, 112)  # firewalld: done, was not open, there is no such zone any more
WAYS: Sequence[Tuple[str, ...]] = ((), ("--permanent",))  # now, and from the next boot on

Json = Dict[str, Any]
Row = Tuple[str, str]  # zone, port


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
    """`firewall PART -` with {"ports": ["8443/tcp"]}: open; those of this part that are not wanted any more, or in
    another zone than that of the others by now, are closed. Says {"changed", "opened", "closed"}."""
    part, wanted = str(request["part"]), [str(port) for port in request.get("ports") or ()]
    known: Json = files.read_json(OPENED, {})
    before = _rows(known.get(part))
    zone = zone_of_others() if runs() else ""
    past = [row for row in before if row[1] not in wanted or (zone and row[0] != zone)]
    new = [(zone, port) for port in wanted if zone and not all(_is_open(zone, port, way) for way in WAYS)]
    if new:
        _keep(known, part, sorted({*before, *new}))  # before it is done: what is half done is ours
    for row in new:
        for way in WAYS:
            _said(*way, "--zone=" + row[0], "--add-port=" + row[1])
    for row in past:
        _close(*row)
    if past:
        _keep(known, part, sorted({*before, *new} - set(past)))
    opened, closed = [port for _, port in new], [port for _, port in past]
    answers.say(changed=bool(opened or closed), opened=opened, closed=closed)
    return 0


def leave(told: Told) -> None:
    """Closes what we opened. Where firewalld is not installed any more, that is without effect, and stays."""
    known: Json = files.read_json(OPENED, {})
    rows = [row for one in known.values() for row in _rows(one)]
    gone = bool(rows) and not runs() and shell.run((OFFLINE, "--version")).rc == shell.MISSING
    for zone, port in rows:
        name = "firewall: port %s in zone %s" % (port, zone)
        if gone:
            told.keep(
                name, "firewalld is not installed; should it come back: `%s`" % " ".join(_offline(zone, port))
            )
        else:
            told.take("settings", name, lambda zone=zone, port=port: _close(zone, port))


def _rows(one: Any) -> List[Row]:
    """What is kept of a part; an older agent kept one zone for all ports."""
    if not one:
        return []
    return [
        (zone, port) for zone, port in one.get("opened", ()) or [(one["zone"], port) for port in one["ports"]]
    ]


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


def _offline(zone: str, port: str) -> Tuple[str, ...]:
    return (OFFLINE, "--zone=" + zone, "--remove-port=" + port)


def _close(zone: str, port: str) -> None:
    """Now and for good; while firewalld is stopped from its next start on."""
    words = ("--zone=" + zone, "--remove-port=" + port)
    for command in [(PROGRAM, *way, *words) for way in WAYS] if runs() else [_offline(zone, port)]:
        result = shell.run(command)
        if result.rc not in CLOSED:
            why = "firewalld: %s; `%s` closes it" % (result.why, " ".join(command))
            raise NodeError("firewall", why, "look at it: systemctl status firewalld")


def _said(*words: str) -> str:
    result = shell.run((PROGRAM, *words))
    if not result.ok:
        raise NodeError("firewall", "firewalld: " + result.why, "look at it: systemctl status firewalld")
    return result.stdout.strip()


def _keep(known: Json, part: str, rows: List[Row]) -> None:
    rest = {name: value for name, value in known.items() if name != part}
    files.write_json(OPENED, {**rest, **({part: {"opened": rows}} if rows else {})})
