"""What a machine is: system, memory, disk, addresses. Everything here is read from files; nothing is started."""

from __future__ import annotations

import glob
import os
import platform
import re
import shutil
import sys
from typing import Any, Dict, List, Tuple

from ..base import files

VAR = "/var/lib/hostler"


def facts() -> Dict[str, Any]:
    """The part of hosts.types.Facts that needs neither Docker nor a card."""
    release = os_release(files.read_text("/etc/os-release") or files.read_text("/usr/lib/os-release"))
    total, free = disk(VAR)
    uname = os.uname()
    return {
        "machine_id": files.read_text("/etc/machine-id").strip(),
        "hostname": uname.nodename,
        "os_id": release.get("ID", ""),
        "os_version": release.get("VERSION_ID", ""),
        "codename": release.get("VERSION_CODENAME", ""),
        "os_name": release.get("PRETTY_NAME", ""),
        "arch": uname.machine,
        "kernel": uname.release,
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "selinux": selinux(),
        "systemd": systemd_version(),
        "cpus": cpus(),
        "memory": memory(files.read_text("/proc/meminfo")),
        "memory_free": memory(files.read_text("/proc/meminfo"), "MemAvailable"),
        "disk_total": total,
        "disk_free": free,
        "boot_id": files.read_text("/proc/sys/kernel/random/boot_id").strip(),
        "virtualization": virtualization(),
        "addresses": addresses(),
        "ssh_port": ssh_port(),
    }


def ssh_port() -> int:
    """The first `Port` of sshd's configuration, in its own order; what it includes stands at its top."""
    places = sorted(glob.glob(files.at("/etc/ssh/sshd_config.d/*.conf")))
    texts = [files.read_text(path[len(files.root) :]) for path in places] + [
        files.read_text("/etc/ssh/sshd_config")
    ]
    found = re.search(r"^\s*Port\s+(\d+)", "\n".join(texts), re.MULTILINE | re.IGNORECASE)
    return int(found.group(1)) if found else 22


def selinux() -> str:
    """enforcing, permissive, or empty where there is none."""
    found = files.read_text("/sys/fs/selinux/enforce").strip()
    return {"1": "enforcing", "0": "permissive"}.get(found, "")


def os_release(text: str) -> Dict[str, str]:
    """KEY=value lines; values may be quoted."""
    values = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, _, value in values}


def memory(text: str, name: str = "MemTotal") -> int:
    match = re.search(r"^%s:\s+(\d+) kB" % name, text, re.MULTILINE)
    return int(match.group(1)) * 1024 if match else 0


def cpus() -> int:
    return len(os.sched_getaffinity(0))


def disk(path: str) -> Tuple[int, int]:
    """Bytes, all and free, of the file system that `path` is on, or will be on."""
    place: str = files.at(path)
    while not os.path.exists(place) and place != "/":
        place = os.path.dirname(place)
    usage = shutil.disk_usage(place)
    return usage.total, usage.free


def systemd_version() -> str:
    """From the name of its own library; empty where systemd does not run."""
    if not os.path.isdir(files.at("/run/systemd/system")):
        return ""
    for folder in ("/usr/lib/systemd", "/lib/systemd", "/usr/lib64/systemd"):
        for name in _names(folder):
            match = re.match(r"libsystemd-shared-(\d+)", name)
            if match:
                return match.group(1)
    return _multiarch_systemd()


def _multiarch_systemd() -> str:
    for folder in ("/usr/lib/x86_64-linux-gnu/systemd", "/usr/lib/aarch64-linux-gnu/systemd"):
        for name in _names(folder):
            match = re.match(r"libsystemd-shared-(\d+)", name)
            if match:
                return match.group(1)
    return "running"


def virtualization() -> str:
    """What systemd or the firmware says the machine is; empty: bare metal, as far as can be seen."""
    container = files.read_text("/run/systemd/container").strip()
    if container:
        return container
    vendor = files.read_text("/sys/class/dmi/id/sys_vendor").strip()
    known = {
        "QEMU": "kvm",
        "VMware, Inc.": "vmware",
        "Amazon EC2": "amazon",
        "Microsoft Corporation": "microsoft",
        "Xen": "xen",
    }
    if "microsoft" in files.read_text("/proc/sys/kernel/osrelease").lower():
        return "wsl"
    return known.get(vendor, "")


def addresses() -> List[str]:
    """The machine's own addresses, without loopback, link-local and container bridges."""
    trie = files.read_text("/proc/net/fib_trie")
    found = ipv4(trie) + ipv6(files.read_text("/proc/net/if_inet6"))
    return sorted(set(found))


def ipv4(trie: str) -> List[str]:
    """Addresses that stand before `/32 host LOCAL` in fib_trie."""
    found = re.findall(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL", trie)
    return [address for address in found if not address.startswith(("127.", "169.254.", "172.17."))]


def ipv6(text: str) -> List[str]:
    """Global addresses of if_inet6: 32 hexadecimal digits, index, prefix, scope 00, flags, device."""
    rows = [line.split() for line in text.splitlines()]
    return [spell(row[0]) for row in rows if len(row) == 6 and row[3] == "00"]


def spell(digits: str) -> str:
    import ipaddress

    return str(ipaddress.IPv6Address(int(digits, 16)))


def _names(folder: str) -> List[str]:
    try:
        return os.listdir(files.at(folder))
    except OSError:
        return []
