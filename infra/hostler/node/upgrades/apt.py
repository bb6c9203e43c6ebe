"""apt: what is newer, what a transaction would do, and the transaction. The same functions as in dnf.py.

needrestart, which Ubuntu lets run after each transaction, would restart units of ours that use a library which is new,
and so end their containers: it is told to stay away.
"""

from __future__ import annotations

import re
import time
from typing import Dict, List, Sequence

from ..base import shell
from ..base.protocol import NodeError
from ..packages import dpkg
from .kinds import PACKAGES, SECURITY, Step, kind

LOCK_S = 300
LISTS_S = 600.0
ASK_S = 120.0
FETCH_S = 3600.0
INSTALL_S = 4 * 3600.0  # it is killed then, so: never, in practice
PAUSE = 2.0
ENV = {
    "DEBIAN_FRONTEND": "noninteractive",
    "NEEDRESTART_SUSPEND": "1",
    "APT_LISTCHANGES_FRONTEND": "none",
    "UCF_FORCE_CONFFOLD": "1",
}
APT = ("apt-get", "--quiet", "-oAcquire::Retries=3", "-oDPkg::Lock::Timeout=%d" % LOCK_S)
SIMULATED = ("apt-get", "--quiet", "--simulate", "-oDebug::NoLocking=true")
CHOSEN = ("install", "--yes", "--only-upgrade", "--no-remove", "--no-install-recommends")
KEPT = ("-oDPkg::Options::=--force-confdef", "-oDPkg::Options::=--force-confold")
# Inst libc6 [2.36-9] (2.36-10 Debian:12.5/stable, Debian-Security:12/stable-security [amd64]) []
INST = re.compile(r"Inst (\S+) (?:\[([^\]]*)\] )?\((\S+) (.*?) ?\[\w+\]\)")
# openssl | 3.0.13-0ubuntu3.6 | http://archive.ubuntu.com/ubuntu noble-security/main amd64 Packages
MADISON = re.compile(r"\s*(\S+) \| +(\S+) \| \S+ (\S+?)(?:/\S*)? .*Packages$")
KEPT_BACK = re.compile(r"^The following packages have been kept back:\n((?: .*\n)*)", re.MULTILINE)
ANY = re.compile("")
URI = re.compile(r"'\S+' \S+ (\d+) ")


def lists() -> List[str]:
    """Fetches the lists of packages; what could not be fetched, in apt's words. Raises NodeError."""
    until = time.monotonic() + LOCK_S
    while True:
        result = shell.run((*APT, "update"), LISTS_S, env=ENV)
        if result.ok:
            return [line[3:] for line in result.stderr.splitlines() if line.startswith("W: Failed to fetch")]
        if "Could not get lock" not in result.stderr or time.monotonic() > until:
            raise failed(
                "apt-get update", result, "see that the host's package sources answer, then try again"
            )
        time.sleep(PAUSE)


def due() -> List[Step]:
    """All that is newer and can be had without removing anything."""
    return with_fixes(steps(_asked((*SIMULATED, "upgrade", "--with-new-pkgs")).stdout))


def tried(names: Sequence[str]) -> List[Step]:
    """What the transaction would do. Raises NodeError where it would remove something, or cannot be had."""
    return with_fixes(steps(_asked((*SIMULATED, *CHOSEN, *names)).stdout)) if names else []


def kept() -> List[str]:
    """What has a newer version and stays: somebody holds it, or apt would have to remove something for it."""
    said = _asked((*SIMULATED, "upgrade", "--with-new-pkgs")).stdout
    found = KEPT_BACK.search(said)
    return found.group(1).split() if found else []


def size(names: Sequence[str]) -> int:
    """Bytes to fetch."""
    if not names:
        return 0
    said = _asked(("apt-get", "--quiet", "--print-uris", "-oDebug::NoLocking=true", *CHOSEN, *names)).stdout
    return sum(int(found.group(1)) for found in map(URI.match, said.splitlines()) if found)


def fetch(names: Sequence[str]) -> None:
    """Into apt's own cache, while everything serves. Raises NodeError."""
    result = shell.run((*APT, *CHOSEN, "--download-only", *names), FETCH_S, env=ENV)
    if not result.ok:
        raise failed("the download", result, "see that the host's package sources answer, then try again")


def install(names: Sequence[str]) -> None:
    """Without questions; settings that were changed stay. What came as another's dependency stays that. Raises
    NodeError."""
    own = set(_asked(("apt-mark", "showauto")).stdout.split()) & set(names)
    result = shell.run((*APT, *KEPT, *CHOSEN, *names), INSTALL_S, env=ENV)
    if own:
        shell.run(("apt-mark", "auto", *sorted(own)), ASK_S)
    if not result.ok:
        raise failed(
            "apt-get install", result, "mend it there (`sudo dpkg --configure -a`, `sudo apt-get -f install`)"
        )


def unfinished() -> str:
    """What an earlier transaction left half done; empty: nothing."""
    names = dpkg.half(ANY)
    return "half installed: " + " ".join(names) if names else ""


def mend() -> str:
    """What to type then."""
    return "sudo dpkg --configure -a"


def steps(said: str) -> List[Step]:
    found = (INST.match(line) for line in said.splitlines())
    return [
        Step(one.group(1), one.group(2) or "", one.group(3), tuple(one.group(4).split(", "))) for one in found if one
    ]  # fmt: skip


def with_fixes(found: Sequence[Step]) -> List[Step]:
    """With the origin of fixes below the newest version: Ubuntu's -updates hides that -security has one, too. One question
    for all of them; where apt-cache does not answer, as they were."""
    plain = {_bare(step.name): step for step in found if step.now and step.kind == PACKAGES}
    if not plain:
        return list(found)
    fixed: Dict[str, str] = {}
    for line in shell.run(("apt-cache", "madison", *plain), ASK_S).stdout.splitlines():
        row = MADISON.match(line)
        if row is None or kind("", [row.group(3)]) != SECURITY or _bare(row.group(1)) not in plain:
            continue
        step, version = plain[_bare(row.group(1))], row.group(2)
        if is_newer(version, step.now) and not is_newer(version, step.then):
            fixed[step.name] = row.group(3)
    return [
        step._replace(origins=(*step.origins, fixed[step.name])) if step.name in fixed else step
        for step in found
    ]


def is_newer(version: str, than: str) -> bool:
    """By dpkg's own order."""
    return version != than and shell.run(("dpkg", "--compare-versions", version, "gt", than), ASK_S).ok


def _bare(name: str) -> str:
    """Without its architecture."""
    return name.partition(":")[0]


def _asked(words: Sequence[str]) -> shell.Result:
    result = shell.run(words, ASK_S, env=ENV)
    if not result.ok:
        raise failed(" ".join(words[:1]), result, "look at it there: `sudo apt-get --simulate dist-upgrade`")
    return result


def failed(what: str, result: shell.Result, next_step: str) -> NodeError:
    """In the package manager's words: its errors, and its last lines below."""
    said = (result.stdout + result.stderr).splitlines()
    errors = [line for line in said if line.startswith(("E: ", "dpkg: error"))]
    why = "; ".join(line.strip() for line in errors[:2]) or result.why
    return NodeError("packages", "%s: %s" % (what, why), next_step, log="\n".join(said[-40:]))
