"""What a transaction of the package manager brings: noted around dpkg's work, so that `down` takes exactly that away.

apt itself says it, to two hooks of the role's transaction (apt.conf(5), DPkg::Pre-Install-Pkgs and Post-Invoke): what
it is about to unpack, and that dpkg is done, well or not. So what somebody installs before, between or after is theirs.
A transaction that is killed with apt is settled by the next run: until then its names, and no others, count as ours.
dnf keeps books of its own, in which our transactions carry our name: they are read after it.
"""

from __future__ import annotations

import sys
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from ..base import files, shell
from ..base.protocol import Answers, NodeError, Request
from ..weights import store, transfer
from . import packages, rpm

COMING = "/var/lib/hostler/packages-coming.json"  # as INSTALLED: while dpkg works, or when apt was killed
STATE = "/var/lib"
ROOM = 512 << 20  # bytes: the lists, what is downloaded, and Docker unpacked
INSTALLED = (
    "/var/lib/hostler/installed.json"  # {"packages": [names], "history"?: dnf's transaction up to which}
)
HOLD_S = 120.0
VERSION = "VERSION 2\n"  # of what apt says to a hook


def now() -> List[str]:
    """All installed packages by name, whole or half."""
    return packages.listed()


def brought() -> List[str]:
    """The packages that came through us, and what was to come when apt or dnf was killed: not all of it need be
    here."""
    return sorted({*_listed(INSTALLED), *_listed(COMING), *_from_history()})


def _from_history() -> List[str]:
    """What dnf says that we brought since it was last asked."""
    return rpm.brought(_asked_until()) if packages.manager() is rpm else []


def _asked_until() -> int:
    known, before = files.read_json(INSTALLED, {}), files.read_json(files.BASELINE, {})
    return max(int(known.get("history") or 0), int(before.get("history") or 0))


def _listed(path: str) -> List[str]:
    found: Dict[str, Any] = files.read_json(path, {})
    return [rpm.known_as(name) for name in found.get("packages", [])]


class Wish(NamedTuple):
    """A package that must be there, or one of those that do as well."""

    name: str
    alternatives: Sequence[str] = ()
    hold: bool = False


def compared(wishes: List[Wish]) -> Tuple[List[str], List[str]]:
    """Names of what is missing, and of what is not held yet; another's package is not ours to hold."""
    seen = packages.look(name for wish in wishes for name in (wish.name, *wish.alternatives)) or {}
    there = {name for name, found in seen.items() if found and found["state"] == "installed"}
    held = {name for name, found in seen.items() if found and found["hold"]}
    missing = [wish.name for wish in wishes if there.isdisjoint((wish.name, *wish.alternatives))]
    ours = {*missing, *there} - held
    return missing, [wish.name for wish in wishes if wish.hold and wish.name in ours]


def packages_before(request: Request, answers: Answers) -> int:
    """`packages-before -` with {"wanted": [{"name", "alternatives", "hold"}], "dry"?}: what a transaction must bring.
    Says {"changed", "missing": [names], "unheld": [names], "broken": [names]}: those are to be installed anew.

    What a killed transaction brought is noted first (but for `dry`). Raises NodeError where something is missing and
    there is no room for it: on a full disk apt-get hangs instead of failing.
    """
    dry = bool(request.get("dry"))
    new = [] if dry else _settled()
    wishes = [Wish(**one) for one in request.get("wanted") or ()]
    missing, unheld = compared(wishes)
    if missing and not dry:
        _room()
    broken = packages.broken(wish.name for wish in wishes)
    answers.say(changed=bool(new), missing=missing, unheld=unheld, broken=broken)
    return 0


def _room() -> None:
    free = store.free_bytes(STATE)
    if free < ROOM:
        have = (transfer.gib(ROOM), transfer.gib(free))
        raise NodeError(
            "disk", "packages need %s below /var; %s are free there" % have, "make room on its disk"
        )


def packages_coming(_request: Request, answers: Answers) -> int:
    """`packages-coming`, before dpkg works: keeps the names of what apt says on stdin that it will unpack and of which
    nothing is here. Says {"changed", "coming": [names]}. When it fails, apt goes no further."""
    said = sys.stdin.buffer.read().decode("utf-8", "replace")
    _settled()
    coming = sorted(set(newcomers(said)) - set(now()))
    if coming:
        files.write_json(COMING, {"packages": coming})
    answers.say(changed=bool(coming), coming=coming)
    return 0


def newcomers(said: str) -> List[str]:
    """Settings, an empty line, and a line for each step: name, version here or "-", direction, version, file."""
    if not said.startswith(VERSION):
        raise NodeError("packages", "apt did not say what it installs: %.200r" % said, "please report this")
    steps = (line.split() for line in said.partition("\n\n")[2].splitlines())
    return [step[0] for step in steps if len(step) == 5 and step[1] == "-" and step[4].startswith("/")]


def packages_came(_request: Request, answers: Answers) -> int:
    """`packages-came`, after dpkg or dnf, whatever came of it. Says {"changed", "new": [names], "why"}."""
    new = _settled()
    answers.say(changed=bool(new), new=new, why="%d new" % len(new) if new else "")
    return 0


def packages_keep(request: Request, answers: Answers) -> int:
    """`packages-keep -` with {"begin": [beginnings of names]}: of what came through us, that is kept from updates by
    versionlock from now on. Says {"changed", "held": [names]}. Raises NodeError when dnf will not."""
    begin = tuple(map(str, request.get("begin") or ()))
    seen = packages.look(name for name in brought() if name.startswith(begin)) or {}
    names = sorted(name for name, found in seen.items() if found and not found["hold"])
    if names:
        result = shell.run(("dnf", "--quiet", "-y", "versionlock", "add", *names), HOLD_S)
        if not result.ok:
            raise NodeError(
                "packages", "dnf versionlock: " + result.why, "look at it on the host, then try again"
            )
    answers.say(changed=bool(names), held=names)
    return 0


def _settled() -> List[str]:
    """Notes what is here of what was to come. The rest is nobody's: who installs it from now on is its owner."""
    until = rpm.last() if packages.manager() is rpm else 0
    new = sorted({*_listed(COMING), *_from_history()} & set(now()))
    if new:
        kept: Dict[str, Any] = {"packages": sorted({*_listed(INSTALLED), *new})}
        files.write_json(INSTALLED, {**kept, "history": until} if until else kept)
    files.remove(COMING)
    return new
