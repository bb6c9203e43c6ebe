"""A rented host gets a lease, or a longer one: when it is over, the host ends itself (hostler-lease.timer, which the
host was born with, counts the seconds by uptime).

adopt {"uid", "lease"?: until when, in seconds since 1970, "grace"?: seconds, "now"?} -> {"left": seconds, or null}
"""

from __future__ import annotations

import time
import uuid

from ..base import files, instances
from ..base.protocol import REFUSED, Answers, NodeError, Request, as_dict, number, text

TIMER = "hostler-lease.timer"
GRACE = 900.0  # seconds that others have to end the host before it does so itself
FOREVER = "none"


def adopt(request: Request, answers: Answers) -> int:
    """Replaces the lease that is there, the one of its birth too; without `lease` the host stays for good. `now` is the
    clock by which `lease` was chosen (the host's own if not given). Refuses (rc 3) a host that was not born rented,
    another stack's, and a lease that is over. Fails where nothing would end the host."""
    born = files.read_json(files.BORN)
    if born is None:
        raise NodeError(
            "not-rented", "this host is not a rented one", "it is never ended by Hostler", REFUSED
        )
    if as_dict(born).get("uid") != text(request, "uid"):
        said = "this host was rented for stack %s" % as_dict(born).get("stack")
        raise NodeError("other-stack", said, "hostler down there", REFUSED)
    left = None
    if request.get("lease"):
        until = number(request, "lease") + number(request, "grace", GRACE)
        left = int(until - number(request, "now", time.time()))
        if left <= 0:
            raise NodeError("lease-over", "the lease was over %d s ago" % -left, "give a longer one", REFUSED)
    _armed()
    count = FOREVER if left is None else str(left)
    files.write(files.LEASE, ("%s %s\n" % (uuid.uuid4().hex, count)).encode())
    answers.say(left=left)
    return 0


def _armed() -> None:
    """The timer runs; raises NodeError when it does not, for then only others can end the host."""
    if instances.systemctl("is-active", TIMER).ok:
        return
    started = instances.systemctl("start", TIMER)
    if not started.ok:
        raise NodeError("lease", "%s: %s" % (TIMER, started.why), "systemctl status " + TIMER)
