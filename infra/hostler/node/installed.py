"""What a transaction of the package manager brought: noted around it, so that `down` takes exactly that away."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from . import files, packages, shell, store, transfer
from .protocol import Answers, NodeError, Request

BEFORE = "/var/lib/hostler/packages-before.json"
ROOM = 512 << 20  # bytes: the lists, what is downloaded, and Docker unpacked
INSTALLED = "/var/lib/hostler/installed.json"  # {"packages": [names], "manual": [names]}


def now() -> List[str]:
    """All installed packages by name; dpkg's own file, else rpm."""
    content = files.read(packages.STATUS)
    if content is not None:
        return sorted(set(packages.names(content.decode("utf-8", "replace"))))
    return sorted(set(shell.run(("rpm", "-qa", "--qf", "%{NAME}\\n"), 60.0).stdout.split()))


def brought() -> List[str]:
    """The packages that came through us."""
    found: Dict[str, Any] = files.read_json(INSTALLED, {})
    return list(found.get("packages", []))


class Wish(NamedTuple):
    """A package that must be there, or one of those that do as well."""

    name: str
    alternatives: Sequence[str] = ()
    hold: bool = False


def compared(wishes: List[Wish]) -> Tuple[List[str], List[str]]:
    """Names of what is missing, and of what is not held yet; another's package is not ours to hold."""
    seen = packages.dpkg(name for wish in wishes for name in (wish.name, *wish.alternatives)) or {}
    there = {name for name, found in seen.items() if found and found["state"] == "installed"}
    held = {name for name, found in seen.items() if found and found["hold"]}
    missing = [wish.name for wish in wishes if there.isdisjoint((wish.name, *wish.alternatives))]
    ours = {*missing, *there} - held
    return missing, [wish.name for wish in wishes if wish.hold and wish.name in ours]


def packages_before(request: Request, answers: Answers) -> int:
    """`packages-before -` with {"wanted": [{"name", "alternatives", "hold"}], "dry"?}: what a transaction must bring.
    Says {"missing": [names], "unheld": [names], "continued"}.

    Where anything is missing the state before is kept (but for `dry`); an interrupted transaction keeps its own,
    older state. Raises NodeError without room for it: on a full disk apt-get hangs instead of failing.
    """
    missing, unheld = compared([Wish(**one) for one in request.get("wanted") or ()])
    earlier = files.read_json(BEFORE)
    if missing and not request.get("dry"):
        _room()
        if earlier is None:
            files.write_json(BEFORE, {"packages": now()})
    answers.say(changed=False, missing=missing, unheld=unheld, continued=earlier is not None)
    return 0


def _room() -> None:
    free = store.free_bytes(packages.STATUS)
    if free < ROOM:
        have = (transfer.gib(ROOM), transfer.gib(free))
        raise NodeError(
            "disk", "packages need %s below /var; %s are free there" % have, "make room on its disk"
        )


def packages_after(request: Request, answers: Answers) -> int:
    """`packages-after -` with {"hold": [names]}: notes what is new since, and keeps updates away from those.
    Says {"changed", "new": [names], "why"}."""
    before = files.read_json(BEFORE)
    new = sorted(set(now()) - set(before["packages"])) if before is not None else []
    if new:
        files.write_json(INSTALLED, {"packages": sorted({*brought(), *new})})
    files.remove(BEFORE)
    hold: List[str] = request.get("hold") or []
    if hold:
        held = shell.run(("apt-mark", "hold", *hold), 60.0)
        if not held.ok:
            raise NodeError("packages", "apt-mark hold: " + held.why, "apt-mark hold " + " ".join(hold))
    why = "%d new" % len(new) + (", held: " + ", ".join(hold) if hold else "")
    answers.say(changed=bool(new or hold), new=new, why=why)
    return 0
