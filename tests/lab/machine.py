"""What this machine must be and have to host a lab."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .cache import home, locked
from .cgroups import FS, unified
from .shell import LabError

POLICY = Path("/usr/sbin/policy-rc.d")
# program -> the Debian package that has it
PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "apt-ftparchive": "apt-utils",
    "dpkg-deb": "dpkg",
    "gpg": "gnupg",
    "ip": "iproute2",
    "nft": "nftables",
    "iptables": "iptables",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "openssl": "openssl",
    "mkfs.ext4": "e2fsprogs",
    "fsfreeze": "util-linux",
    "nsenter": "util-linux",
    "curl": "curl",
}
BROWSER = {"chromium": "chromium", "chromedriver": "chromium-driver"}  # the status page's tests alone need it


def _missing(programs: dict[str, str] = PROGRAMS) -> list[str]:
    return sorted({package for program, package in programs.items() if not shutil.which(program)})


def install(programs: dict[str, str] = PROGRAMS) -> None:
    """Installs what is missing, and nothing else; without recommended packages."""
    with locked("apt"):
        packages = _missing(programs)
        if not packages:
            return
        if not shutil.which("apt-get"):
            raise LabError(f"please install: {', '.join(packages)} (this machine has no apt-get)")
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        print(f"lab: installing {' '.join(packages)}", flush=True)
        with _no_services():
            for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
                done = subprocess.run(
                    ["apt-get", *words], env=env, capture_output=True, text=True, check=False
                )
                if done.returncode:
                    raise LabError(f"apt-get {words[0]}: {done.stderr.strip()[-500:]}")


@contextmanager
def _no_services() -> Iterator[None]:
    """Packages start none of theirs on this machine (Debian's policy-rc.d): tests start an sshd of their own."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def _has_capability(bit: int) -> bool:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("CapEff"))
    return bool(int(line.split()[1], 16) >> bit & 1)


def room(gib: int) -> bool:
    """Whether so much is free where built things and hosts lie."""
    return shutil.disk_usage(home()).free > gib << 30


def _overlay() -> bool:
    return "overlay" in Path("/proc/filesystems").read_text() or shutil.which("modprobe") is not None


CHECKS: tuple[tuple[Callable[[], bool], str], ...] = (
    (
        lambda: os.uname().sysname == "Linux",
        "hosts are made of Linux namespaces: run it on Linux, or in a Linux VM",
    ),
    (lambda: os.uname().machine == "x86_64", "images and packages are amd64 only"),
    (lambda: os.geteuid() == 0, "it needs root: sudo -E"),
    (
        lambda: _has_capability(21),
        "root has no CAP_SYS_ADMIN here (a container?): mounts and namespaces are refused",
    ),
    (lambda: _has_capability(12), "root has no CAP_NET_ADMIN here (a container?): bridges are refused"),
    (lambda: Path("/dev/loop-control").exists(), "no /dev/loop-control: hosts' disks are loop devices"),
    (_overlay, "the kernel has no overlay file system"),
    (lambda: unified() or (FS / "systemd").is_dir(), "no control groups under /sys/fs/cgroup"),
    (lambda: bool(shutil.which("apt-get")) or not _missing(), "no apt-get, and some programs are missing"),
    (
        lambda: bool(shutil.which("go")),
        "go is missing: the stub engine and the stand-in nvidia-smi are built with it",
    ),
    (lambda: room(6), "less than 6 GiB free for the cache"),
)


def trouble() -> str:
    """Why this machine cannot host a lab, in one line, or nothing."""
    return next((why for good, why in CHECKS if not good()), "")


def require() -> None:
    why = trouble()
    if why:
        raise LabError(f"this machine cannot host a lab: {why}")
