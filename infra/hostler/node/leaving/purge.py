"""`down` on this host: everything of ours goes, what was there before comes back, and both are told.

Order: containers, draining and units, images, model files, packages with what they need, daemon.json, services,
account, folders; whose host it is goes last, so that an interrupted one can go on. A step that fails is told in
`left`, what stays on purpose in `kept`, and the others go on.
"""

from __future__ import annotations

import glob
import os
import shutil
from typing import Any, Dict, Set

from ..base import files, instances
from ..base.accounts import has_account, has_group, ran
from ..base.protocol import REFUSED, Answers, NodeError, Request
from ..base.spec import names
from ..base.told import Told
from ..cards import power
from ..docker import docker, pull, tenants
from ..doors import firewall
from ..idle import policy
from ..probe import paths
from ..site import controller, running, sites
from ..watch import watched
from ..weights import serve
from . import leave

Json = Dict[str, Any]
FOLDERS = ("/run/hostler", os.path.dirname(files.PROGRAM), "/etc/hostler")
STATE = "/var/lib/hostler"
BOOT = "/etc/tmpfiles.d/hostler.conf"


def purge(request: Request, answers: Answers) -> int:
    """`purge [--keep-models] [--dry-run] [--uid UID] [--host NAME]`: says {"removed": [...], "kept": [{"what", "why"}],
    "left": the same}; rc 0 also when something is left, for the caller reads it. Dry: "would", by kind, in place of
    "removed". Refuses (rc 3) a host of another stack, or of another name."""
    _ours(request)
    keep = bool(request.get("keep-models") or request.get("keep_models"))
    before: Json = files.read_json(files.BASELINE, {})
    told = Told(dry=bool(request.get("dry-run")))
    if not told.dry:
        watched.stop()
        policy.stop()
    told.step("containers", lambda: _containers(told))
    told.step("units", lambda: _units(told))
    told.step("firewall", lambda: firewall.leave(told))
    told.step("power limits", lambda: power.leave(told))
    told.step("images", lambda: _images(told))
    told.step("model files", lambda: _models(told, keep))
    leave.as_found(before, told)
    told.step("account", lambda: _account(before, told))
    told.step("files", lambda: _files(told, keep))
    answers.say(**told.answer())
    return 0


def _ours(request: Request) -> None:
    stack = files.read_json(files.STACK, {})
    uid, host = request.get("uid"), request.get("host")
    if uid and stack.get("uid") not in (None, uid):
        raise NodeError(
            "other-stack",
            "this host belongs to stack %s" % stack.get("stack"),
            "hostler down there",
            rc=REFUSED,
        )
    if host and stack.get("host") not in (None, host):
        raise NodeError(
            "other-host",
            "this host is %s of stack %s, not %s" % (stack.get("host"), stack.get("stack"), host),
            "look at the address of %s in the stack file" % host,
            rc=REFUSED,
        )


def _containers(told: Told) -> None:
    """Each by its label, and by its instance: units first, so that nothing starts them again."""
    here = tenants.answers()
    if not here and tenants.installed():
        told.stays("containers", tenants.SILENT)
    found = docker.containers("hostler.id") if here else []
    known = {c["Labels"]["hostler.id"] for c in found} | set(names(files.APPLIED)) | set(names(files.WANTED))
    for identifier in sorted(known):
        told.take("units", instances.unit(identifier), lambda i=identifier: instances.stop(i))
        if not told.dry:
            instances.set_enabled(identifier, False)
    for container in found:
        name = container["Names"][0].lstrip("/")
        told.take("containers", name, lambda i=container["Id"]: _remove(i))


def _remove(container: str) -> None:
    docker.stop(container, 30)
    docker.remove(container)


def _units(told: Told) -> None:
    """The template and its links; the reload comes when nothing of ours runs any more."""
    there = [
        name for name in (*running.STARTED, running.TICK) if os.path.lexists(files.at(running.FOLDER + name))
    ]
    for name in there:
        told.take("units", name, ran("systemctl", "stop", name, limit_s=running.END_S))
    if os.path.lexists(files.at(running.FOLDER + running.RENT % "")):
        instances.systemctl("stop", running.RENT % "*", timeout=running.END_S)
    if there and not told.dry and tenants.answers():
        sites.end_containers()
    if os.path.lexists(files.at(serve.FILES[0])):
        told.take("units", serve.UNIT, ran("systemctl", "stop", serve.UNIT))
    found = glob.glob(files.at("/etc/systemd/system/*.wants/hostler[@-]*"))
    links = [link for link in found if not os.path.basename(link).startswith(files.LEASE_UNITS)]
    for path in (
        *sorted(links),
        *map(files.at, (files.UNIT, power.UNIT, *watched.FILES, *policy.FILES, *serve.FILES, *running.FILES)),
    ):
        if os.path.lexists(path):
            told.take("files", path[len(files.root) :], lambda path=path: os.unlink(path))
    if not told.dry and not _others_run():
        instances.systemctl("daemon-reload")


def _others_run() -> bool:
    """A reload can take the cards from other people's running containers: then systemd is left to find out."""
    return tenants.answers() and any(container.get("State") == "running" for container in docker.containers())


def _images(told: Told) -> None:
    """Those that came through us; one that another container uses stays."""
    pulled: Dict[str, str] = files.read_json(pull.PULLED, {})
    if not pulled or not tenants.answers():
        if pulled and tenants.installed():
            told.stays("images", tenants.SILENT)
        return
    used: Set[str] = {str(container.get("ImageID")) for container in tenants.foreign()}
    for ref in pulled:
        found = docker.image(ref)
        if found and found["Id"] in used:
            told.keep("image " + ref, "a container that is not ours uses it")
        elif found:
            _image(ref, told)


def _image(ref: str, told: Told) -> None:
    why = "" if told.dry else docker.remove_image(ref)
    told.keep("image " + ref, why) if why else told.gone("images", ref)


def _models(told: Told, keep: bool) -> None:
    if not os.path.isdir(files.at(files.MODELS)):
        return
    if keep:
        told.keep(files.MODELS, "--keep-models")
        return
    for path in paths.below(files.MODELS):
        if path.endswith(files.BESIDE):
            continue
        told.take("models", path, lambda path=path: files.remove(path))


def _account(before: Json, told: Told) -> None:
    if os.path.lexists(files.at(controller.SUDO)):
        told.take("files", controller.SUDO, lambda: files.remove(controller.SUDO))
    if has_account(controller.ACCOUNT):
        told.take("accounts", "account " + controller.ACCOUNT, ran("userdel", "--force", controller.ACCOUNT))
    name = files.ACCOUNT
    if not before:
        if has_account(name):
            told.keep("account " + name, "there is no baseline: it is not known whether it was here before")
        return
    if name not in before.get("accounts", ()) and has_account(name):
        told.take("accounts", "account " + name, ran("userdel", name))
    if name not in before.get("groups", ()) and has_group(name):
        told.take("accounts", "group " + name, ran("groupdel", name))


def _files(told: Told, keep: bool) -> None:
    """Folders; last of all those that say whose host this is."""
    if os.path.lexists(files.at(BOOT)):
        told.take("files", BOOT, lambda: files.remove(BOOT))
    if keep and os.path.isdir(files.at(files.MODELS)):
        _all_but_models(told)
    else:
        _folder(STATE, told)
    if not told.dry:
        files.remove(files.LOCK)
    for folder in FOLDERS:
        _folder(folder, told)


def _folder(path: str, told: Told) -> None:
    if os.path.isdir(files.at(path)):
        told.take("folders", path, lambda: shutil.rmtree(files.at(path)))


def _all_but_models(told: Told) -> None:
    """Model files with their sidecars stay; all else of the state goes."""
    for name in sorted(os.listdir(files.at(STATE))):
        path = STATE + "/" + name
        if path == files.MODELS:
            continue
        if os.path.isdir(files.at(path)):
            _folder(path, told)
        else:
            told.take("files", path, lambda path=path: files.remove(path))
