"""Putting back what a host was: packages, Docker and its daemon.json, sources, services, kernel settings.

Only what we brought goes, and only where nobody else uses it by now; what somebody changed since stays theirs.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import Any, Dict, List, Tuple

from . import docker, files, installed, shell
from .protocol import as_dict
from .told import Told

Json = Dict[str, Any]
DAEMON = "/etc/docker/daemon.json"
OUR_KEYS: Json = {"live-restore": True}
OUR_RUNTIME = "nvidia"
ENGINE = (
    "docker.io",
    "docker-ce",
    "moby-engine",
    "containerd",
    "containerd.io",
    "runc",
    "docker-ce-cli",
    "docker-cli",
)
ENGINE_FOLDERS = (
    "/var/lib/docker",
    "/var/lib/containerd",
    "/etc/docker",
    "/etc/containerd",
    "/etc/cni",
    "/opt/cni",
)
OTHER_FOLDERS = ("/etc/cdi", "/etc/nvidia-container-runtime")
SOURCES = (
    "/etc/apt/sources.list.d",
    "/etc/apt/keyrings",
    "/usr/share/keyrings",
    "/etc/apt/preferences.d",
    "/etc/yum.repos.d",
)
APT_S = 900.0
APT = ("-o", "DPkg::Lock::Timeout=300", "-o", "APT::AutoRemove::RecommendsImportant=false")
LAX = ("-o", "APT::AutoRemove::SuggestsImportant=false")
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


def as_found(before: Json, told: Told) -> None:
    """Everything that is not ours alone. Without a baseline nothing of it is touched."""
    if not before:
        told.stays("packages and settings", "there is no baseline: it is not known what was here before")
        return
    engine_stays = _engine_stays(before)
    told.step(DAEMON, lambda: _daemon_json(before, told))
    told.step("packages", lambda: _packages(before, told, engine_stays))
    told.step("Docker's folders", lambda: _engine_folders(before, told, engine_stays))
    told.step("package sources", lambda: _sources(told))
    told.step("services", lambda: _services(before, told))
    told.step("kernel settings", lambda: _sysctl(before, told))


def has_account(name: str) -> bool:
    return shell.run(("getent", "passwd", name)).ok


def has_group(name: str) -> bool:
    return shell.run(("getent", "group", name)).ok


# Docker


def _engine_stays(before: Json) -> str:
    """Why the container engine stays; empty: it may go."""
    if any(name in before.get("packages", ()) for name in ENGINE):
        return "it was here before"
    try:
        others = docker.containers()
    except (OSError, docker.DockerError):
        return ""
    names = ", ".join(container["Names"][0].lstrip("/") for container in others)
    return "other containers are here: %s" % names if others else ""


def _daemon_json(before: Json, told: Told) -> None:
    """As it was when nobody else changed it; else only our keys go."""
    current = files.read(DAEMON)
    old = before.get("daemon_json")
    if current is None or current.decode("utf-8", "replace") == old:
        return
    values: Json = json.loads(current)
    was: Json = json.loads(old) if old else {}
    rest = without_ours(values, was)
    if rest == was:
        _write_back(old)
    elif rest != values:
        files.write_json(DAEMON, rest)
    else:
        return
    told.gone("our keys in " + DAEMON)
    shell.run(("systemctl", "reload", "docker.service"))


def without_ours(values: Json, was: Json) -> Json:
    """The document with each of our keys as it was before, where it still says what we wrote."""
    rest = {key: value for key, value in values.items() if OUR_KEYS.get(key, _NOTHING) != value}
    rest.update({key: was[key] for key in OUR_KEYS if key in was})
    runtimes = {key: value for key, value in values.get("runtimes", {}).items() if key != OUR_RUNTIME}
    runtimes.update({key: value for key, value in was.get("runtimes", {}).items() if key == OUR_RUNTIME})
    if "runtimes" in values:
        rest = {**rest, "runtimes": runtimes} if runtimes or "runtimes" in was else _less(rest, "runtimes")
    return rest


_NOTHING = object()


def _less(values: Json, key: str) -> Json:
    return {name: value for name, value in values.items() if name != key}


def _write_back(old: Any) -> None:
    if old is None:
        files.remove(DAEMON)
    else:
        files.write(DAEMON, str(old).encode())


def _engine_folders(before: Json, told: Told, engine_stays: str) -> None:
    """Folders that came with packages that are gone now."""
    there = set(before.get("paths", ()))
    gone = set(installed.now())
    engine_is_here = any(name in gone for name in ENGINE)
    folders = OTHER_FOLDERS if engine_stays or engine_is_here else (*ENGINE_FOLDERS, *OTHER_FOLDERS)
    for path in folders:
        if path not in there and os.path.isdir(files.at(path)):
            shutil.rmtree(files.at(path))
            told.gone(path)
    if not engine_stays and not engine_is_here:
        _network_of_docker(before, told)


def _network_of_docker(before: Json, told: Told) -> None:
    """The bridge, the firewall chains and the group that Docker leaves behind."""
    if (
        os.path.isdir(files.at("/sys/class/net/docker0"))
        and shell.run(("ip", "link", "delete", "docker0")).ok
    ):
        told.gone("interface docker0")
    for program in ("iptables", "ip6tables"):
        _chains(program)
    if (
        "docker" not in before.get("groups", ())
        and has_group("docker")
        and shell.run(("groupdel", "docker")).ok
    ):
        told.gone("group docker")


def _chains(program: str) -> None:
    saved = shell.run((program + "-save",))
    if saved.ok and "DOCKER" in saved.stdout:
        shell.run((program + "-restore",), stdin=without_docker(saved.stdout).encode())


def without_docker(saved: str) -> str:
    """iptables-save's text without Docker's chains and rules."""
    lines = (line for line in saved.splitlines() if "DOCKER" not in line and "docker0" not in line)
    return "\n".join(lines) + "\n"


# packages


def _packages(before: Json, told: Told, engine_stays: str) -> None:
    """Those that came through us, were not here before, and that nothing else needs by now."""
    ours = sorted((set(installed.brought()) & set(installed.now())) - set(before.get("packages", ())))
    kept = [name for name in ours if engine_stays and name in ENGINE]
    for name in kept:
        told.stays("package " + name, engine_stays)
    ours = [name for name in ours if name not in kept]
    if not ours:
        return
    if files.read("/var/lib/dpkg/status") is None:
        _dnf(ours, told)
        return
    _apt(ours, kept, told)


def _apt(ours: List[str], kept: List[str], told: Told) -> None:
    """Marked as nobody's wish, then apt itself says which of them nothing needs; only those go."""
    shell.run(("apt-mark", "unhold", *ours), 60.0)
    shell.run(("apt-mark", "auto", *ours), 60.0)
    if kept:
        shell.run(("apt-mark", "manual", *kept), 60.0)
    free = [name for name in removable() if name in ours]
    result = shell.run(("apt-get", "purge", "-y", *APT, *free), APT_S, env=QUIET) if free else None
    now = set(installed.now())
    for name in ours:
        if name not in now:
            told.gone("package " + name)
        elif result is not None and not result.ok and name in free:
            told.stays("package " + name, result.why)
        else:
            told.stays("package " + name, "another package needs it")


def removable() -> List[str]:
    """What `apt-get autoremove` would take now."""
    said = shell.run(("apt-get", "-s", "autoremove", *APT, *LAX), 120.0).stdout
    return [
        line.split()[1].partition(":")[0] for line in said.splitlines() if line.startswith(("Remv ", "Purg "))
    ]


def _dnf(ours: List[str], told: Told) -> None:
    result = shell.run(("dnf", "remove", "-y", "--noautoremove", *ours), APT_S)
    for name in ours:
        told.gone("package " + name) if result.ok else told.stays("package " + name, result.why)


# the rest


def _sources(told: Told) -> None:
    """Sources and keys that carry our name; the lists are refreshed with what is left."""
    found = [
        folder + "/" + name for folder in SOURCES for name in _names(folder) if name.startswith("hostler")
    ]
    for path in found:
        files.remove(path)
        told.gone(path)
    if found and files.read("/var/lib/dpkg/status") is not None:
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
                shell.run(("systemctl", yes if wish else no, name), 120.0)
                told.gone("our state of service " + name)


def _asked(was: Any) -> List[Tuple[bool, Tuple[str, str], str]]:
    if was is None:
        return []
    known = as_dict(was)
    enabled, active = bool(known.get("enabled")), known.get("active") == "active"
    return [(enabled, ("enable", "disable"), "is-enabled"), (active, ("start", "stop"), "is-active")]


def _sysctl(before: Json, told: Told) -> None:
    for key, value in before.get("sysctl", {}).items():
        path = "/proc/sys/" + key.replace(".", "/")
        now = " ".join(files.read_text(path).split())
        if now and now != value:
            with open(files.at(path), "w", encoding="ascii") as file:
                file.write(str(value))
            told.gone("our value of " + key)
