"""Cards' power limits: set by UUID, read back, set again at each boot by hostler-power.service."""

from __future__ import annotations

import os
from typing import Dict, List, Optional

from ..base import files, instances, shell
from ..base.protocol import Answers, NodeError, Request
from ..base.told import Told
from .cardfacts import real

WISH = "/etc/hostler/power.json"  # {UUID: watts}
DONE = "/var/lib/hostler/power.json"  # {UUID: whether persistence mode was on before}: cards that we have set
UNIT = "/etc/systemd/system/hostler-power.service"
SMI = "nvidia-smi"
LIMIT_S = 60.0
SAME_W = 0.5


def power(_request: Request, answers: Answers) -> int:
    """`power`: every card in the wish has its limit, others that we had set have the default again.

    Says {"changed", "set": {UUID: watts}}. Raises NodeError for a card that does not take its limit, after the
    others have theirs.
    """
    wish: Dict[str, float] = files.read_json(WISH, {})
    done: Dict[str, bool] = files.read_json(DONE, {})
    changed = enable(bool(wish))
    failed: List[str] = []
    for card, watts in sorted(wish.items()):
        if card not in done:
            done[card] = _ask(card, "persistence_mode") != "Disabled"  # what is not known is left alone
            files.write_json(DONE, done)
        changed |= _set(card, float(watts), failed)
    for card in sorted(set(done) - set(wish)):
        changed |= put_back(card, done)
    if failed:
        raise NodeError(
            "power", "; ".join(failed), "look at it there: nvidia-smi -q -d POWER", changed=changed
        )
    answers.say(changed=changed, set=wish)
    return 0


def _set(card: str, watts: float, failed: List[str]) -> bool:
    """Whether it had to be set. A driver that may unload forgets it: persistence mode first."""
    now = read(card, "power.limit")
    if now is not None and abs(now - watts) < SAME_W and persistent(card):
        return False
    shell.run((SMI, "-i", card, "-pm", "1"), LIMIT_S)
    said = shell.run((SMI, "-i", card, "-pl", "%g" % watts), LIMIT_S)
    now = read(card, "power.limit")
    if now is None or abs(now - watts) >= SAME_W:
        got = "%g W" % now if now is not None else "an unknown limit"
        failed.append("%s: expected %g W; got %s (%s)" % (card, watts, got, said.why))
    return True


def put_back(card: str, done: Dict[str, bool]) -> bool:
    """The default limit, and persistence mode as it was. Raises NodeError when it cannot be set, or when it is not
    known whether the card is still there."""
    default = read(card, "power.default_limit")
    if default is None and not _gone(card):
        raise NodeError(
            "power", "%s: the driver does not tell its default limit" % card, "run it again: nvidia-smi -q"
        )
    if default is not None:
        said = shell.run((SMI, "-i", card, "-pl", "%g" % default), LIMIT_S)
        if not said.ok:
            raise NodeError("power", "%s: %s" % (card, said.why), "nvidia-smi -i %s -pl %g" % (card, default))
        if not done[card]:
            shell.run((SMI, "-i", card, "-pm", "0"), LIMIT_S)
    del done[card]
    files.write_json(DONE, done) if done else files.remove(DONE)
    return True


def leave(told: Told) -> None:
    """For `down`: each card that we have set as it was. One that is gone forgot its limit by itself."""
    done: Dict[str, bool] = files.read_json(DONE, {})
    for card in sorted(done):
        told.take("settings", "power limit of " + card, lambda card=card: put_back(card, done))


def persistent(card: str) -> bool:
    return _ask(card, "persistence_mode") == "Enabled"


def read(card: str, what: str) -> Optional[float]:
    return real(_ask(card, what))


def _gone(card: str) -> bool:
    listed = shell.run((SMI, "-L"), LIMIT_S)
    return listed.ok and card not in listed.stdout


def _ask(card: str, what: str) -> str:
    said = shell.run((SMI, "-i", card, "--query-gpu=" + what, "--format=csv,noheader,nounits"), LIMIT_S)
    return said.stdout.strip() if said.ok else ""


def enable(wanted: bool) -> bool:
    return instances.linked(os.path.basename(UNIT), UNIT, wanted)
