"""From failed events to the error that a person reads, and to the exit code that says what kind it was."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hostler.configure.events import Event
from hostler.errors import ConfigureError, HostlerError, Problem, RefusedError, RolledBackError

LOOPS = ("One or more items failed", "All items completed")  # of a loop, whose items have told already
INTERRUPTED = 130
PACKAGES = "packages"  # the role that installs them
NOT_FOUND = (
    r"(?:Unable to find a match|No match for argument|Unable to locate package|Couldn't find any package by)"
)
# what apt-get and dnf say, and what helps
PACKAGE_STEPS = (
    (
        re.compile(NOT_FOUND + r".*(?:kernel-devel|linux-headers)-"),
        "the package sources have nothing for the kernel that runs any more: upgrade it (`dnf upgrade kernel`, or"
        " `apt-get update && apt-get full-upgrade`), reboot, then `hostler up` again",
    ),
    (
        re.compile(NOT_FOUND),
        "see that the host's package sources, or their mirror, have it (`dnf repolist`, `apt-cache policy`), then"
        " `hostler up` again",
    ),
)
PACKAGE_STEP = "mend the host's package manager or its sources as it says, then `hostler up` again"
KINDS: dict[str, type[HostlerError]] = {"restored": RolledBackError, "refused": RefusedError}


def refuse(events: Sequence[Event], rc: int, rest: str) -> None:
    """Raises when anything failed: RolledBackError or RefusedError when all failures are of that kind. A run that ends
    with 0 has mended what failed in it (a `rescue`)."""
    if rc == INTERRUPTED:
        raise KeyboardInterrupt
    if rc == 0:
        return
    every = [event for event in events if event.status in ("failed", "unreachable")]
    failed = [event for event in every if not event.message.startswith(LOOPS)] or every
    if failed:
        kinds = {KINDS.get(event.outcome, ConfigureError) for event in failed}
        kind = kinds.pop() if len(kinds) == 1 else ConfigureError
        raise kind(*(problem(event) for event in failed))
    said = [event.message for event in events if event.status == "said"]
    raise ConfigureError.of(
        "Ansible",
        expected="a run to its end",
        got=f"exit code {rc}",
        detail="\n".join((*said[-20:], rest[-2000:])).strip(),
        next_step="run it again; if it stays, `hostler render DIR` shows what Ansible is given",
    )


def problem(event: Event) -> Problem:
    place = " ".join(word for word in (event.host, event.part) if word)
    what = f"{event.task} ({event.item})" if event.item else event.task
    return Problem(
        where=f"{place}: {what}",
        expected="an answer" if event.status == "unreachable" else "it to be done",
        got=event.message,
        detail=event.detail,
        next_step=event.next_step or _of_packages(event),
    )


def _of_packages(event: Event) -> str:
    """What to do when a package manager fails, which names no next step; empty: it was none."""
    if event.part != PACKAGES or event.status != "failed":
        return ""
    said = f"{event.message}\n{event.detail}"
    return next((step for words, step in PACKAGE_STEPS if words.search(said)), PACKAGE_STEP)
