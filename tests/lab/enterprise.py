"""The root file system of a host that takes itself for Rocky Linux 9: Debian's programs, with real rpm and dnf and
their own database of what is there; dpkg and apt are gone."""

import json
import shutil
from pathlib import Path

from .cache import HERE, built, digest
from .pki import pki
from .roots import PACKAGES, SLIM, _hashes, _settle, apt_through_cache, base_root, sources  # pyright: ignore[reportPrivateUsage]
from .rpms import BASE, ROCKY, rpm_repositories
from .shell import sh

SUITE = "rocky9"
MORE = "dnf,dnf-plugins-core,rpm,libdevmapper1.02.1,libseccomp2,passwd,kmod"
RELEASE = """NAME="Rocky Linux"
VERSION="9.6 (Blue Onyx)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.6"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Rocky Linux 9.6 (Blue Onyx)"
"""
REPO = f"""[baseos]
name=Rocky Linux 9 - BaseOS
baseurl=https://dl.rockylinux.org/{ROCKY}
enabled=1
gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9
"""
MASKED = (
    "systemd-networkd-wait-online.service",
    "getty@tty1.service",
    "console-getty.service",
    "e2scrub_all.timer",
    "fstrim.timer",
    "systemd-modules-load.service",
)
DEBIANS = ("var/lib/dpkg", "var/lib/apt", "var/cache/apt", "etc/apt", "etc/debian_version")


def _build(path: Path) -> None:
    root, rpms = path / "root", rpm_repositories()
    with apt_through_cache() as options:
        included = f"--include={PACKAGES},{MORE}"
        sh("mmdebstrap", *options, *SLIM, included, "bookworm", root, stdin=sources("bookworm"))
    _settle(root, "bookworm")
    for unit in ("systemd-networkd", "ssh"):
        sh("systemctl", f"--root={root}", "-q", "enable", f"{unit}.service")
    sh("systemctl", f"--root={root}", "-q", "mask", *MASKED)
    shutil.copy(HERE / "guest/lab-init", root / "usr/local/sbin/lab-init")
    _become_rocky(root, rpms)
    (path / "hashes.json").write_text(json.dumps(_hashes(root)))


def _become_rocky(root: Path, rpms: Path) -> None:
    (root / "usr/lib/os-release").write_text(RELEASE)
    (root / "etc/rpm").mkdir(exist_ok=True)
    (root / "etc/rpm/macros").write_text("%_dbpath /var/lib/rpm\n")
    for folder in ("etc/yum.repos.d", "etc/pki/rpm-gpg", "var/lib/rpm"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/yum.repos.d/rocky.repo").write_text(REPO)
    key = "etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9"
    shutil.copy(rpms / "key.asc", root / key)
    sh("chroot", root, "rpm", "--import", "/" + key)
    (root / "base").mkdir()
    for package in BASE:
        shutil.copy(
            rpms / "www" / ROCKY / f"{package.name}-{package.version}-1.el9.x86_64.rpm", root / "base"
        )
    sh("chroot", root, "sh", "-c", "rpm -i /base/*.rpm")
    shutil.rmtree(root / "base")
    for name in DEBIANS:
        place = root / name
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    for program in (*root.glob("usr/bin/dpkg*"), *root.glob("usr/bin/apt*")):
        program.unlink()


def root_of(suite: str) -> Path:
    """The folder with `root` and `hashes.json` of a host's system: Debian's by its suite, or this one."""
    if suite != SUITE:
        return base_root(suite)
    recipe = digest(
        Path(__file__),
        HERE / "roots.py",
        HERE / "guest",
        pki() / "ca.crt",
        pki() / "id_ed25519.pub",
        rpm_repositories().name,
    )
    return built("roots", f"{SUITE}-{recipe}", _build)
