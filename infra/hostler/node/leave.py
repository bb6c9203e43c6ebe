"""Putting back what a host was: packages, Docker and its daemon.json, sources, services, kernel settings.

Only what we brought goes, and only where nobody else uses it by now; what somebody changed since stays theirs.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any, Dict, List, Tuple

from . import baseline, files, installed, leave_docker, packages, shell, tenants
from .accounts import ran
from .leave_docker import ENGINE
from .protocol import as_dict
from .told import Told

Json = Dict[str, Any]
SOURCES = (
    "/etc/apt/sources.list.d",
    "/etc/apt/keyrings",
    "/usr/share/keyrings",
    "/etc/apt/preferences.d",
    "/etc/apt/apt.conf.d",
    "/etc/modprobe.d",
    "/etc/yum.repos.d",
)
FORWARDING = ("net.ipv4.ip_forward", "net.bridge.")  # containers of others need it
APT_S = 900.0
APT = ("-o", "DPkg::Lock::Timeout=300", "-o", "APT::AutoRemove::RecommendsImportant=false")
LAX = ("-o", "APT::AutoRemove::SuggestsImportant=false")
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


def as_found(before: Json, told: Told) -> None:
    """Everything that is not ours alone. Without a baseline nothing of it is touched."""
    if not before:
        if installed.brought():
            told.stays("packages and settings", "there is no baseline: it is not known what was here before")
        return
    was_here = any(name in before.get("packages", ()) for name in ENGINE)
    engine_stays = "it was here before" if was_here else tenants.why_stays()
    told.step(leave_docker.DAEMON, lambda: leave_docker.daemon_json(before, told))
    told.step("packages", lambda: _packages(before, told, engine_stays))
    told.step("Docker's folders", lambda: leave_docker.folders(before, told, engine_stays))
    told.step("package sources", lambda: _sources(told))
    told.step("services", lambda: _services(before, told))
    told.step("kernel settings", lambda: _sysctl(before, told, engine_stays))


# packages


def _packages(before: Json, told: Told, engine_stays: str) -> None:
    """Those that came through us, were not here before, and that nothing else needs by now."""
    ours = sorted((set(installed.brought()) & set(installed.now())) - set(before.get("packages", ())))
    kept = [name for name in ours if engine_stays and name in ENGINE]
    for name in kept:
        told.keep("package " + name, engine_stays)
    ours = [name for name in ours if name not in kept]
    if not ours:
        return
    if files.read("/var/lib/dpkg/status") is None:
        _dnf(ours, told)
    else:
        _apt(ours, kept, told)


def _apt(ours: List[str], kept: List[str], told: Told) -> None:
    """Only those of them that nothing needs; what the others are for is apt's business from now on."""
    free = free_of(ours, kept)
    for name in ours:
        if name not in free:
            told.keep("package " + name, "another package needs it")
    why = "" if told.dry else _purged(ours, kept, free)
    now = () if told.dry else installed.now()
    for name in free:
        told.stays("package " + name, why) if name in now else told.gone("packages", name)


def _purged(ours: List[str], kept: List[str], free: List[str]) -> str:
    """Purge those; what apt-get said last."""
    shell.run(("apt-mark", "unhold", *ours), 60.0)
    _mark(ours, kept)
    return shell.run(("apt-get", "purge", "-y", *APT, *free), APT_S, env=QUIET).why if free else ""


def _mark(ours: List[str], kept: List[str], *options: str) -> None:
    """Ours as nobody's wish, those that stay as somebody's."""
    shell.run(("apt-mark", *options, "auto", *ours), 60.0)
    if kept:
        shell.run(("apt-mark", *options, "manual", *kept), 60.0)


def free_of(ours: List[str], kept: List[str]) -> List[str]:
    """Which of ours `apt-get autoremove` would take, were they nobody's wish and not held; apt's own marks and holds
    stay as they are."""
    with tempfile.TemporaryDirectory() as folder:
        states, status = os.path.join(folder, "extended_states"), os.path.join(folder, "status")
        with open(states, "wb") as file:
            file.write(files.read(baseline.EXTENDED) or b"")
        with open(status, "wb") as file:
            file.write(
                (files.read(packages.STATUS) or b"").replace(b"\nStatus: hold ok ", b"\nStatus: install ok ")
            )
        option = "Dir::State::extended_states=" + states
        _mark(ours, kept, "-o", option)
        apart = ("-o", option, "-o", "Dir::State::status=" + status, "-o", "Dir::Cache::pkgcache=")
        said = shell.run(("apt-get", "-s", "autoremove", *APT, *LAX, *apart), 120.0).stdout
    lines = [line for line in said.splitlines() if line.startswith(("Remv ", "Purg "))]
    removable = {line.split()[1].partition(":")[0] for line in lines}
    return [name for name in ours if name in removable]


def _dnf(ours: List[str], told: Told) -> None:
    why = ""
    if not told.dry:
        result = shell.run(("dnf", "remove", "-y", "--noautoremove", *ours), APT_S)
        why = "" if result.ok else result.why
    for name in ours:
        told.stays("package " + name, why) if why else told.gone("packages", name)


# the rest


def _sources(told: Told) -> None:
    """Sources, keys and settings that carry our name; the lists are refreshed with what is left."""
    found = [
        folder + "/" + name for folder in SOURCES for name in _names(folder) if name.startswith("hostler")
    ]
    for path in found:
        told.take("files", path, lambda path=path: files.remove(path))
    if any(path.startswith("/etc/modprobe.d/") for path in found):
        told.take("settings", "the same in the initramfs", ran("update-initramfs", "-u", limit_s=APT_S))
    if found and not told.dry and files.read("/var/lib/dpkg/status") is not None:
        shell.run(("apt-get", "update", "-q", *APT), APT_S, env=QUIET)


def _names(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(files.at(folder)))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _services(before: Json, told: Told) -> None:
    """Enabled and active as they were; of those that are still there."""
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
