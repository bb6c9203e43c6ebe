"""`down` on this host: everything of ours goes, what was there before comes back, and both are told.

Order: containers, draining and units, images, model files, packages with what they need, daemon.json, services,
account, sources, folders; this program last. A step that fails is told in `left`, and the others go on.
"""

from __future__ import annotations

import glob
import os
import shutil
from typing import Any, Dict

from . import docker, files, instances, leave, pull, shell
from .protocol import Answers, NodeError, Request
from .spec import names
from .told import Told

Json = Dict[str, Any]
FOLDERS = ("/etc/hostler", "/run/hostler")
STATE = "/var/lib/hostler"
BOOT = "/etc/tmpfiles.d/hostler.conf"


def purge(request: Request, answers: Answers) -> int:
    """`purge [--keep-models] [--uid UID]`: says {"removed": [...], "left": [{"what", "why"}]}; rc 0 also when
    something stays, for the caller reads it. Refuses (rc 3) a host of another stack."""
    _ours(request)
    keep = bool(request.get("keep-models") or request.get("keep_models"))
    before: Json = files.read_json(files.BASELINE, {})
    told = Told()
    told.step("containers", lambda: _containers(told))
    told.step("units", lambda: _units(told))
    told.step("images", lambda: _images(told))
    told.step("model files", lambda: _models(told, keep))
    leave.as_found(before, told)
    told.step("account", lambda: _account(before, told))
    told.step("files", lambda: _files(told, keep))
    answers.say(removed=told.removed, left=told.left)
    return 0


def _ours(request: Request) -> None:
    stack = files.read_json(files.STACK, {})
    uid = request.get("uid")
    if uid and stack.get("uid") not in (None, uid):
        raise NodeError(
            "other-stack", "this host belongs to stack %s" % stack.get("stack"), "hostler down there", rc=3
        )


def docker_is_here() -> bool:
    try:
        docker.call("GET", "/_ping")
    except (OSError, docker.DockerError):
        return False
    return True


def _containers(told: Told) -> None:
    """Each by its label, and by its instance: units first, so that nothing starts them again."""
    found = docker.containers("hostler.id") if docker_is_here() else []
    known = {c["Labels"]["hostler.id"] for c in found} | set(names(files.APPLIED)) | set(names(files.WANTED))
    for identifier in sorted(known):
        told.step(instances.unit(identifier), lambda i=identifier: instances.stop(i))
        instances.set_enabled(identifier, False)
    for container in found:
        docker.stop(container["Id"], 30)
        docker.remove(container["Id"])
        told.gone("container " + container["Names"][0].lstrip("/"))


def _units(told: Told) -> None:
    """The template and its links; the reload comes when nothing of ours runs any more."""
    links = glob.glob(files.at("/etc/systemd/system/*.wants/hostler@*.service"))
    for path in (*links, files.at(files.UNIT)):
        if os.path.lexists(path):
            os.unlink(path)
            told.gone(path[len(files.root) :])
    if not _others_run():
        instances.systemctl("daemon-reload")


def _others_run() -> bool:
    """A reload can take the cards from other people's running containers: then systemd is left to find out."""
    return docker_is_here() and any(container.get("State") == "running" for container in docker.containers())


def _images(told: Told) -> None:
    """Those that came through us; one that another container uses stays."""
    pulled: Dict[str, str] = files.read_json(pull.PULLED, {})
    if pulled and not docker_is_here():
        told.stays("images", "Docker does not answer")
        return
    for ref in pulled:
        if docker.image(ref) is None:
            continue
        why = docker.remove_image(ref)
        told.stays("image " + ref, why) if why else told.gone("image " + ref)


def _models(told: Told, keep: bool) -> None:
    if keep:
        told.stays(files.MODELS, "kept: --keep-models")
    elif os.path.isdir(files.at(files.MODELS)):
        shutil.rmtree(files.at(files.MODELS))
        told.gone(files.MODELS)


def _account(before: Json, told: Told) -> None:
    if files.ACCOUNT not in before.get("accounts", ()) and leave.has_account(files.ACCOUNT):
        _ran(("userdel", files.ACCOUNT), "account " + files.ACCOUNT, told)
    if files.ACCOUNT not in before.get("groups", ()) and leave.has_group(files.ACCOUNT):
        _ran(("groupdel", files.ACCOUNT), "group " + files.ACCOUNT, told)


def _ran(words: "tuple[str, ...]", what: str, told: Told) -> None:
    result = shell.run(words)
    told.gone(what) if result.ok else told.stays(what, result.why)


def _files(told: Told, keep: bool) -> None:
    """Folders; the program itself is the very last."""
    if files.remove(BOOT):
        told.gone(BOOT)
    for folder in FOLDERS:
        _folder(folder, told)
    if keep:
        _all_but_models(told)
    else:
        _folder(STATE, told)
    files.remove(files.LOCK)
    _folder(os.path.dirname(files.PROGRAM), told)


def _folder(path: str, told: Told) -> None:
    if os.path.isdir(files.at(path)):
        shutil.rmtree(files.at(path))
        told.gone(path)


def _all_but_models(told: Told) -> None:
    """Model files with their sidecars stay; all else of the state goes."""
    for name in sorted(os.listdir(files.at(STATE))) if os.path.isdir(files.at(STATE)) else ():
        path = files.at(STATE, name)
        if name != os.path.basename(files.MODELS):
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    told.gone(STATE + " except models")
