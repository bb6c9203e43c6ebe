"""Docker's daemon, with the settings that were written for it, from now on and after each boot.

No `systemctl enable`: that reloads systemd, which can take the cards from running containers.
"""

from __future__ import annotations

import os
from typing import Dict, List

from ..base import files, instances, shell, units
from ..base.protocol import Answers, NodeError, Request, as_dict
from . import containers

UNIT = "docker.service"
WANTS = instances.WANTS + "/" + UNIT
HOOK = "/usr/bin/nvidia-container-runtime-hook"
SETTINGS = "/etc/docker/daemon.json"
PID = "/run/docker.pid"
DUE = files.DUE + "/docker"
START_S = 120.0
VALIDATE_S = 20.0


def docker_ready(request: Request, answers: Answers) -> int:
    """`docker-ready -` with {"toolkit": whether containers need the cards, "dry"?}: enabled, running, with what is
    written down. Says {"changed", "why"}; with `dry` what it would do."""
    dry = bool(request.get("dry"))
    done: List[str] = []
    state = _shown()
    if state.get("LoadState") != "loaded":
        if not dry:
            raise NodeError("unit", "there is no %s" % UNIT, "look whether Docker's packages were installed")
        state["ActiveState"] = "inactive"
    if _link(state, dry):
        done.append("enabled")
    if state["ActiveState"] != "active":
        _systemctl("start", dry)
        done.append("started")
    else:
        if files.read(DUE) is not None and _is_newer(
            SETTINGS
        ):  # before a restart: live-restore is among them
            _systemctl("reload", dry)
            done.append("settings loaded")
        if request.get("toolkit") and toolkit_waits():
            _systemctl("restart", dry)
            done.append("restarted to find the toolkit")
    if not dry:
        files.remove(DUE)
    answers.say(changed=bool(done), why=", ".join(done))
    return 0


def _shown() -> Dict[str, str]:
    words = ("systemctl", "show", "--property=LoadState,ActiveState,UnitFileState,FragmentPath", UNIT)
    result = shell.run(words, 10.0)
    if not result.ok:
        raise NodeError("unit", "systemctl: " + result.why)
    return units.pairs(result.stdout)


def _link(state: Dict[str, str], dry: bool) -> bool:
    """What `systemctl enable` does, where nothing starts it at boot yet."""
    if units.is_enabled(UNIT, state.get("UnitFileState", "")):
        return False
    if not dry:
        instances.linked(UNIT, state["FragmentPath"], True)
    return True


def _systemctl(word: str, dry: bool) -> None:
    if dry:
        return
    _refuse_bad_settings()
    result = shell.run(("systemctl", word, UNIT), START_S)
    if not result.ok:
        raise NodeError("unit", "%s: systemctl %s: %s" % (UNIT, word, result.why), "journalctl -u docker")


def _refuse_bad_settings() -> None:
    """A daemon that stops and does not take its settings stays away, and with it everybody's containers."""
    if not (files.read(SETTINGS) or b"").strip():
        return
    if as_dict(files.read_json(SETTINGS)).get("live-restore") and containers.in_swarm():
        raise NodeError(
            "settings",
            "%s has live-restore, with which Docker does not start in a swarm" % SETTINGS,
            "take live-restore out of it; Docker was left as it is",
        )
    why = _invalid()
    if why:
        raise NodeError(
            "settings",
            "dockerd --validate: " + why,
            "mend %s, then repeat this; Docker was left as it is" % SETTINGS,
        )


def _invalid() -> str:
    """What Docker says of its settings; nothing where they are good, or where it cannot say (before 23.0)."""
    result = shell.run(("dockerd", "--validate", "--config-file", SETTINGS), VALIDATE_S)
    unable = result.rc == shell.MISSING or "unknown flag" in result.stderr + result.stdout
    return "" if result.ok or unable else result.why


def toolkit_waits() -> bool:
    """Whether the toolkit came after the daemon's start, which then does not know it."""
    return _is_newer(HOOK)


def _is_newer(path: str) -> bool:
    """Whether it was put there after the daemon's start, which is when the daemon looks for it."""
    try:
        return os.stat(files.at(path)).st_ctime > os.stat(files.at(PID)).st_mtime
    except FileNotFoundError:
        return path == SETTINGS  # taken away: that is a change, too
