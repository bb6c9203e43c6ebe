"""`watch`, by its timer every 30 s: replicas that are stalled come back, and engines that end again and again are stopped.

A look asks the engine on loopback, HAProxy and Docker, side by side for all replicas of this host; only where no counter
moves, processes and cards as well. A replica that an exchange or a person has (its lock, its journal, its draining mark)
is left alone, as is a paused container.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
import time
from typing import Any, Dict, List, Optional, Tuple

from ..base import instances, spec, wire
from ..base.protocol import Answers, NodeError, Request, as_dict
from ..base.spec import Spec, applied, container_name
from ..docker import docker
from ..doors import drain, haproxy
from ..replica import asleep, journal
from . import stall, watched, witness
from .stall import Limits, Look
from .watched import LOOP, OUT, RESTARTING

EVERY_S = 30.0  # as the timer, while a replica is being brought back
LIMIT_S = 10.0  # for each question
LOAD_S = 600.0  # until an engine has loaded, where its specification says nothing
ENDS = 2  # of a unit that failed, which are a loop
LATE = 3.0  # times that: it loads no more
ALONE = ".watch"  # no replica has this name
MARKS = (
    "llamacpp:n_decode_total", "llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total",
    "llamacpp:spec_decode_num_drafts_total",
    "vllm:generation_tokens_total", "vllm:prompt_tokens_total", "vllm:iteration_tokens_total_count",
    "vllm:kv_cache_usage_perc", "vllm:prefix_cache_queries_total", "vllm:num_preemptions_total",
)  # fmt: skip
SAMPLE = re.compile(r"^([a-z]+:[a-z_]+)(?:\{[^}]*\})? ([0-9.eE+-]+)$", re.MULTILINE)
STEPS = "vllm:"  # an engine whose every step is seen in them, and is short where it has cards
Said = Dict[str, str]


def watch(_request: Request, answers: Answers) -> int:
    """`watch`: says {"changed", "replicas": {id: how it is}}; goes on as long as it brings a replica back."""
    try:
        with journal.locked([ALONE], 0.0):
            said, changed = _all(), False
            while any(thread.is_alive() for thread in _REVIVING.values()):
                changed = True
                _wait()
                said.update(_all())
            answers.say(changed=changed, replicas=said)
    except NodeError as error:
        if error.kind != "busy":
            raise
        answers.say(changed=False, replicas={}, why="another one looks")
    return 0


_REVIVING: Dict[str, threading.Thread] = {}


def _wait() -> None:
    """A while, or until nothing is brought back any more."""
    until = time.monotonic() + EVERY_S
    for thread in _REVIVING.values():
        thread.join(max(0.0, until - time.monotonic()))


def _all() -> Said:
    """One look at each."""
    limits, here = watched.limits(), spec.replicas()
    for gone in set(spec.names(watched.KEPT)) - set(here):
        watched.forgotten(gone)
    tables = [haproxy.rows(path) for path in haproxy.SOCKETS]
    said: Said = {}

    def one(identifier: str) -> None:
        try:
            said[identifier] = check(identifier, tables, limits)
        except (OSError, NodeError) as error:
            said[identifier] = "%s: %s" % (stall.UNKNOWN, error)

    threads = [threading.Thread(target=one, args=(identifier,)) for identifier in here]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


def check(identifier: str, tables: List[Optional[List[haproxy.Row]]], limits: Limits) -> str:
    """One replica: how it is, or what is done about it."""
    found, kept = applied(identifier), watched.kept(identifier)
    if identifier in _REVIVING and _REVIVING[identifier].is_alive():
        return RESTARTING
    if found is None or journal.read(identifier) is not None or not is_free(identifier):
        watched.look_forgotten(identifier)
        return "an exchange has it"
    if asleep.read(identifier) is not None and _sleeps(identifier):
        return asleep.ASLEEP
    if kept.get("state") == RESTARTING:
        return _bring(identifier, "", limits)
    if kept.get("state") in (OUT, LOOP) and not _came_back(identifier, kept):
        return str(kept["state"])
    if drain.marked(identifier):
        watched.look_forgotten(identifier)
        return "draining"
    seen = docker.inspect(container_name(identifier))
    if seen is None or not docker.running(seen):
        return _standing_still(identifier, limits)
    if seen["State"].get("Paused"):
        watched.look_forgotten(identifier)
        return "paused"
    return _running(found, "%s %s" % (seen["Id"], seen["State"].get("StartedAt", "")), tables, limits)


def _sleeps(identifier: str) -> bool:
    """When what a kill left of its sleep or wake is put right."""
    watched.look_forgotten(identifier)
    with journal.locked([identifier], 0.0, brief=True):
        tell(identifier, asleep.settle(identifier))
        return asleep.sleeps(identifier)


def is_free(identifier: str) -> bool:
    """Whether nobody holds its lock now."""
    try:
        with journal.locked([identifier], 0.0):
            return True
    except NodeError:
        return False


def _came_back(identifier: str, kept: watched.Kept) -> bool:
    """A person, a boot or `hostler up` started it; its mark went with a boot, or was taken away."""
    if drain.marked(identifier) or not instances.active(identifier):
        return False
    if kept["state"] == LOOP:
        watched.ends_forgotten(identifier)
    watched.keep(identifier, watched.happened(kept, "started again by somebody else", state="", why=""))
    return True


def _bring(identifier: str, why: str, limits: Limits) -> str:
    """In a thread of its own: a model loads for minutes, and the others are looked at meanwhile. What it takes is read
    only here: a look has to cost next to nothing."""
    from . import revive

    def run() -> None:
        try:
            tell(
                identifier,
                revive.revive(identifier, why, limits) if why else revive.go_on(identifier, limits),
            )
        except (OSError, NodeError) as error:
            tell(identifier, "could not be brought back, the next look goes on: %s" % error)

    thread = threading.Thread(target=run)
    _REVIVING[identifier] = thread
    thread.start()
    return RESTARTING


def tell(identifier: str, what: str) -> None:
    """In the journal of this host: `journalctl -u hostler-watch`."""
    if what:
        sys.stderr.write("<4>%s: %s\n" % (identifier, what))


# engines that end again and again


def _standing_still(identifier: str, limits: Limits) -> str:
    """Between two starts; given up by systemd; or stopped by somebody."""
    starts = starts_of(identifier)
    if starts >= limits.starts or (starts and _has_failed(identifier, starts)):
        return _give_up(identifier, starts)
    return "starting again" if starts else "stopped"


def starts_of(identifier: str) -> int:
    """How often it has ended since somebody started it, or since it was ready when it was looked at."""
    ends = _ends(identifier)
    before = int(watched.looked(identifier).get("ends") or 0)
    return ends - before if ends >= before else ends


def _ends(identifier: str) -> int:
    return int(watched.died(identifier).get("count") or 0)


def _give_up(identifier: str, starts: int) -> str:
    """No more starts, which heat the cards and fill the log; its container stays, with its log."""
    with journal.locked([identifier], 0.0):
        died = watched.died(identifier)
        log: List[str] = died.get("log") or []
        instances.stop(identifier)
        last = watched.last_words(log) or str(died.get("why", ""))
        why = "restart loop: %d starts in %s, last: %s" % (starts, _span(died), last)
        watched.keep_log(identifier, log)
        watched.keep(identifier, watched.happened(watched.kept(identifier), why, state=LOOP, why=why))
    tell(identifier, why)
    return LOOP


def _has_failed(identifier: str, starts: int) -> bool:
    """Given up by systemd, which starts it no more. One end alone may be of something else: who stopped it while Docker
    hung has a failed unit, too."""
    said = instances.systemctl(
        "show", "--property=ActiveState,Result", instances.unit(identifier)
    ).stdout.split()
    return "ActiveState=failed" in said and (starts >= ENDS or "Result=start-limit-hit" in said)


def _span(died: Dict[str, Any]) -> str:
    ends: List[float] = died.get("ends") or [0.0]
    seconds = max(0.0, ends[-1] - ends[0])
    return "%d s" % round(seconds) if seconds < 120 else "%d min" % round(seconds / 60)


# engines that run


def _running(found: Spec, born: str, tables: List[Optional[List[haproxy.Row]]], limits: Limits) -> str:
    identifier = found["id"]
    state, look = watched.looked(identifier), look_at(found, born, tables)
    now = time.monotonic()
    done: witness.Work = state.get("work") or {} if stall.follows(state, look, now) else {}
    if stall.suspect(state, look, now):
        work = witness.work(found)
        look = look._replace(works=_works(found, done, work, now - float(state["at"])))
        done = work
    else:
        done = {}
    after, verdict = stall.judge(state, look, now, limits)
    starts = 0 if look.healthy else starts_of(identifier)
    ends = _ends(identifier) - starts
    watched.look_kept(identifier, {**after, "work": done, "ends": ends, "how": verdict})
    if starts >= limits.starts:
        return _give_up(identifier, starts)
    if verdict != stall.STALLED:
        return verdict
    why = "stalled %s" % watched.minutes(stall.silence(after, now))
    return _bring(identifier, why, limits)


def _works(found: Spec, before: witness.Work, now: witness.Work, seconds: float) -> Optional[bool]:
    works = witness.works(before, now, seconds)
    if works is False and found.get("cards"):
        return witness.on_cards(list(found["cards"]))
    return works


def look_at(found: Spec, born: str, tables: List[Optional[List[haproxy.Row]]]) -> Look:
    port, health = spec.port(found), as_dict(found.get("health"))
    healthy, metrics = health_of(port, str(health.get("path") or "/health")), ""
    if healthy is not None:
        answer = wire.get(port, "/metrics", LIMIT_S)
        told = answer is not None and answer.status == 200
        metrics = answer.body.decode("utf-8", "replace") if answer is not None and told else ""
    marks, own = marks_of(metrics)
    sent = in_flight(found["id"], tables)
    counts = [count for count in (own, sent) if count is not None]
    steps = STEPS in metrics and bool(found.get("cards"))
    load_s = LATE * float(health.get("limit_s") or LOAD_S)
    return Look(born, healthy, max(counts) if counts else None, marks, steps=steps, load_s=load_s)


def health_of(port: int, path: str) -> Optional[bool]:
    """200; None: it takes the question, and says nothing in time. What is refused, or answered otherwise, is False."""
    try:
        return wire.ask(port, "GET", path, timeout=LIMIT_S).status == 200
    except socket.timeout:
        return None
    except OSError:
        return False


def marks_of(metrics: str) -> Tuple[Optional[List[float]], Optional[int]]:
    """What moves with progress, and the requests that the engine itself counts; None: it says nothing of it."""
    sums: Dict[str, float] = {}
    for name, value in SAMPLE.findall(metrics):
        if name in MARKS or name in drain.GAUGES:
            sums[name] = sums.get(name, 0.0) + float(value)
    marks = [sums[name] for name in MARKS if name in sums]
    own = [sums[name] for name in drain.GAUGES if name in sums]
    return marks or None, int(sum(own)) if own else None


def in_flight(identifier: str, tables: List[Optional[List[haproxy.Row]]]) -> Optional[int]:
    """By HAProxy, as haproxy.in_flight counts it; None: one did not answer."""
    counts: List[int] = []
    for table in tables:
        if table is None:
            return None
        counts += [_whole(row, "scur") + _whole(row, "qcur") for row in haproxy.of_replica(table, identifier)]
    return max(counts, default=0)


def _whole(row: haproxy.Row, column: str) -> int:
    value = row.get(column) or "0"
    return int(value) if value.isdigit() else 0
