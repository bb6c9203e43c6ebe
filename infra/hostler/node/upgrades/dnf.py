"""dnf: what is newer, what a transaction would do, and the transaction. The same functions as in apt.py.

versionlock is left aside, since it hides what it keeps: what somebody keeps stays, but for NVIDIA's driver where that is
asked for, which is kept again in its next version. Our transactions carry no comment here: a kernel that came by one
stays when `down` takes away what we brought.
"""

from __future__ import annotations

import re
from typing import Dict, List, Sequence, Set, Tuple

from ..base import shell
from ..base.protocol import NodeError
from ..packages import rpm
from .kinds import DRIVER, Step, kind

LISTS_S = 600.0
ASK_S = 300.0
FETCH_S = 3600.0
INSTALL_S = 4 * 3600.0  # it is killed then, so: never, in practice
DNF = ("dnf", "-y", "--setopt=exit_on_lock=True", "--setopt=retries=3", "--disableplugin=versionlock")
QUIET = (*DNF, "--quiet")
FORMAT = "%{name}\\t%{evr}\\t%{arch}"
ABORTED = "Operation aborted"  # its words where --assumeno said no to what it would do
COMES = ("Upgrading:", "Installing:", "Installing dependencies:", "Reinstalling:")
BACK = ("Downgrading:",)
GOES = ("Removing:", "Removing dependent packages:", "Removing unused dependencies:")
REPLACES = re.compile(r"^ +replacing +(\S+?)(?:\.\w+)? ", re.MULTILINE)
ROW = 6  # words: name, architecture, version, repository, size, unit
UNITS = {"k": 1 << 10, "M": 1 << 20, "G": 1 << 30}
ADVISORY = re.compile(r"^\S+\s+\S*Sec\.\s+(\S+)-[^-]+-[^-]+$", re.MULTILINE)
FIX = "security"


def lists() -> List[str]:
    """Fetches what the repositories have. Raises NodeError."""
    result = shell.run((*QUIET, "makecache", "--refresh"), LISTS_S)
    if not result.ok:
        raise failed("dnf makecache", result, "see that the host's repositories answer, then try again")
    return []


def due() -> List[Step]:
    """All that is newer, but for what somebody keeps."""
    holds = set(rpm.holds())
    return [step for step in newer() if step.kind == DRIVER or step.name not in holds]


def newer() -> List[Step]:
    """Fixes are told by the names that advisories of security have."""
    said = _asked((*QUIET, "repoquery", "--upgrades", "--latest-limit=1", "--qf", FORMAT)).stdout
    found = sorted({tuple(line.split("\t")) for line in said.splitlines() if line.count("\t") == 2})
    fixes = set(ADVISORY.findall(_asked((*QUIET, "updateinfo", "list", "--security", "--updates")).stdout))
    here = versions()
    return [Step(row[0], here[row[0]], row[1], _origins(row[0], fixes)) for row in found if row[0] in here]


def _origins(name: str, fixes: Set[str]) -> Tuple[str, ...]:
    return (FIX,) if name in fixes else ()


def versions() -> Dict[str, str]:
    """The newest that is here of each package."""
    found: Dict[str, str] = {}
    for one in rpm.everything():
        epoch = "" if one.epoch in ("", "0", "(none)") else one.epoch + ":"
        found[one.name] = "%s%s-%s" % (epoch, one.version, one.release)
    return found


def tried(names: Sequence[str]) -> List[Step]:
    """What the transaction would do. Raises NodeError where it would remove something, take it back to an older version,
    or move what somebody keeps (the driver not, where that is asked for), or cannot be had."""
    if not names:
        return []
    said = _table(names)
    here = versions()
    fixes = {step.name: step.origins for step in due()}
    found = [Step(row[0], here.get(row[0], ""), row[2], fixes.get(row[0], ())) for row in rows(said, COMES)]
    holds, driver = set(rpm.holds()), any(kind(name) == DRIVER for name in names)
    held = [step.name for step in found if step.name in holds and not (driver and step.kind == DRIVER)]
    for what, which in (
        ("remove %s", [row[0] for row in rows(said, GOES)] + REPLACES.findall(said)),
        ("take %s back to an older version", [row[0] for row in rows(said, BACK)]),
        ("upgrade %s, which versionlock keeps", held),
    ):
        if which:
            why = "dnf would " + what % ", ".join(which)
            raise NodeError("packages", why, "look at it there: `sudo dnf upgrade`")
    return found


def size(names: Sequence[str]) -> int:
    """Bytes to fetch."""
    found = rows(_table(names), COMES) if names else []
    return sum(int(float(row[4]) * UNITS.get(row[5], 1)) for row in found)


def _table(names: Sequence[str]) -> str:
    result = shell.run((*DNF[:1], *DNF[2:], "--assumeno", "upgrade", *names), ASK_S)
    if not result.ok and ABORTED not in result.stdout + result.stderr:
        raise failed("dnf upgrade", result, "look at it there: `sudo dnf upgrade`")
    return result.stdout


def rows(table: str, sections: Sequence[str]) -> List[List[str]]:
    """The rows of these sections; dnf breaks a row where a name is long, and says below a row what it replaces."""
    found: List[List[str]] = []
    words: List[str] = []
    inside = False
    for line in table.splitlines():
        if not line.startswith(" "):
            inside, words = line.strip() in sections, []
            continue
        is_row = inside and " => " not in line and not REPLACES.match(line)
        words += line.split() if is_row else []
        while len(words) >= ROW:
            found.append(words[:ROW])
            words = words[ROW:]
    return found


def kept() -> List[str]:
    """What has a newer version and stays: versionlock keeps it."""
    holds = set(rpm.holds())
    return sorted(step.name for step in newer() if step.name in holds and step.kind != DRIVER)


def fetch(names: Sequence[str]) -> None:
    """Into dnf's own cache, while everything serves. Raises NodeError."""
    result = shell.run((*QUIET, "upgrade", "--downloadonly", *names), FETCH_S)
    if not result.ok:
        raise failed("the download", result, "see that the host's repositories answer, then try again")


def install(names: Sequence[str]) -> None:
    """What versionlock keeps of these, or of the driver with them, is kept in its new version when that is here: until
    then no other update moves it. Raises NodeError."""
    kept = [name for name in rpm.holds() if name in names or kind(name) == DRIVER]
    result = shell.run((*QUIET, "upgrade", *names), INSTALL_S)
    try:
        rpm.hold_anew(kept)
    except OSError as error:
        if result.ok:
            why = "%s: kept in the old version, not in the new one: %s" % (", ".join(kept), error)
            raise NodeError("packages", why, "`sudo dnf versionlock list` there") from error
    if not result.ok:
        raise failed("dnf upgrade", result, "mend it there (`sudo dnf upgrade`)")


def unfinished() -> str:
    """What an earlier transaction left half done; empty: nothing."""
    names = rpm.interrupted()
    return "half installed: " + " ".join(names) if names else ""


def mend() -> str:
    """What to type then."""
    return "sudo dnf reinstall " + " ".join(rpm.interrupted())


def _asked(words: Sequence[str]) -> shell.Result:
    result = shell.run(words, ASK_S)
    if not result.ok:
        raise failed("dnf", result, "look at it there: `sudo dnf check-update`")
    return result


def failed(what: str, result: shell.Result, next_step: str) -> NodeError:
    """In dnf's words."""
    said = (result.stdout + result.stderr).splitlines()
    errors = [line.strip() for line in said if line.startswith("Error") and line.strip() != "Error:"]
    return NodeError(
        "packages",
        "%s: %s" % (what, "; ".join(errors[:2]) or result.why),
        next_step,
        log="\n".join(said[-40:]),
    )
