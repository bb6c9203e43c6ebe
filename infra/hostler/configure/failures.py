"""From failed events to the error that a person reads, and to the exit code that says what kind it was."""

from __future__ import annotations

from collections.abc import Sequence

from hostler.configure.events import Event
from hostler.errors import ConfigureError, HostlerError, Problem, RefusedError, RolledBackError

LOOP = "One or more items failed"  # of a loop, whose items have told already
INTERRUPTED = 130
KINDS: dict[str, type[HostlerError]] = {"restored": RolledBackError, "refused": RefusedError}


def refuse(events: Sequence[Event], rc: int, rest: str) -> None:
    """Raises when anything failed: RolledBackError or RefusedError when all failures are of that kind."""
    if rc == INTERRUPTED:
        raise KeyboardInterrupt
    failed = [e for e in events if e.status in ("failed", "unreachable") and not e.message.startswith(LOOP)]
    if failed:
        kinds = {KINDS.get(event.outcome, ConfigureError) for event in failed}
        kind = kinds.pop() if len(kinds) == 1 else ConfigureError
        raise kind(*(problem(event) for event in failed))
    if rc:
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
        next_step=event.next_step,
    )
