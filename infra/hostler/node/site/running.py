"""The controller's units: which of them run, now and after a boot.

`controller-timer - {"units": {name: bool}}`: a unit that is not wanted is ended, with a run that is going on; where none is
wanted, all that it was goes. Where the mark of what was brought anew is there, what runs all the time is started anew, and
the mark goes: a run that was interrupted before that is gone on with by the next. Another text of a unit is taken in
without a reload: what is not loaded is read anew.
"""

from __future__ import annotations

import os
import shutil
from typing import Dict

from ..base import files, instances, units
from ..base.protocol import Answers, NodeError, Request, as_dict
from . import sites

FOLDER = "/etc/systemd/system/"
TIMER = "hostler-updates.timer"
TICK = "hostler-updates.service"  # what it starts
RENT = "hostler-rent@%s.service"  # by slot: its machine is rented again
SERVICE = "hostler-controller.service"
STARTED = (TIMER, SERVICE)
FILES = tuple(FOLDER + name for name in (TIMER, TICK, SERVICE, RENT % ""))
STATES = files.GATEWAY_RUN + "/states.json"  # what it says of models that sleep
SPENT = files.GATEWAY_RUN + "/spent.map"  # and of keys whose budget is used up
END_S = 660.0


def keep(request: Request, answers: Answers) -> int:
    wanted: Dict[str, bool] = {name: bool(as_dict(request.get("units")).get(name)) for name in STARTED}
    there = any(os.path.isdir(files.at(folder)) for folder in (sites.FOLDER, sites.STATE))
    due = files.read(sites.DUE) is not None
    changed = [_kept(name, wish, due) for name, wish in wanted.items()]
    if not wanted[TIMER]:
        instances.systemctl("stop", TICK, timeout=END_S)
    if not wanted[SERVICE]:
        instances.systemctl("stop", RENT % "*", timeout=END_S)
    if not any(wanted.values()):
        sites.end_containers()
        for folder in (sites.FOLDER, sites.STATE):
            shutil.rmtree(files.at(folder), ignore_errors=True)
    if not wanted[SERVICE]:
        files.remove(STATES)
        files.remove(SPENT)
    files.remove(sites.DUE)
    answers.say(changed=any(changed) or (there and not any(wanted.values())), why="")
    return 0


def _kept(name: str, wanted: bool, restart: bool) -> bool:
    """Whether anything was done."""
    file = FOLDER + name
    state = as_dict(units.states([name]).get(name)) if os.path.lexists(files.at(file)) else {}
    runs = state.get("active") in ("active", "activating", "reloading")
    anew = bool(state.get("reload_due")) or (restart and name == SERVICE)
    if runs and (anew or not wanted):
        instances.systemctl("stop", name, timeout=END_S)
    changed = instances.linked(name, file, wanted)
    if wanted and (anew or not runs):
        result = instances.systemctl("start", name)
        if not result.ok:
            raise NodeError("unit", "%s: %s" % (name, result.why), "systemctl status " + name)
        return True
    return changed or (runs and not wanted)
