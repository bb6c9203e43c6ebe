"""What a host was before the first contact: made once, before anything else; `down` puts it back.

baseline {} -> {"changed": bool, "baseline": {...}}
  packages, holds, automatic: names; accounts, groups: names; daemon_json: text or null;
  apt: {path: sha256}, of dnf as well; keys: those that rpm trusts; history: dnf's newest transaction; services: {name: {"enabled", "active"} | null}; sysctl: {key: value}; paths: those that exist; empty: folders among them
"""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List

from ..base import files, units
from ..base.protocol import Answers, Request, as_dict
from ..packages import packages, rpm
from ..probe import paths

SCHEMA = 1
DAEMON_JSON = "/etc/docker/daemon.json"
APT = (
    "/etc/apt/sources.list.d", "/etc/apt/keyrings", "/etc/apt/trusted.gpg.d", "/etc/apt/preferences.d",
    "/etc/apt/apt.conf.d", "/usr/share/keyrings", "/etc/yum.repos.d", "/etc/pki/rpm-gpg", "/etc/dnf/modules.d",
)  # fmt: skip
SERVICES = (
    "docker.service", "docker.socket", "containerd.service", "nvidia-persistenced.service", "nvidia-cdi-refresh.path",
    "nvidia-cdi-refresh.service",
)  # fmt: skip
SYSCTL = (
    "net.ipv4.ip_forward", "net.ipv4.ip_unprivileged_port_start", "net.core.somaxconn", "net.ipv4.ip_local_port_range",
    "net.bridge.bridge-nf-call-iptables", "vm.max_map_count", "vm.swappiness", "fs.file-max", "fs.inotify.max_user_instances",
)  # fmt: skip
PATHS = (
    "/etc/docker", "/var/lib/docker", "/var/lib/containerd", "/etc/containerd", "/opt/containerd", "/etc/cdi", "/var/run/cdi",
    "/etc/nvidia-container-runtime", "/usr/local/lib/hostler", "/etc/apt/keyrings", "/etc/systemd/system/docker.service.d",
    "/etc/cni", "/opt/cni",
)  # fmt: skip
EXTENDED = "/var/lib/apt/extended_states"


def baseline(request: Request, answers: Answers) -> int:  # noqa: ARG001 - every command's signature
    changed = make_once()
    answers.say(changed=changed, baseline=files.read_json(files.BASELINE))
    return 0


def make_once() -> bool:
    """Whether it was made now. One that is there is never replaced."""
    if files.read(files.BASELINE) is not None:
        return False
    files.write_json(files.BASELINE, take(), 0o600)
    return True


def take() -> Dict[str, Any]:
    installed = packages.listed()
    states = packages.look(installed) or {}
    daemon = files.read(DAEMON_JSON)
    return {
        "schema": SCHEMA,
        "made": round(time.time(), 1),
        "packages": installed,
        "holds": [name for name in installed if states.get(name) and states[name]["hold"]],
        "automatic": automatic(files.read_text(EXTENDED)),
        "accounts": first_fields("/etc/passwd"),
        "groups": first_fields("/etc/group"),
        "daemon_json": None if daemon is None else daemon.decode("utf-8", "replace"),
        "apt": {path: files.sha256_of(path) for path in apt_files()},
        **(({"keys": rpm.trusted(), "history": rpm.last()}) if packages.manager() is rpm else {}),
        "services": {name: known(state) for name, state in units.states(SERVICES).items()},
        "sysctl": {key: value for key, value in ((key, sysctl(key)) for key in SYSCTL) if value},
        "empty": [path for path in PATHS if is_empty(path)],
        "paths": [path for path in PATHS if os.path.lexists(files.at(path))],
    }


def is_empty(path: str) -> bool:
    """A folder with nothing in it: a mount point for what is to come."""
    try:
        return os.listdir(files.at(path)) == []
    except OSError:
        return False


def known(state: Any) -> Any:
    found = as_dict(state)
    return {key: found[key] for key in ("enabled", "active")} if found else None


def apt_files() -> List[str]:
    found = [path for folder in APT for path in paths.below(folder)]
    main = "/etc/apt/sources.list"
    return [path for path in (main, *found) if os.path.isfile(files.at(path))]


def automatic(text: str) -> List[str]:
    """Packages that apt installed for others' sake."""
    blocks = [block.splitlines() for block in text.split("\n\n")]
    marked = [block for block in blocks if "Auto-Installed: 1" in block]
    return sorted({line[9:].strip() for block in marked for line in block if line.startswith("Package: ")})


def first_fields(path: str) -> List[str]:
    return [line.split(":", 1)[0] for line in files.read_text(path).splitlines() if line]


def sysctl(key: str) -> str:
    return " ".join(files.read_text("/proc/sys/" + key.replace(".", "/")).split())
