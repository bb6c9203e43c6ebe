"""Putting Docker back: our keys in daemon.json, and what the engine leaves behind when its packages go."""

from __future__ import annotations

import json
import os
import shutil
import stat
from typing import Any, Dict, List

from ..base import files, shell
from ..base.accounts import has_group, ran
from ..base.told import Told
from ..packages import installed

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
    "docker-ce-rootless-extras",
)
ENGINE_FOLDERS = (
    "/var/lib/docker",
    "/var/lib/containerd",
    "/etc/docker",
    "/etc/containerd",
    "/opt/containerd",
    "/etc/cni",
    "/opt/cni",
)
OTHER_FOLDERS = ("/etc/cdi", "/etc/nvidia-container-runtime")
BRIDGE = "/sys/class/net/docker0"


def daemon_json(before: Json, told: Told) -> None:
    """As it was when nobody else changed it; else only our keys go."""
    current = files.read(DAEMON)
    old = before.get("daemon_json")
    if current is None or current.decode("utf-8", "replace") == old:
        return
    values: Json = json.loads(current)
    was: Json = json.loads(old) if old else {}
    rest = without_ours(values, was)
    if rest != was and rest == values:
        return
    name = "daemon.json: " + (", ".join(changed(values, rest)) or "its layout")
    told.take("settings", name, lambda: _put_back(rest, was, old))


def _put_back(rest: Json, was: Json, old: Any) -> None:
    linked = os.path.islink(files.at(DAEMON))
    if rest == was and old is None and not linked:
        files.remove(DAEMON)
    elif rest == was and old is not None:
        _write(str(old).encode())
    else:
        _write(json.dumps(rest, indent=1, sort_keys=True).encode() + b"\n")
    shell.run(("systemctl", "reload", "docker.service"))


def _write(content: bytes) -> None:
    """Where somebody's link points, and with the mode and the owner that the file has."""
    place, root = os.path.realpath(files.at(DAEMON)), os.path.realpath(files.root) if files.root else ""
    found = os.stat(place)
    files.write(place[len(root) :], content, stat.S_IMODE(found.st_mode))
    os.chown(place, found.st_uid, found.st_gid)


def changed(values: Json, rest: Json) -> List[str]:
    """Our keys in which the two documents differ, by their path."""
    keys = [key for key in OUR_KEYS if values.get(key, _NOTHING) != rest.get(key, _NOTHING)]
    runtimes = values.get("runtimes", {}) != rest.get("runtimes", {})
    return keys + (["runtimes." + OUR_RUNTIME] if runtimes else [])


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


def folders(before: Json, told: Told, engine_stays: str) -> None:
    """Folders that came with packages that are gone by now (dry: that would be); what was there and empty is so again."""
    there, empty = set(before.get("paths", ())), set(before.get("empty", ()))
    here = set(installed.now()) - set(told.would["packages"])
    stays = bool(engine_stays) or any(name in here for name in ENGINE)
    for path in OTHER_FOLDERS if stays else (*ENGINE_FOLDERS, *OTHER_FOLDERS):
        if path not in there and os.path.isdir(files.at(path)):
            told.take("folders", path, lambda path=path: shutil.rmtree(files.at(path)))
        elif path in empty and os.path.isdir(files.at(path)):
            for name in sorted(os.listdir(files.at(path))):
                told.take("folders", path + "/" + name, lambda p=path + "/" + name: _remove(files.at(p)))
    if not stays:
        _network(before, told)
    elif engine_stays and "/var/lib/docker" not in there and os.path.isdir(files.at("/var/lib/docker")):
        told.keep("/var/lib/docker", engine_stays)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _network(before: Json, told: Told) -> None:
    """The bridge, the firewall chains and the group that Docker leaves behind."""
    if os.path.isdir(files.at(BRIDGE)):
        told.take("settings", "interface docker0", ran("ip", "link", "delete", "docker0"))
    for program in ("iptables", "ip6tables"):
        _chains(program, told)
    if "docker" not in before.get("groups", ()) and has_group("docker"):
        told.take("accounts", "group docker", ran("groupdel", "docker"))


def _chains(program: str, told: Told) -> None:
    saved = shell.run((program + "-save",))
    if saved.ok and "DOCKER" in saved.stdout:
        rest = without_docker(saved.stdout).encode()
        told.take("settings", "Docker's chains in " + program, ran(program + "-restore", stdin=rest))


def without_docker(saved: str) -> str:
    """iptables-save's text without Docker's chains and rules."""
    lines = (line for line in saved.splitlines() if "DOCKER" not in line and "docker0" not in line)
    return "\n".join(lines) + "\n"
