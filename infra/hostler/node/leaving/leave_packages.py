"""Putting the packages of a host back: those that came through us go, and the marks and keys that came with them.

What somebody else's package needs by now stays, whoever brought it.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import tempfile
from typing import Any, Dict, List, Set

from ..base import files, shell
from ..base.told import Told
from ..owning import baseline
from ..packages import dpkg, installed, packages, pgpkey, rpm
from .leave_docker import ENGINE

Json = Dict[str, Any]
LIMIT_S = 900.0
APT = ("-o", "DPkg::Lock::Timeout=300", "-o", "APT::AutoRemove::RecommendsImportant=false")
LAX = ("-o", "APT::AutoRemove::SuggestsImportant=false")
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}
DNF = ("dnf", "--quiet", "-y", "--comment=hostler down")
CACHE = "/var/cache/dnf/hostler-*"
MODULES = "/etc/dnf/modules.d"
STREAMS = ("nvidia-driver",)  # modules of which we choose a stream
KEYS = "/etc/pki/rpm-gpg"
NEEDED = re.compile(r"^\s*(.+) is needed by \(installed\) (\S+)$", re.MULTILINE)


def packages_as_found(before: Json, told: Told, engine_stays: str) -> None:
    """Those that came through us, were not here before, and that nothing else needs by now."""
    were = {rpm.known_as(name) for name in before.get("packages", ())}
    ours = sorted((set(installed.brought()) & set(installed.now())) - were)
    kept = [name for name in ours if engine_stays and name in ENGINE]
    for name in kept:
        told.keep("package " + name, engine_stays)
    ours = [name for name in ours if name not in kept]
    if not ours:
        return
    with_rpm = packages.manager() is rpm
    free = free_of_others(ours) if with_rpm else free_of(ours, kept)
    for name in ours:
        if name not in free:
            told.keep("package " + name, "another package needs it")
    why = "" if told.dry else _erased(ours, free) if with_rpm else _purged(ours, kept, free)
    now = () if told.dry else installed.now()
    for name in free:
        told.stays("package " + name, why) if name in now else told.gone("packages", name)


def _purged(ours: List[str], kept: List[str], free: List[str]) -> str:
    """Purge those; what apt-get said last."""
    shell.run(("apt-mark", "unhold", *ours), 60.0)
    _mark(ours, kept)
    return shell.run(("apt-get", "purge", "-y", *APT, *free), LIMIT_S, env=QUIET).why if free else ""


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
                (files.read(dpkg.STATUS) or b"").replace(b"\nStatus: hold ok ", b"\nStatus: install ok ")
            )
        option = "Dir::State::extended_states=" + states
        _mark(ours, kept, "-o", option)
        apart = ("-o", option, "-o", "Dir::State::status=" + status, "-o", "Dir::Cache::pkgcache=")
        said = shell.run(("apt-get", "-s", "autoremove", *APT, *LAX, *apart), 120.0).stdout
    lines = [line for line in said.splitlines() if line.startswith(("Remv ", "Purg "))]
    removable = {line.split()[1].partition(":")[0] for line in lines}
    return [name for name in ours if name in removable]


# dnf


def _erased(ours: List[str], free: List[str]) -> str:
    """Remove those, with the locks of all of ours; what dnf said last."""
    rpm.unhold(ours)
    if not free:
        return ""
    return shell.run((*DNF, "remove", "--noautoremove", *free), LIMIT_S).why


def free_of_others(ours: List[str]) -> List[str]:
    """Which of ours no package of others needs. rpm says who would lack what; what provides that stays, and so on."""
    free = list(ours)
    while free:
        result = shell.run(("rpm", "-e", "--test", *free), 120.0)
        if result.ok:
            return free
        lacking = {need for need, _ in NEEDED.findall(result.stderr + result.stdout)}
        needed = {name for need in lacking for name in _providers(need)}
        kept = [name for name in free if name not in needed]
        free = kept if len(kept) < len(free) else []  # nobody knows who provides it: all stay
    return free


def _providers(need: str) -> Set[str]:
    """Names of the installed packages that provide a capability, of which the version is left out."""
    result = shell.run(("rpm", "-q", "--whatprovides", need.split(" ")[0], "--qf", rpm.FORMAT), 60.0)
    rows = (line.split("\t") for line in result.stdout.splitlines())
    return {rpm.Installed(*row).identity for row in rows if len(row) == 5}


def trust_as_found(before: Json, told: Told) -> None:
    """Keys that rpm trusts because of our repositories, and the streams of modules that we chose."""
    if packages.manager() is not rpm:
        return
    ours = {
        print_[-8:].lower() for path in _own_keys() for print_ in pgpkey.fingerprints(files.read(path) or b"")
    }
    for key in rpm.trusted():
        if key not in before.get("keys", ()) and key.split("-")[2][-8:].lower() in ours:
            told.take("settings", "trusted key " + key, lambda key=key: _untrust(key))
    for name in STREAMS:
        path = "%s/%s.module" % (MODULES, name)
        if path not in before.get("apt", ()) and os.path.lexists(files.at(path)):
            told.take("files", path, lambda path=path: files.remove(path))


def _own_keys() -> List[str]:
    try:
        names = os.listdir(files.at(KEYS))
    except OSError:
        return []
    return ["%s/%s" % (KEYS, name) for name in names if name.startswith("hostler")]


def _untrust(key: str) -> None:
    result = shell.run(("rpm", "-e", "--allmatches", key), 60.0)
    if not result.ok:
        raise OSError("rpm: " + result.why)


def refreshed() -> None:
    """The lists of packages are those of the sources that are left."""
    if packages.manager() is dpkg:
        shell.run(("apt-get", "update", "-q", *APT), LIMIT_S, env=QUIET)
    for path in glob.glob(files.at(CACHE)):
        shutil.rmtree(path, ignore_errors=True)
