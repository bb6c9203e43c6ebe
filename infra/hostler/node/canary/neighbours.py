"""Who else uses a replica's cards and processors while it is timed."""

from __future__ import annotations

import contextlib
import threading
from typing import Generator, List

from ..base.spec import Spec, applied, container_name, name_of, port, replicas
from ..cards import cards
from ..docker import docker
from ..doors import drain

EVERY_S = 0.1


@contextlib.contextmanager
def watched(spec: Spec) -> Generator[List[str], None, None]:
    """What served besides it meanwhile: filled at the end."""
    found: List[str] = []
    over = threading.Event()

    def look() -> None:
        while not found and not over.wait(EVERY_S):
            found.extend(serving(spec))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def serving(spec: Spec) -> List[str]:
    """Other replicas of this host that have requests now, and the one that it is to follow."""
    others = [name for name in replicas() if name != spec["id"] or "container" in spec]
    return ["%s serves besides it" % name for name in others if drain.engine_count(port(applied(name) or {}))]


def on_its_cards(spec: Spec) -> str:
    """Another's process on its cards; empty: there is none that anybody knows of."""
    if not spec.get("cards"):
        return ""
    own = {pid for name in {container_name(spec["id"]), name_of(spec)} for pid in docker.processes(name)}
    others = [use for use in cards.uses() if use.card in spec["cards"] and use.pid not in own]
    return "process %d is on card %s, too" % (others[0].pid, others[0].card) if others else ""
