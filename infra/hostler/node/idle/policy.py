"""What is wished of this host and of its replicas, as `up` wrote it. What cannot be read wishes nothing: nothing is ended.

{"replicas": {id: policy}, "host": policy or null, "controller": bool, "extra_s"?: seconds that the dead man's switch waits
longer than the policies say}
"""

from __future__ import annotations

import os
from typing import Any, Dict, NamedTuple, Optional

from ..base import files, instances
from ..base.protocol import Answers, NodeError, Request, as_dict
from .deciding import SWITCH_EXTRA_S
from .looks import Policy

FILE = "/etc/hostler/idle.json"
TIMER = "hostler-idle.timer"
SERVICE = "hostler-idle.service"
FILES = tuple("/etc/systemd/system/" + name for name in (TIMER, SERVICE))


class Wish(NamedTuple):
    replicas: Dict[str, Policy]
    host: Optional[Policy]
    extra_s: float = SWITCH_EXTRA_S


NOTHING = Wish({}, None)


def timer(_request: Request, answers: Answers) -> int:
    """`idle-timer`: this host is looked at as long as its policies are here. Says {"changed"}."""
    answers.say(changed=instances.timer(TIMER, files.read(FILE) is not None))
    return 0


def stop() -> None:
    """For `down`: nothing is put to sleep meanwhile."""
    if any(os.path.lexists(files.at(path)) for path in FILES):
        instances.systemctl("stop", TIMER, SERVICE)


def read() -> Wish:
    try:
        return parsed(as_dict(files.read_json(FILE)))
    except (OSError, NodeError, ValueError):
        return NOTHING


def parsed(told: Dict[str, Any]) -> Wish:
    """Raises ValueError."""
    host, extra = told.get("host"), told.get("extra_s", SWITCH_EXTRA_S)
    if not isinstance(extra, (int, float)) or extra < 0:
        raise ValueError("extra_s: %r" % (extra,))
    return Wish(
        {name: Policy.from_json(one) for name, one in as_dict(told.get("replicas")).items()},
        None if host is None else Policy.from_json(host),
        float(extra),
    )
