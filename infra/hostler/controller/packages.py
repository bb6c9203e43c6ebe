"""Security fixes of the hosts' own packages, by `hostler upgrade`: nothing that serves is touched for them, no driver among
them."""

from __future__ import annotations

from hostler.controller.memory import Last
from hostler.controller.stand import Turn, closed, reason
from hostler.errors import HostlerError, LockedError
from hostler.rollout import upgrade
from hostler.stackfile import updating

TOOK = "packages of the hosts"  # a model's name has no spaces


def due(it: Turn) -> bool:
    took, failed = (known.get(TOOK, 0.0) for known in (it.memory.took, it.memory.failed))
    tired = it.now - failed < updating.SPARE_S
    return updating.due(it.updates.packages, took, it.now) and not tired and not closed(it)


def take(it: Turn) -> None:
    """What there is now, on all hosts; a host whose packages must be mended is left out, and one where their
    installation fails is the last that is touched."""
    tried = Last(model=TOOK, what="security fixes", at=it.now)
    try:
        done = upgrade.security(it.file, it.out)
    except LockedError:
        raise
    except HostlerError as error:
        why = reason(error)
        it.keep(
            last=Last(model=TOOK, what=tried.what, at=it.now, ended="failed", why=why),
            failed={**it.memory.failed, TOOK: it.now},
        )
        it.become("deferred", f"security fixes failed: {why}")
        it.tell("packages", f"security fixes failed: {why}")
        return
    it.keep(took={**it.memory.took, TOOK: it.now})
    it.quiet("packages")
    if not done.busy:
        return
    hosts = ", ".join(turn.host for turn in done.busy)
    it.keep(last=Last(model=TOOK, what=tried.what, at=it.now, ended="good"))
    it.become("idle", f"security fixes on {hosts}")
    it.tell(f"updated {TOOK}", f"security fixes installed on {hosts}", same=str(it.now))
