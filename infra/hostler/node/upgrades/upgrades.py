"""What is under the replicas: newer packages of a host, by what they do to what runs; shown, fetched, installed."""

from __future__ import annotations

import os
import time
from types import ModuleType
from typing import Any, Dict, List, Set

from ..base import files
from ..base.protocol import Answers, NodeError, Request, as_dict, text
from ..base.spec import applied, replicas
from ..cards import inside
from ..docker import dockerapi
from ..doors import away
from ..exchange import exchange
from ..packages import dpkg, packages
from ..replica import outcome
from ..weights import store, transfer
from . import apt, dnf, kinds, reboots

ROOM = 256 << 20  # bytes that stay free
UNPACKED = 5  # times what is fetched: packages, unpacked beside what they replace
LOCK_S = 300.0
PAUSE = 2.0
BOOT_ROOM = 300 << 20  # a kernel and its initramfs, where /boot is a file system of its own


def look(request: Request, answers: Answers) -> int:
    """`upgrade-look` {"kinds": [...], "refresh"?}: what is newer, and what a transaction of those kinds would do.

    Says {"manager", "due": [steps], "kept": [names that stay], "reboot": [why one is due], "warnings": [...], "kinds",
    "steps": [steps], "effect": none|drain|stop|reboot, "effects": {kind: effect}, "size": bytes}; a step is {"name",
    "now", "then", "kind"}.
    Raises NodeError for what must be mended first. Nothing changes, but for the lists of packages.
    """
    manager = _manager()
    _sound(manager)
    warnings: List[str] = manager.lists() if request.get("refresh", True) else []
    due: List[kinds.Step] = manager.due()
    asked = wanted(request)
    names = kinds.chosen(due, asked)
    steps: List[kinds.Step] = manager.tried(names)
    size: int = manager.size(names) if steps else 0
    cards, keeps = bool(cards_here()), keeps_containers()
    _room(steps, size)
    answers.say(
        manager=manager.__name__.rpartition(".")[2],
        due=[step.as_json() for step in due],
        kept=manager.kept(),
        reboot=reboots.reasons(),
        warnings=warnings,
        kinds=sorted(asked, key=kinds.KINDS.index),
        steps=[step.as_json() for step in steps],
        effect=kinds.effect(steps, cards, keeps),
        effects={
            kind: kinds.effect([s for s in due if s.kind == kind], cards, keeps) for kind in kinds.KINDS
        },
        size=size,
    )
    return 0


def wanted(request: Request) -> Set[str]:
    asked = {str(one) for one in request.get("kinds") or ()}
    unknown = asked - set(kinds.KINDS)
    if unknown:
        raise NodeError("usage", "no such kind: " + ", ".join(sorted(unknown)), ", ".join(kinds.KINDS), rc=2)
    return kinds.with_tied(asked, packages.listed())


def fetch(request: Request, answers: Answers) -> int:
    """`upgrade-fetch` {"names": [...]}: into the package manager's cache, while everything serves. Says {"changed"}."""
    names = [str(name) for name in request.get("names") or ()]
    if names:
        _manager().fetch(names)
    answers.say(changed=bool(names))
    return 0


def install(request: Request, answers: Answers) -> int:
    """`upgrade-install` {"names": [...], "effect"?, "repair"?}: the transaction. Says {"changed", "repaired": [ids],
    "why"}. Raises NodeError where by now it would do more to what runs than `effect`, which was agreed to, or remove
    something: lists of packages change by themselves.

    `repair`: replicas that serve and lost their cards meanwhile (a package made systemd reload) are exchanged.
    """
    names = [str(name) for name in request.get("names") or ()]
    repaired: List[str] = []
    if names:
        manager = _manager()
        _as_agreed(manager.tried(names), text(request, "effect", kinds.EFFECTS[-1]))
        _installed(manager, names)
        away.renew()
        repaired = _repaired(request) if request.get("repair") else []
    outcome.say(answers, changed=bool(names), repaired=repaired, why=", ".join(names[:8]))
    return 0


def _as_agreed(steps: List[kinds.Step], agreed: str) -> None:
    effect = kinds.effect(steps, bool(cards_here()), keeps_containers())
    if kinds.EFFECTS.index(effect) <= kinds.EFFECTS.index(agreed):
        return
    new = ", ".join(step.name for step in steps if step.kind in (kinds.DOCKER, kinds.DRIVER, kinds.KERNEL))
    raise NodeError(
        "packages",
        "what was shown has changed: by now it takes %s with it, for which more has to stop (%s instead of %s)"
        % (new, effect, agreed),
        "look again: `hostler upgrade`",
    )


def _installed(manager: ModuleType, names: List[str]) -> None:
    """Raises NodeError where it says yes and does not do it."""
    manager.install(names)
    left = sorted({step.name for step in manager.due()} & set(names))
    if left:
        raise NodeError(
            "packages", "still not upgraded: " + ", ".join(left), "look at it there, then try again"
        )


def _repaired(request: Request) -> List[str]:
    """Drained, started anew and asked, as in any exchange."""
    lost = [name for name in replicas() for spec in [applied(name)] if spec and inside.proof(spec).wrong]
    for name in lost:
        exchange.exchange({"op": "exchange", "id": name, "force": True, "run": request.get("run")}, _Quiet())
    return lost


class _Quiet(Answers):
    """What an exchange says on its way: the answer here is another."""

    def __init__(self) -> None:
        super().__init__()

    def say_value(self, value: Any) -> None:  # noqa: ARG002 - as Answers has it
        return


def _manager() -> ModuleType:
    found = packages.manager()
    if found is None:
        raise NodeError(
            "packages",
            "neither dpkg nor rpm is known here",
            "upgrade it by hand; `hostler roll` and `up` go on",
        )
    return apt if found is dpkg else dnf


def _sound(manager: ModuleType) -> None:
    """Nothing is begun on a package manager that is broken; one that works, as it does by itself each day, is waited
    for."""
    until = time.monotonic() + LOCK_S
    while "holds" in packages.trouble() and time.monotonic() < until:
        time.sleep(PAUSE)
    why = packages.trouble()
    if why:
        raise NodeError("packages", why, "wait until it has ended, or mend it there, then try again")
    why = str(manager.unfinished())
    if why:
        raise NodeError("packages", why, "mend it there: `%s`, then try again" % manager.mend())


def _room(steps: List[kinds.Step], size: int) -> None:
    needs = {"/var/lib": ROOM + UNPACKED * size} if steps else {}
    if any(step.kind == kinds.KERNEL for step in steps) and os.path.ismount(files.at("/boot")):
        needs["/boot/x"] = BOOT_ROOM
    for path, need in needs.items():
        free = store.free_bytes(path)
        if free < need:
            have = (transfer.gib(need), os.path.dirname(path) or "/", transfer.gib(free))
            raise NodeError(
                "disk", "packages need %s below %s; %s are free there" % have, "make room on its disk"
            )


def cards_here() -> List[Any]:
    """Cards that containers of ours use."""
    return [card for name in replicas() for card in (applied(name) or {}).get("cards") or ()]


def keeps_containers() -> bool:
    """Whether Docker says that containers outlive it; True where there is none."""
    try:
        info: Dict[str, Any] = as_dict(dockerapi.Docker().get("/info"))
    except dockerapi.NotInstalled:
        return True
    except dockerapi.NotAnswering:
        return False
    return bool(info.get("LiveRestoreEnabled"))
