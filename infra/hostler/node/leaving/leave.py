"""Putting back what a host was: Docker and its daemon.json, sources, services, kernel settings.

Only what we brought goes, and only where nobody else uses it by now; what somebody changed since stays theirs.
"""

from __future__ import annotations

import glob
import os
import shutil
from typing import Any, Dict, List, Tuple

from ..base import files, shell
from ..base.accounts import ran
from ..base.protocol import as_dict
from ..base.told import Told
from ..docker import tenants
from ..packages import installed
from . import leave_docker, leave_packages
from .leave_docker import ENGINE

Json = Dict[str, Any]
SOURCES = (
    "/etc/apt/sources.list.d",
    "/etc/apt/keyrings",
    "/usr/share/keyrings",
    "/etc/apt/preferences.d",
    "/etc/apt/apt.conf.d",
    "/etc/modprobe.d",
    "/etc/needrestart/conf.d",
    "/etc/yum.repos.d",
    "/etc/pki/rpm-gpg",
)
WANTS = "/etc/systemd/system/*.wants"
FORWARDING = ("net.ipv4.ip_forward", "net.bridge.")  # containers of others need it
INITRAMFS = (("update-initramfs", "-u"), ("dracut", "--force"))  # the first that is there


def as_found(before: Json, told: Told) -> None:
    """Everything that is not ours alone. Without a baseline nothing of it is touched."""
    if not before:
        if installed.brought():
            told.stays("packages and settings", "there is no baseline: it is not known what was here before")
        return
    was_here = any(name in before.get("packages", ()) for name in ENGINE)
    engine_stays = "it was here before" if was_here else tenants.why_stays()
    told.step(leave_docker.DAEMON, lambda: leave_docker.daemon_json(before, told))
    told.step("packages", lambda: leave_packages.packages_as_found(before, told, engine_stays))
    told.step("Docker's folders", lambda: leave_docker.folders(before, told, engine_stays))
    told.step("trusted keys", lambda: leave_packages.trust_as_found(before, told))
    told.step("package sources", lambda: _sources(told))
    told.step("services", lambda: _services(before, told))
    told.step("kernel settings", lambda: _sysctl(before, told, engine_stays))


def _sources(told: Told) -> None:
    """Sources, keys and settings that carry our name; the lists are refreshed with what is left."""
    found = [
        folder + "/" + name for folder in SOURCES for name in _names(folder) if name.startswith("hostler")
    ]
    for path in found:
        told.take("files", path, lambda path=path: files.remove(path))
    if any(path.startswith("/etc/modprobe.d/") for path in found):
        told.take("settings", "the same in the initramfs", _initramfs)
    if found and not told.dry:
        leave_packages.refreshed()


def _initramfs() -> None:
    words = next((words for words in INITRAMFS if shutil.which(words[0])), INITRAMFS[0])
    ran(*words, limit_s=leave_packages.LIMIT_S)()


def _names(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(files.at(folder)))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _services(before: Json, told: Told) -> None:
    """Enabled and active as they were, of those that are still there; links to units that went with their packages
    go."""
    gone = [name for name, was in before.get("services", {}).items() if was is None]
    for path in (path for name in gone for path in sorted(glob.glob(files.at(WANTS + "/" + name)))):
        if not os.path.exists(path) and not os.path.exists(files.at(os.readlink(path))):
            told.take("files", path[len(files.root) :], lambda path=path: os.unlink(path))
    for name, was in before.get("services", {}).items():
        for wish, (yes, no), asked in _asked(was):
            state = shell.run(("systemctl", asked, name)).stdout.strip()
            good, bad = ("enabled", "disabled") if asked == "is-enabled" else ("active", "inactive")
            if state in (good, bad) and state != (good if wish else bad):
                verb = yes if wish else no
                told.take("settings", "%s %s" % (verb, name), ran("systemctl", verb, name))


def _asked(was: Any) -> List[Tuple[bool, Tuple[str, str], str]]:
    if was is None:
        return []
    known = as_dict(was)
    enabled, active = bool(known.get("enabled")), known.get("active") == "active"
    return [(enabled, ("enable", "disable"), "is-enabled"), (active, ("start", "stop"), "is-active")]


def _sysctl(before: Json, told: Told, engine_stays: str) -> None:
    for key, value in before.get("sysctl", {}).items():
        path = "/proc/sys/" + key.replace(".", "/")
        now = " ".join(files.read_text(path).split())
        if not now or now == value:
            continue
        if engine_stays and key.startswith(FORWARDING):
            told.keep(key, engine_stays)
        else:
            told.take("settings", key, lambda path=path, value=value: _set(path, str(value)))


def _set(path: str, value: str) -> None:
    with open(files.at(path), "w", encoding="ascii") as file:
        file.write(value)
