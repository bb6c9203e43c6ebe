"""What a transaction of the package manager brought: noted around it, so that `down` takes exactly that away."""

from __future__ import annotations

from typing import Any, Dict, List

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


def packages_before(request: Request, answers: Answers) -> int:  # noqa: ARG001 - every command's signature
    """`packages-before`: the state before a transaction. One that was interrupted keeps its own, older state.

    Raises NodeError without room for it: on a full disk apt-get hangs instead of failing.
    """
    free = store.free_bytes(packages.STATUS)
    if free < ROOM:
        have = (transfer.gib(ROOM), transfer.gib(free))
        raise NodeError(
            "disk", "packages need %s below /var; %s are free there" % have, "make room on its disk"
        )
    earlier = files.read_json(BEFORE)
    if earlier is None:
        files.write_json(BEFORE, {"packages": now()})
    answers.say(changed=False, continued=earlier is not None)
    return 0


def packages_after(request: Request, answers: Answers) -> int:  # noqa: ARG001 - every command's signature
    """`packages-after`: notes what is new since. Says {"changed", "new": [names]}."""
    before = files.read_json(BEFORE)
    new = sorted(set(now()) - set(before["packages"])) if before is not None else []
    if new:
        files.write_json(INSTALLED, {"packages": sorted({*brought(), *new})})
    files.remove(BEFORE)
    answers.say(changed=bool(new), new=new)
    return 0
