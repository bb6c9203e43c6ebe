"""The shared, read-only root file systems of lab hosts: bare servers without Docker."""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .aptproxy import DEBIAN, SECURITY, AptProxy
from .cache import HERE, built, digest
from .pki import pki
from .shell import LabError, sh

PACKAGES = (
    "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,python3,sudo,curl,ca-certificates,gnupg,"
    "iproute2,iptables,iputils-ping,procps,openssl"
)
SUITES = ("bookworm", "trixie")
SLIM = [f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in ("doc", "man", "locale", "info")]
SSHD = "PermitRootLogin prohibit-password\nPasswordAuthentication no\nUseDNS no\nMaxStartups 100:30:200\n"
# these can only fail, or slow the boot down, in a container
MASKED = [
    "systemd-networkd-wait-online.service",
    "getty@tty1.service",
    "console-getty.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "systemd-modules-load.service",
]
# the mirror of this machine may be frozen: its indexes are past their date then
NO_EXPIRY = 'Acquire::Check-Valid-Until "false";\n'


@contextmanager
def apt_through_cache() -> Iterator[list[str]]:
    """mmdebstrap options for Debian packages through the lab's own cache."""
    proxy = AptProxy(("127.0.0.1", 0))
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield [
            *("--quiet", "--mode=root", "--variant=minbase"),
            f'--aptopt=Acquire::http::Proxy "http://127.0.0.1:{proxy.server_port}"',
            '--aptopt=Acquire::Check-Valid-Until "false"',
            '--customize-hook=rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap',
        ]
    finally:
        proxy.shutdown()
        proxy.server_close()


def sources(suite: str) -> str:
    """What a fresh Debian server has in its sources.list."""
    return (
        f"deb {DEBIAN} {suite} main\ndeb {DEBIAN} {suite}-updates main\n"
        f"deb {SECURITY} {suite}-security main\n"
    )


def _settle(root: Path, suite: str) -> None:
    for key in root.glob("etc/ssh/ssh_host_*"):
        key.unlink()  # made by the package: every host would share them
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    (root / "etc/machine-id").write_text("")
    for name in ("etc/resolv.conf", "etc/hostname"):
        (root / name).unlink(missing_ok=True)
    (root / "etc/apt/sources.list").write_text(sources(suite))
    (root / "etc/apt/apt.conf.d/01lab").write_text(NO_EXPIRY)
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    shutil.copy(pki() / "id_ed25519.pub", root / "root/.ssh/authorized_keys")
    (root / "etc/ssh/sshd_config.d/lab.conf").write_text(SSHD)
    (root / "var/log/journal").mkdir(exist_ok=True)  # a journal that outlives a reboot
    (root / "etc/default/locale").write_text("")  # else pam_env complains at every login
    shutil.copy(pki() / "ca.crt", root / "usr/local/share/ca-certificates/lab.crt")
    sh("chroot", root, "update-ca-certificates")


def _wrap(root: Path) -> None:
    # by diversion, before any runc is installed: the package's own file then lands beside the wrapper
    divert = ("--local", "--rename", "--divert", "/usr/sbin/runc.real", "--add", "/usr/sbin/runc")
    sh("chroot", root, "dpkg-divert", "--quiet", *divert)
    shutil.copy(HERE / "guest/lab-runc", root / "usr/sbin/runc")
    shutil.copy(HERE / "guest/lab-init", root / "usr/local/sbin/lab-init")
    for unit in ("systemd-networkd", "ssh"):
        sh("systemctl", f"--root={root}", "-q", "enable", f"{unit}.service")
    sh("systemctl", f"--root={root}", "-q", "mask", *MASKED)


def _hashes(root: Path) -> dict[str, str]:
    files = (f for f in root.rglob("*") if f.is_file() and not f.is_symlink())
    return {"/" + str(f.relative_to(root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def base_root(suite: str) -> Path:
    """The folder with `root` (the file system) and `hashes.json` of this Debian release."""
    if suite not in SUITES:
        raise LabError(f"no such suite: {suite}; known: {', '.join(SUITES)}")

    def build(path: Path) -> None:
        root = path / "root"
        with apt_through_cache() as options:
            sh("mmdebstrap", *options, *SLIM, f"--include={PACKAGES}", suite, root, stdin=sources(suite))
        _settle(root, suite)
        _wrap(root)
        (path / "hashes.json").write_text(json.dumps(_hashes(root)))

    return built(
        "roots",
        f"{suite}-{digest(Path(__file__), HERE / 'guest', pki() / 'ca.crt', pki() / 'id_ed25519.pub')}",
        build,
    )
