"""Newer packages than a host has: home-made ones, and Debian's own under a higher version.

They lie behind the mirror's address, http://mirror.lab/newer/, in a flat repository for each host and origin, as far as
apt sees: Debian's, or its security archive's.
"""

import base64
import gzip
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .cache import built, digest, home, labs
from .hosts import Host
from .rpms import Rpm, build_one
from .shell import LabError, sh

ADDRESS = "http://mirror.lab/newer"
SUFFIX = "+lab1"  # of a version that is higher
ORIGINS = {"debian": ("Debian", "stable"), "security": ("Debian-Security", "stable-security")}


@dataclass(frozen=True)
class Made:
    """A home-made package; `postinst` is a shell script's body."""

    name: str
    version: str
    postinst: str = ""
    depends: str = ""
    conflicts: str = ""


def folder(host: Host, origin: str) -> Path:
    """It goes with its lab; aptproxy.py answers from it."""
    return labs() / host.placed.lab / "newer" / host.name / origin


def offer(host: Host, origin: str, packages: Sequence[Made | str]) -> None:
    """The host's package sources have these as well; a name is a package that it has, under a higher version."""
    debs = [made(package) if isinstance(package, Made) else rebuilt(host, package) for package in packages]
    fill(folder(host, origin), origin, debs)
    source = f"deb [trusted=yes] {ADDRESS}/{host.placed.lab}/{host.name}/{origin}/ ./\n"
    path = f"/etc/apt/sources.list.d/newer-{origin}.list"
    host.run(["tee", path], stdin=source)


def fill(place: Path, origin: str, debs: Sequence[Path]) -> None:
    """A folder as a flat repository of these, and no others."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for deb in debs:
        shutil.copy(deb, place / deb.name)
    _lists(place, *ORIGINS[origin])


def install(host: Host, *packages: Made) -> None:
    """On the host, at once: what is upgraded later."""
    for package in packages:
        encoded = base64.encodebytes(made(package).read_bytes()).decode()
        unpack = "base64 -d > /root/made.deb && dpkg -i /root/made.deb && rm /root/made.deb"
        host.run(["sh", "-c", unpack], stdin=encoded)


def version(host: Host, package: str) -> str:
    """What is installed there."""
    return host.run(["dpkg-query", "-W", "-f", "${Version}", package]).stdout


def made(package: Made) -> Path:
    def build(path: Path) -> None:
        tree = path / "tree"
        (tree / "DEBIAN").mkdir(parents=True)
        tree.chmod(0o755)
        more = f"Depends: {package.depends}\n" if package.depends else ""
        more += f"Conflicts: {package.conflicts}\n" if package.conflicts else ""
        (tree / "DEBIAN/control").write_text(
            f"Package: {package.name}\nVersion: {package.version}\nArchitecture: all\nMaintainer: lab <lab@localhost>\n{more}"
            f"Description: stand-in for {package.name} in the test lab\n"
        )
        if package.postinst:
            (tree / "DEBIAN/postinst").write_text(f"#!/bin/sh\n{package.postinst}\n")
            (tree / "DEBIAN/postinst").chmod(0o755)
        _packed(tree, path / f"{package.name}_{package.version}_all.deb")

    folder = built("newer-debs", digest(repr(package)), build)
    return next(folder.glob("*.deb"))


def rebuilt(host: Host, package: str) -> Path:
    """The package that the host has, from the mirror's cache, with a higher version and nothing else changed."""
    there = version(host, package)
    name = f"{package}_{there.rpartition(':')[2]}_amd64.deb"
    source = next((home() / "apt").rglob(name), None)
    if source is None:
        raise LabError(f"{name} never came through the mirror")

    def build(path: Path) -> None:
        tree = path / "tree"
        sh("dpkg-deb", "-R", source, tree)
        control = tree / "DEBIAN/control"
        control.write_text(control.read_text().replace(f"Version: {there}\n", f"Version: {there}{SUFFIX}\n"))
        _packed(tree, path / f"{package}_{there.rpartition(':')[2]}{SUFFIX}_amd64.deb")

    folder = built("newer-debs", digest(f"{package} {there}"), build)
    return next(folder.glob("*.deb"))


def _packed(tree: Path, target: Path) -> None:
    sh("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, target)
    shutil.rmtree(tree)


def _lists(place: Path, label: str, suite: str) -> None:
    def ftparchive(*words: str) -> bytes:
        return subprocess.run(["apt-ftparchive", *words], cwd=place, check=True, capture_output=True).stdout

    listed = ftparchive("packages", ".")
    (place / "Packages").write_bytes(listed)
    (place / "Packages.gz").write_bytes(gzip.compress(listed, mtime=0))
    about = {"Origin": "Debian", "Label": label, "Suite": suite, "Version": "12"}
    options = [
        word for key, value in about.items() for word in ("-o", f"APT::FTPArchive::Release::{key}={value}")
    ]
    (place / "Release").write_bytes(ftparchive(*options, "release", "."))


def fill_rpms(place: Path, packages: Sequence[Rpm], fixes: Sequence[str]) -> None:
    """A folder as a repository of dnf's; `fixes`: names that an advisory of security has."""
    work = place.with_name(f"{place.name}.work")
    place.mkdir(parents=True, exist_ok=True)
    for package in packages:
        build_one(package, place, work, work)
    shutil.rmtree(work)
    sh("createrepo_c", "-q", place)
    listed = "".join(
        f'<package name="{p.name}" version="{p.version}" release="1.el9" epoch="{p.epoch}" arch="x86_64">'
        f"<filename>{p.name}.rpm</filename></package>"
        for p in packages
        if p.name in fixes
    )
    (place / "updateinfo.xml").write_text(
        '<?xml version="1.0"?><updates><update from="lab" status="stable" type="security" version="1"><id>LAB-1</id>'
        '<title>fixes</title><severity>Important</severity><issued date="2026-11-01 00:00:00"/><pkglist>'
        f'<collection short="lab"><name>lab</name>{listed}</collection></pkglist></update></updates>'
    )
    sh("modifyrepo_c", place / "updateinfo.xml", place / "repodata")
