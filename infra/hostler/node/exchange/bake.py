"""The bake: a replica that has passed the canary serves real requests while the old container waits aside, stopped.

Watched are the requests that this host's HAProxys could not have answered whole, ends of the container, and how long an
answer takes: vLLM's time to the first token, llama-server's time for each token. Times count from the half of the bake
on, when caches of prompts are warm again, and one that is slow then is asked again in quiet. Too much of either: it is
drained, and the old one comes back.

A kill in the middle goes forward while the new one runs, since going back would cut what it serves; where it does not
run (a power cut, a crash) the old one comes back. An interruption ends the bake early, and the new one stays.
"""

from __future__ import annotations

import time
from typing import Dict, List, NamedTuple, Optional, Tuple

from ..base import interrupts, wire
from ..base.protocol import Request, number
from ..base.spec import Spec, container_name, drains, port
from ..canary import canary
from ..docker import docker
from ..doors import drain, haproxy, ports
from ..replica import beside, container, journal, wait

EVERY_S = 2.0
ERRORS = 0.01  # of the requests
LEAST_ERRORS = 3
SLOWER = 2.0  # times the former replica's
LEAST_REQUESTS = 20
TIMES = (
    ("vllm:time_to_first_token_seconds_sum", "vllm:time_to_first_token_seconds_count"),
    ("llamacpp:tokens_predicted_seconds_total", "llamacpp:tokens_predicted_total"),
)


class Seen(NamedTuple):
    """Since HAProxy and the engine have started; `seconds` for so many (`timed`) of what the engine times."""

    requests: int
    errors: int
    seconds: float
    timed: float

    def since(self, before: "Seen") -> "Seen":
        return Seen(
            self.requests - before.requests,
            self.errors - before.errors,
            self.seconds - before.seconds,
            self.timed - before.timed,
        )

    @property
    def mean(self) -> float:
        return self.seconds / self.timed if self.timed > 0 else 0.0


def look(spec: Spec) -> Optional[Seen]:
    """None: an HAProxy of this host does not answer now."""
    tables = [haproxy.rows(path) for path in haproxy.SOCKETS]
    rows = [row for table in tables for row in haproxy.of_replica(table or [], spec["id"])]
    if None in tables:
        return None
    errors = sum(whole(row, name) for row in rows for name in ("hrsp_5xx", "econ", "eresp"))
    seconds, count = times(_metrics(port(spec)))
    return Seen(sum(whole(row, "stot") for row in rows), errors, seconds, count)


def whole(row: haproxy.Row, column: str) -> int:
    value = row.get(column) or "0"
    return int(value) if value.isdigit() else 0


def _metrics(at_port: int) -> str:
    answer = wire.get(at_port, "/metrics")
    return answer.body.decode("utf-8", "replace") if answer is not None and answer.status == 200 else ""


def times(metrics: str) -> Tuple[float, float]:
    """Seconds, and for how many; zeros where the engine has no such counters."""
    sums: Dict[str, float] = {}
    for name, value in wire.SAMPLE.findall(metrics):
        sums[name] = sums.get(name, 0.0) + float(value)
    return next(((sums[s], sums[c]) for s, c in TIMES if s in sums and c in sums), (0.0, 0.0))


def before(spec: Optional[Spec], request: Request) -> Optional[Dict[str, float]]:
    """What the old one has done so far, where there is going to be a bake; for the journal."""
    if spec is None or number(request, "bake-s", 0) <= 0 or not drains(spec):
        return None
    seen = look(spec)
    return None if seen is None else seen._asdict()


def bake(record: journal.Journal, new: Spec, request: Request) -> str:
    """Serve, and watch; raises FailedError when it does worse. What is to be said of it; empty: there was none."""
    seconds = number(request, "bake-s", 0)
    if seconds <= 0 or not record.get("was_running") or not drains(new):
        return ""
    share = number(request, "bake-errors", ERRORS)
    was = Seen(**record["seen"]) if record.get("seen") else None
    started, born = time.monotonic(), _born(new)
    journal.step(record, "bake", served=True)
    try:
        drain.unmark(new["id"])
        drain.wait_served([new["id"], *record["drained"]])
        samples = _watch(new, born, seconds, _allowed(share, was))
        also = in_quiet(record, new, too_slow(_later(samples), was)) if samples else ""
    except interrupts.InterruptedRun:
        return "its bake was ended after %d of %d s: it stays" % (time.monotonic() - started, seconds)
    if not samples:
        return "baked for %d s, unwatched: HAProxy did not answer" % seconds
    found = samples[-1].since(samples[0])
    return "baked for %d s: %d requests, %d errors%s" % (seconds, found.requests, found.errors, also)


def _allowed(share: float, was: Optional[Seen]) -> float:
    """Clients that ask what cannot be answered ask the new one, too."""
    known = was is not None and was.requests >= LEAST_REQUESTS
    return max(share, 2 * was.errors / was.requests) if was is not None and known else share


def _later(samples: List[Seen]) -> Seen:
    return samples[-1].since(samples[len(samples) // 2])


def in_quiet(record: journal.Journal, new: Spec, slow: str) -> str:
    """Longer questions take longer: one that was slow is asked what the former one was, drained as that one was. Raises
    FailedError unless it is as fast then; what is to be said, or empty."""
    if not slow:
        return ""
    if record.get("fast"):
        return "; %s, but besides as many requests it was as fast as that one" % slow
    was: canary.Measures = record.get("before") or {}
    before = float(was.get("speed") or 0)
    quiet = bool(before) and canary.is_like(record["old"], new) and _alone(record, new)
    speed = canary.under_load(new).could if quiet else None
    if not speed or speed < canary.SLOWEST * before:
        raise wait.fail(new, "bake: " + slow)
    if record.get("surge"):
        ports.tell(new["id"])
    drain.unmark(new["id"])
    return "; %s, but alone it is as fast as that one (%.1f tokens a second, then %.1f)" % (
        slow,
        speed,
        before,
    )


def _alone(record: journal.Journal, new: Spec) -> bool:
    """Nothing new is sent to it, and what it had is answered: where its former one still runs, that one serves."""
    limit = float(new.get("drain_s") or 600)
    if record.get("surge"):
        ports.tell(new["id"], record["old"])
        return beside.finished(container_name(new["id"]), new, limit)
    drain.mark(new["id"])
    return not drain.wait([new["id"]], {new["id"]: new}, limit)


def _watch(new: Spec, born: Tuple[str, str], seconds: float, share: float) -> List[Seen]:
    """What came until each look; empty: no HAProxy has told. Raises FailedError at once when it is too much."""
    until = time.monotonic() + seconds
    samples: List[Seen] = []
    while True:
        over = time.monotonic() >= until
        if _born(new) != born or not born[0]:
            raise _ended(new)
        seen = look(new)
        if seen is not None:
            again = samples and seen.requests < samples[-1].requests  # a reload: it counts from nothing
            samples = [seen] if again else [*samples, seen]
        why = too_many(samples[-1].since(samples[0]), share) if samples else ""
        if why:
            raise wait.fail(new, "bake: " + why)
        if over:
            return samples
        time.sleep(max(0.0, min(EVERY_S, until - time.monotonic())))


def too_many(seen: Seen, share: float = ERRORS) -> str:
    """Why there are too many errors; empty: there are not."""
    if seen.errors < LEAST_ERRORS or seen.errors <= share * seen.requests:
        return ""
    said = "expected at most %g%% of its requests to fail, or %d; got %d of %d"
    return said % (100 * share, LEAST_ERRORS - 1, seen.errors, seen.requests)


def too_slow(seen: Seen, was: Optional[Seen]) -> str:
    """Why it answers too slowly; empty: it does not, or there were too few requests to tell."""
    if was is None or not was.mean or not seen.mean or min(seen.requests, was.requests) < LEAST_REQUESTS:
        return ""
    if seen.mean <= SLOWER * was.mean:
        return ""
    said = (
        "expected its answers in %.1f times the time of the former replica's at most (%.0f ms); got %.0f ms"
    )
    return said % (SLOWER, 1000 * was.mean, 1000 * seen.mean)


def _born(spec: Spec) -> Tuple[str, str]:
    """Which run of which container; empty where none runs."""
    found = docker.inspect(container_name(spec["id"]))
    if found is None or not docker.running(found):
        return "", ""
    return str(found["Id"]), str(found["State"].get("StartedAt", ""))


def _ended(spec: Spec) -> wait.FailedError:
    died = container.died(spec["id"])
    if died is None:
        return wait.fail(spec, "bake: it was started again")
    return wait.fail(spec, "bake: %s" % died["why"], [str(line) for line in died["log"]])


def undo(record: journal.Journal) -> None:
    """Before a new one that has served is stopped: what it still serves is waited for, as long as for any change."""
    spec: Spec = record["new"]
    if record.get("served") and docker.running(docker.inspect(container_name(spec["id"]))):
        drain.mark(spec["id"])
        drain.wait([spec["id"]], {spec["id"]: spec}, float(spec.get("drain_s") or 600))
