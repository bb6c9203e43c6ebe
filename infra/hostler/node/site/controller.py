"""The controller on the gateway's host: Hostler itself in containers, one that stays, one that a timer starts, and one for
each slot of which the machine is rented again.

The container has nothing of the host but what it needs, and no rights but the network: it comes to every host, this one
too, by SSH. What it runs: sites.py.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from typing import Sequence, Tuple

from ..base import files, instances, shell
from ..base.protocol import Answers, NodeError, Request, as_dict, identity, number, text
from ..docker import docker
from . import running, sites, sshkey
from .sites import CLIENT, CONTAINER, FOLDER, KEPT, SERVING

HOLD, GO_ON = KEPT + "/hold.json", KEPT + "/go-on"
ACCOUNT = "hostler-updates"  # on every host, with a rule for sudo
SUDO = "/etc/sudoers.d/hostler-updates"
PROVE_S = 180.0
FETCH_S = 900.0  # where it may rent: for Pulumi, once


def install(_request: Request, answers: Answers) -> int:
    """`controller-install`: {"changed", "why"}. Raises NodeError where the packages cannot be had, or are others than
    the lock file names."""
    with sites.alone():
        site, made = sites.made()
        if made:
            files.write(sites.DUE, b"")
        gone = sites.without(site)
    answers.say(changed=made or gone, why="installed" if made else "")
    return 0


def run(_request: Request, answers: Answers) -> int:
    """`controller-run`: one look, and what is due. Its story goes to the journal of the unit. One that goes on already is
    left alone."""
    if docker.running(docker.inspect(CONTAINER)):
        answers.say(changed=False, why="one is going on")
        return 0
    with sites.alone():
        site, _ = sites.made()
    docker.remove(CONTAINER)  # of a run that a reboot ended
    rc = _followed(_words(site, CONTAINER, "tick"))
    answers.say(changed=True, why="it ended with %d" % rc)
    return 0 if rc == 0 else 1


def serve(_request: Request, answers: Answers) -> int:
    """`controller-serve`: for as long as it is wanted. It has the gateway's sockets besides, and may pass by the owner of
    files among what it is given: the folder of these is the gateway's own. Told to end, this ends at once: the container
    does when its last answers are over, beside its successor."""
    run = files.at(files.GATEWAY_RUN)
    if not os.path.isdir(run):  # Docker would make it, as root's
        raise NodeError(
            "controller", files.GATEWAY_RUN + " is not there yet", "systemctl status hostler@gateway"
        )
    with sites.alone():
        site, _ = sites.made()
    docker.remove(SERVING)  # of a run that a reboot ended
    mounts = ((files.GATEWAY_RUN, files.GATEWAY_RUN, "rw"), *sites.hidden())
    more = ("--cap-add", "DAC_OVERRIDE", *sites.bound(mounts))
    rc = _followed(_words(site, SERVING, "serve", more), SERVING, stays=True)
    answers.say(changed=True, why="it ended with %d" % rc)
    return 0 if rc == 0 else 1


def prove(_request: Request, answers: Answers) -> int:
    """`controller-prove`: the controller's own word on each host: {"hosts": {name: "" or why it cannot be reached}}."""
    with sites.alone():
        site, _ = sites.made()
    name = CONTAINER + "-proof"
    docker.remove(name)
    said = shell.run(_words(site, name, "prove"), FETCH_S if sites.rents() else PROVE_S)
    if not said.ok:
        docker.remove(name)
        raise NodeError(
            "controller",
            "it cannot be started: " + said.why,
            "journalctl -u " + running.TICK,
            log=said.stderr,
        )
    answers.say(**json.loads(said.stdout.splitlines()[-1]))
    return 0


def rent(request: Request, answers: Answers) -> int:
    """`controller-rent SLOT`: its machine, which was given back, is rented again, in a unit of its own that outlives who asks;
    what becomes of it stands in `sites.RENTS`. One that goes on already is left alone."""
    slot = identity(request, "slot")
    unit = running.RENT % slot
    goes = instances.systemctl("is-active", unit).stdout.strip() in ("active", "activating")
    if not goes:
        _becomes(slot, "working")
        instances.systemctl("reset-failed", unit)
        result = instances.systemctl("start", "--no-block", unit)
        if not result.ok:
            _becomes(slot, "failed", "%s: %s" % (unit, result.why))
            raise NodeError("controller", "%s: %s" % (unit, result.why), "hostler up")
    answers.say(changed=not goes, why="one is going on" if goes else "")
    return 0


def rent_run(request: Request, answers: Answers) -> int:
    """`controller-rent-run SLOT`: what that unit runs, one after the other: a run sees what another rents only when that one
    is done. However it ends, what stands there says so."""
    slot = identity(request, "slot")
    os.makedirs(files.at(sites.STATE), mode=0o700, exist_ok=True)
    with open(files.at(sites.TURN), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            rc = _rented(slot)
        except Exception as error:
            _becomes(slot, "failed", str(error))
            raise
    answers.say(changed=True, why="it ended with %d" % rc)
    return 0 if rc == 0 else 1


def _rented(slot: str) -> int:
    """A container that an agent which was killed left running goes on, and is waited for."""
    name = sites.RENTING + slot
    if docker.running(docker.inspect(name)):
        rc = docker.wait(name) or 0
    else:
        with sites.alone():
            site, _ = sites.made()
        docker.remove(name)  # of a run that a reboot ended
        _becomes(slot, "working")
        rc = _followed(_words(site, name, "rent", after=(slot,)))
    if as_dict(files.read_json(_word(slot))).get("state") == "working":
        _becomes(slot, "failed" if rc else "done", "it was ended (%d)" % rc if rc else "")
    return rc


def _becomes(slot: str, state: str, why: str = "") -> None:
    """`failures`: how many there were one after the other, after which it is asked for later and later."""
    before = as_dict(files.read_json(_word(slot)))
    failures = int(before.get("failures") or 0)
    failures = failures + 1 if state == "failed" else 0 if state == "done" else failures
    told = {**before, "state": state, "at": time.time(), "why": why, "failures": failures}
    files.write_json(_word(slot), told, 0o600)


def _word(slot: str) -> str:
    return "%s/%s.json" % (sites.RENTS, slot)


def hold(request: Request, answers: Answers) -> int:
    """`controller-hold - {"why", "who", "until"}`: nothing is changed from now on; `why` empty: it goes on, also after it
    has halted."""
    why = text(request, "why", "")
    os.makedirs(files.at(KEPT), mode=0o700, exist_ok=True)
    if why:
        files.write_json(
            HOLD, {"why": why, "who": text(request, "who", ""), "until": float(request.get("until") or 0)}
        )
    else:
        files.remove(HOLD)
        files.write(GO_ON, b"", 0o600)
    answers.say(changed=True)
    return 0


def logs(request: Request, answers: Answers) -> int:
    """`controller-logs - {"lines", "follow"}`: its story from the journal, as `logs` says a container's."""
    words = [
        "journalctl",
        "--no-pager",
        "--output=cat",
        "--unit",
        running.TICK,
        "--unit",
        running.SERVICE,
        "--unit",
        running.RENT % "*",
        "--lines",
        str(int(number(request, "lines", 100))),
    ]
    if request.get("follow"):
        words.append("--follow")
    count = 0
    with subprocess.Popen(
        words, env=shell.environment(), stdout=subprocess.PIPE, text=True, errors="replace"
    ) as said:
        for line in said.stdout or ():
            count += 1
            answers.say(line=line.rstrip("\n"))
    answers.say(lines=count)
    return 0


def _words(
    site: str, name: str, verb: str, more: Sequence[str] = (), after: Sequence[str] = ()
) -> Tuple[str, ...]:
    """The container's command line: a root file system that nobody writes to, the controller's folder and key to read,
    its own state to write."""
    key = sshkey.private()
    mounts = (
        (FOLDER, FOLDER, "ro"),
        (key, key, "ro"),
        (KEPT, "/state", "rw"),
        (site, "/site", "ro"),
        *sites.trust(),
    )
    words = (
        *CLIENT,
        "run",
        *sites.bare(),
        "--name",
        name,
        "--read-only",
        "--tmpfs",
        "/tmp:mode=1777",  # noqa: S108 - the container's own
        "--shm-size",
        "256m",
    )
    return (
        *words,
        *more,
        *sites.bound(mounts),
        *sites.environment(),
        "--workdir",
        "/state",
        sites.image(sites.settings()),
        "python3",
        "-m",
        "hostler.controller",
        verb,
        *after,
    )


def _followed(words: Sequence[str], name: str = CONTAINER, stays: bool = False) -> int:
    """Runs it with our own output; told to end, it is told the same, and waited for. `stays`: it is not, and its name is
    free: 0."""
    process = subprocess.Popen(
        words, env=shell.environment(), stdin=subprocess.DEVNULL, start_new_session=True
    )
    aside = "%s-%d" % (name, time.time())
    left = False

    def ended(number: int, _frame: object) -> None:
        nonlocal left
        left = left or (stays and shell.run((*CLIENT, "rename", name, aside)).ok)
        shell.run((*CLIENT, "kill", "--signal", "TERM", aside if left else name))
        if left:
            process.kill()  # Docker's client alone
        del number

    before = {one: signal.signal(one, ended) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        rc = process.wait()
        return 0 if left else rc
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
