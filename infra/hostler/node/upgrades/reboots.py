"""Whether a host waits for a reboot, and the reboot."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Iterable, List, Tuple

from ..base import clock, files, shell
from ..base.protocol import Answers, NodeError, Request
from ..cards import gpus
from ..doors import away
from ..packages import packages, rpm

REQUIRED = "/var/run/reboot-required"
FLAVOUR = re.compile(r"\d-?([a-z][a-z0-9-]*)$")
SAYS_S = 60.0


def reasons() -> List[str]:
    """Why a reboot is due, in words; empty: it is not."""
    return [why for why in (_marked(), _kernel(), _driver(), _needs()) if why]


def _marked() -> str:
    """Debian's and Ubuntu's own mark, with the packages that set it."""
    if files.read(REQUIRED) is None:
        return ""
    names = sorted(set(files.read_text(REQUIRED + ".pkgs").split()))
    return "asked for by " + ", ".join(names[:4] or ["a package"]) + (" and others" if len(names) > 4 else "")


def _kernel() -> str:
    found = newer(os.uname().release, installed_kernels())
    return "kernel %s runs, %s is installed" % (os.uname().release, found) if found else ""


def installed_kernels() -> List[str]:
    """Versions as `uname -r` says them."""
    try:
        names = os.listdir(files.at("/boot"))
    except OSError:
        return []
    return [name[len("vmlinuz-") :] for name in names if name.startswith("vmlinuz-")]


def newer(running: str, installed: Iterable[str]) -> str:
    """The newest installed kernel of the same flavour when it is not the one that runs; empty: it is, or nobody knows
    (a container's kernel is none of its own)."""
    known = [one for one in installed if _flavour(one) == _flavour(running)]
    if running not in known:
        return ""
    newest = max(known, key=_order)
    return newest if _order(newest) > _order(running) else ""


def _flavour(version: str) -> str:
    found = FLAVOUR.search(version)
    return found.group(1) if found else ""


def _order(version: str) -> List[Tuple[int, str]]:
    """Numbers by their value, words by their letters."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|[a-z]+", version)]


def _driver() -> str:
    driver = gpus.look()["driver"]
    return str(driver.get("detail", "")) if driver.get("state") == "mismatch" else ""


def _needs() -> str:
    """Enterprise Linux has a program for it (dnf-utils): status 1 where it is due."""
    if packages.manager() is not rpm:
        return ""
    return "asked for by needs-restarting" if shell.run(("needs-restarting", "-r"), SAYS_S).rc == 1 else ""


def boot(_request: Request, answers: Answers) -> int:
    """`boot`: says {"boot": which this is, "up": whether it has ended}."""
    state = shell.run(("systemctl", "is-system-running"), SAYS_S).stdout.strip()
    answers.say(boot=clock.boot(), up=state in ("running", "degraded"), state=state)
    return 0


def reboot(_request: Request, answers: Answers) -> int:
    """`reboot`: begins it. Who asked may not hear the answer any more: by `boot` it knows before and after. Raises
    NodeError."""
    away.renew()
    os.sync()
    result = shell.run(("systemctl", "--no-block", "reboot"), SAYS_S)
    if not result.ok:
        raise NodeError("reboot", "systemctl reboot: " + result.why, "look at it there")
    with contextlib.suppress(BrokenPipeError):
        answers.say(changed=True)
    return 0
