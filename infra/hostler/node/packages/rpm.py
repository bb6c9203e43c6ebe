"""rpm: which packages are installed, and what dnf's own books say of its transactions.

dnf keeps a history (libdnf's, schema 1.2, of all dnf 4): each transaction with the comment that it was started with,
when it ended, and each package in it. So what we bring is known without a hook, also when dnf was killed.
"""

from __future__ import annotations

import fnmatch
import os
import re
import sqlite3
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Pattern, Tuple

from ..base import files, shell
from . import locks

PLACES = ("/var/lib/rpm", "/usr/lib/sysimage/rpm")
LOCK = "/.rpm.lock"
HISTORY = "/var/lib/dnf/history.sqlite"
COMMENT = "hostler"  # of our transactions
PIDS = ("/var/lib/dnf/rpmdb_lock.pid", "/var/cache/dnf/metadata_lock.pid")
HELD = "/etc/dnf/plugins/versionlock.list"
ADDED = "# Added lock on"  # versionlock's own line above each
FORMAT = "%{NAME}\\t%{EPOCHNUM}\\t%{VERSION}\\t%{RELEASE}\\t%{ARCH}\\n"
# of such dnf keeps several versions side by side: each is a package of its own. Not of kernel-headers or kernel-tools
SEVERAL = re.compile(r"kernel(-(debug|rt|64k|uek))*(-(core|devel|modules|uki)(-[a-z]+)*)?")
WITH_VERSION = re.compile(r"(kernel[\w-]*?)-\d[^-]*-[^-]+\.\w+")
KEY = "gpg-pubkey"  # a key that rpm trusts, listed as a package
INSTALL, UPGRADE, DONE = 1, 6, 1  # libdnf: kinds of a step, and a state
QUERY_S = 60.0


class Installed(NamedTuple):
    name: str
    epoch: str
    version: str
    release: str
    arch: str

    @property
    def full(self) -> str:
        return "%s-%s-%s.%s" % (self.name, self.version, self.release, self.arch)

    @property
    def identity(self) -> str:
        """What it is called where packages are listed; dnf and rpm understand both forms."""
        return self.full if SEVERAL.fullmatch(self.name) else self.name


def known_as(name: str) -> str:
    """A name that was kept, as `identity` says it: older agents kept all of the kernel's packages with their version."""
    found = WITH_VERSION.fullmatch(name)
    return found.group(1) if found and not SEVERAL.fullmatch(found.group(1)) else name


def is_here() -> bool:
    return any(os.path.isdir(files.at(path)) for path in PLACES)


def everything() -> List[Installed]:
    """All packages and trusted keys. Raises OSError when rpm does not answer."""
    result = shell.run(("rpm", "-qa", "--nodigest", "--nosignature", "--qf", FORMAT), QUERY_S)
    if not result.ok:
        raise OSError("rpm: " + result.why)
    rows = (line.split("\t") for line in result.stdout.splitlines())
    return [Installed(*row) for row in rows if len(row) == 5]


def look(wanted: Iterable[str]) -> Optional[Dict[str, Any]]:
    """As dpkg's: name -> {"version", "hold", "state"}, or None. A name may be that of one version, as `full` is."""
    found: Dict[str, Any] = dict.fromkeys(wanted)
    held, half_done = holds(), set(interrupted())
    for one in everything():
        for name in {one.name, one.full} & set(found):
            found[name] = {
                "version": "%s:%s-%s" % one[1:4],
                "hold": one.name in held,
                "state": "half" if one.identity in half_done else "installed",
            }
    return found


def listed() -> List[str]:
    return sorted({one.identity for one in everything() if one.name != KEY})


def trusted() -> List[str]:
    """Keys that rpm trusts, by their names as packages."""
    return sorted(
        "%s-%s-%s" % (one.name, one.version, one.release) for one in everything() if one.name == KEY
    )


def half(pattern: Pattern[str]) -> List[str]:
    return sorted({name for name in interrupted() if pattern.search(name)})


def owns(path: str, pattern: Pattern[str]) -> bool:  # noqa: ARG001 - as dpkg's, which has no index of files
    """Whether a package has the file."""
    result = shell.run(("rpm", "-qf", "--nodigest", "--nosignature", path))
    return result.ok or "not owned" not in result.stdout + result.stderr


def trouble() -> str:
    """Why the package manager cannot be used now; empty when it can."""
    holder = _busy()
    if holder:
        return "%s holds dnf's lock" % locks.named(holder)
    names = " ".join(interrupted())
    return "dnf was interrupted: `dnf reinstall %s`" % names if names else ""


def _busy() -> int:
    for place in PLACES:
        process = locks.holder(place + LOCK)
        if process:
            return process
    for path in PIDS:
        process = int(files.read_text(path).strip() or 0) if files.read_text(path).strip().isdigit() else 0
        if process and os.path.isdir(files.at("/proc/%d" % process)):
            return process
    return 0


# dnf's history


def _asked(query: str, *values: Any) -> List[Tuple[Any, ...]]:
    """Rows of the history; none where there is none, or it may not be read."""
    if not os.path.exists(files.at(HISTORY)):
        return []
    try:
        history = sqlite3.connect("file:%s?mode=ro" % files.at(HISTORY), timeout=10.0, uri=True)
        try:
            return history.execute(query, values).fetchall()
        finally:
            history.close()
    except sqlite3.Error:
        return []


def last() -> int:
    """The number of the newest transaction; 0 before the first."""
    return int((_asked("SELECT coalesce(max(id), 0) FROM trans") or [(0,)])[0][0])


def brought(since: int) -> List[str]:
    """Packages that our transactions after that one installed, or were to install when dnf was killed."""
    rows = _asked(
        "SELECT r.name, r.epoch, r.version, r.release, r.arch FROM trans t JOIN trans_item i ON i.trans_id = t.id"
        " JOIN rpm r ON r.item_id = i.item_id WHERE t.id > ? AND t.comment = ? AND i.action = ?",
        since, COMMENT, INSTALL,
    )  # fmt: skip
    return sorted({Installed(*map(str, row)).identity for row in rows})


def interrupted() -> List[str]:
    """Packages of the newest transaction, when it was killed; none while it runs. dnf writes down what is done of it at
    its end only, and `dnf history redo` leaves what is there as it is: each of them may be half done."""
    if _busy():
        return []
    rows = _asked(
        "SELECT r.name, r.epoch, r.version, r.release, r.arch FROM trans t JOIN trans_item i ON i.trans_id = t.id"
        " JOIN rpm r ON r.item_id = i.item_id WHERE t.id = (SELECT max(id) FROM trans) AND t.state != ?"
        " AND coalesce(t.dt_end, 0) = 0 AND i.action IN (?, ?)",
        DONE, INSTALL, UPGRADE,
    )  # fmt: skip
    return sorted({Installed(*map(str, row)).identity for row in rows})


def broken(wanted: Iterable[str]) -> List[str]:
    """What is to be installed anew: all that is here of a transaction of ours that was killed, of another's what is
    wanted."""
    found = set(interrupted())
    ours = _asked("SELECT comment FROM trans ORDER BY id DESC LIMIT 1") == [(COMMENT,)]
    return sorted(found & set(listed()) if ours else found & set(wanted))


# versionlock


def holds() -> List[str]:
    """Names that versionlock keeps: name-epoch:version-release.*"""
    lines = (line.strip() for line in files.read_text(HELD).splitlines())
    return [line.rsplit("-", 2)[0] for line in lines if line and line[0] not in "#!"]


def hold_anew(names: Iterable[str]) -> List[str]:
    """What versionlock keeps of these is kept in the version that is here now; which were not yet. In one write: a kill
    leaves the old lock or the new one. Raises OSError."""
    wanted, moved = set(names), list[str]()
    here = {one.name: one for one in everything() if one.name in wanted}
    lines = files.read_text(HELD).splitlines()
    for place, line in enumerate(map(str.strip, lines)):
        one = here.get(line.rsplit("-", 2)[0])
        if one is None or line.startswith(("#", "!")):
            continue
        known = "%s-%s:%s-%s" % one[:4]
        if not fnmatch.fnmatchcase("%s.%s" % (known, one.arch), line):
            lines[place] = known + ".*"
            moved.append(one.name)
    if moved:
        files.write(HELD, "".join(line + "\n" for line in lines).encode())
    return moved


def unhold(names: Iterable[str]) -> List[str]:
    """Takes these out of versionlock's list, with the line that it wrote above them; says which there were."""
    gone, kept = list[str](), list[str]()
    wanted = set(names)
    for line in files.read_text(HELD).splitlines():
        name = line.strip().rsplit("-", 2)[0]
        if name not in wanted or line.startswith(("#", "!")):
            kept.append(line)
            continue
        gone.append(name)
        if kept and kept[-1].startswith(ADDED):
            kept.pop()
            if kept and not kept[-1].strip():
                kept.pop()
    if gone:
        files.write(HELD, "".join(line + "\n" for line in kept).encode())
    return gone
