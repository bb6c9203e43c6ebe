"""`idle-look` and `idle-keep`: look, judge, and keep what was judged, so that windows go on from one process to the next.

Kept below /run, so that a boot begins all windows anew. One at a time; a look that somebody just had is theirs as well.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import sys
import threading
import time
from typing import IO, Any, Callable, Dict, Generator, List, Mapping, NamedTuple, Optional

from ..base import clock, files, spec
from ..base.protocol import Answers, NodeError, Request, as_dict, number
from ..doors import counting
from ..replica import asleep, journal
from . import deciding, firsts, lastword, looking, meter, presence
from .looks import Look, Verdict

STATE = "/run/hostler/idle/state.json"
LOCK = "/run/hostler/idle/lock"
YOUNG_S = 10.0
EVERY_S = 5.0
SEEN_S = 30.0
PAUSE_S = 0.5

Json = Dict[str, Any]
Left = Callable[[float], bool]  # waits up to so many seconds for somebody to leave; whether they have


@contextlib.contextmanager
def kept(left: Optional[Left] = None) -> Generator[Json, None, None]:
    """What is known, under its lock; written at the end. What is damaged is as nothing. `left`: asked while somebody else
    looks, who may hang; raises BrokenPipeError where whoever waits for this one has left."""
    path = files.at(LOCK)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "ab") as handle:
        while not _locks(handle, wait=left is None):
            if left and left(PAUSE_S):
                raise BrokenPipeError("nobody listens")
        found = read()
        yield found
        files.write_json(STATE, found)


def _locks(handle: IO[bytes], *, wait: bool) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def read() -> Json:
    with contextlib.suppress(OSError, NodeError):
        found = as_dict(files.read_json(STATE, {}))
        if found.get("boot") == clock.boot():
            return found
    return {"boot": clock.boot()}


def look(oldest_s: float = 0.0, left: Optional[Left] = None) -> Json:
    """What is known of this host now: the last look where it is no older, else a new one. `left`: as for `kept`."""
    with kept(left) as state:
        last = as_dict(state.get("looked"))
        if last and 0 <= clock.boottime() - float(last.get("at") or 0) < oldest_s:
            return last
        settle()
        state["looked"] = _looked(state)
        return as_dict(state["looked"])


def settle() -> None:
    """What a kill left of a sleep or a wake."""
    for identifier in asleep.names():
        with contextlib.suppress(OSError, NodeError), journal.locked([identifier], 0.0, brief=True):
            if spec.applied(identifier) is None:
                asleep.forget(identifier)
            what = asleep.settle(identifier)
            if what:
                tell("%s %s" % (identifier, what))


def tell(what: str) -> None:
    """In the journal of this host: `journalctl -u hostler-idle`."""
    sys.stderr.write("<5>%s\n" % what)


class Judged(NamedTuple):
    """`begun`: before anything was looked at; `looks`: of those that are awake."""

    begun: float
    looks: Dict[str, Optional[Look]]
    verdicts: Dict[str, Verdict]
    presence: Verdict
    host: Verdict
    seen: presence.Seen
    doors: looking.Doors


def judge(state: Json, run: str = "") -> Judged:
    """A look at everything; `state` goes on with it. `run`: whose own doings are no task."""
    begun, there = clock.boottime(), looking.doors()
    here = spec.replicas()
    slept = {name: mark for name in here if asleep.sleeps(name) for mark in [asleep.read(name)] if mark}
    looks = looking.replicas([name for name in here if name not in slept], there)
    verdicts = {name: _judged(state, "replicas", name, one) for name, one in looks.items()}
    verdicts.update((name, sleeper(mark)) for name, mark in slept.items())
    _only(state, "replicas", looks)
    seen = presence.look(run)
    state["host"], own = deciding.presence(as_dict(state.get("host")), seen.look)
    return Judged(begun, looks, verdicts, own, deciding.together(verdicts, own), seen, there)


def _looked(state: Json) -> Json:
    found = judge(state)
    there, seen = found.doors, found.seen
    routes = looking.routes(there)
    sent = {name: _judged(state, "routes", name, one) for name, one in routes.items()}
    _only(state, "routes", routes)
    waited = _first_tokens(state, found.looks)
    if found.host.word != deciding.IDLE:
        state.pop("stays", None)
    return {
        "at": found.begun,
        "boot": clock.boot(),
        "wall": time.time(),
        "replicas": {
            name: {**_row(one, found.looks.get(name), asleep.read(name)), "first_token": waited.get(name)}
            for name, one in found.verdicts.items()
        },
        "presence": {**found.presence.to_json(), "told": list(seen.told)},
        "host": found.host.to_json(),
        "routes": {name: verdict.to_json() for name, verdict in sent.items()},
        "queues": looking.queues(there),
        "power_w": seen.power_w,
        "usage": _usage(there),
        "end": lastword.read(),
        "stays": state.get("stays"),
    }


def _first_tokens(state: Json, looks: Mapping[str, Optional[Look]]) -> Dict[str, Optional[Json]]:
    kept: Json = as_dict(state.get("firsts"))
    state["firsts"] = {name: one for name, one in kept.items() if name in looks}
    return {
        name: firsts.after(state["firsts"], name, one.at, one.born, one.first)
        for name, one in looks.items()
        if one
    }


def _usage(there: looking.Doors) -> Optional[Json]:
    """Requests and bytes by model and key, since that process of the gateway began to count."""
    door = there.get(looking.GATEWAY)
    return {"table": counting.usage(), "born": door.born} if door else None


def sleeper(mark: asleep.Mark) -> Verdict:
    since = float(mark.get("at") or 0) if mark.get("boot") == clock.boot() else 0.0
    return deciding.asleep(since, str(mark.get("why") or ""))


def _judged(state: Json, kind: str, name: str, one: Optional[Look]) -> Verdict:
    before: Json = state.setdefault(kind, {})
    before[name], verdict = deciding.judge(as_dict(before.get(name)), one, clock.boottime())
    return verdict


def _only(state: Json, kind: str, names: Mapping[str, Any]) -> None:
    known: Json = state.get(kind) or {}
    state[kind] = {name: one for name, one in known.items() if name in names}


def _row(verdict: Verdict, one: Optional[Look], mark: Optional[asleep.Mark]) -> Json:
    return {
        **verdict.to_json(),
        "running": one.running if one else None,
        "waiting": one.waiting if one else None,
        "work": list(one.work) if one and one.work is not None else None,
        "born": one.born if one else None,
        "asleep": mark,
    }


def stays(do: str, why: str) -> None:
    """The host was to `do`, and an error keeps it, or, empty, none does: how often in a row, and the last one."""
    with kept() as state:
        before = as_dict(state.pop("stays", None))
        if why:
            count = int(before.get("count") or 0) + 1
            state["stays"] = {"do": do, "count": count, "why": why, "at": time.time()}


def verdicts(looked: Json) -> Dict[str, Verdict]:
    """Of a kept look."""
    return {name: Verdict.from_json(one) for name, one in as_dict(looked.get("replicas")).items()}


# commands


def idle_look(request: Request, answers: Answers) -> int:
    """`idle-look [--oldest S]`, each 20 s by its timer: looks, unless somebody just did, and does what the dead man's switch
    has to do. Says {"changed", "looked", "done": {subject: what}}."""
    from . import switch

    looked = look(number(request, "oldest", YOUNG_S))
    done = switch.act(looked)
    answers.say(changed=bool(done), looked=looked, done=done)
    return 0


def idle_keep(request: Request, answers: Answers) -> int:
    """`idle-keep -` {"ask": [what a probe is asked], "meter": {"command", "host"}}: says {"looked": ...} each 5 s, {"seen": a
    probe's answer} each 30 s and {"meter": {"watts", "why"}} each minute, as long as somebody listens."""
    asked = [str(one) for one in request.get("ask") or ()]
    probes = Probes(asked, number(request, "seen_s", SEEN_S)) if asked else None
    wall = meter.of(request)
    every = number(request, "every_s", EVERY_S)
    with contextlib.suppress(BrokenPipeError):
        while True:
            begun = time.monotonic()
            answers.say(
                looked=look(every / 2, gone)
            )  # one that the timer or another stream just had is as good
            for seen in probes.take() if probes else ():
                answers.say(seen=seen)
            for reading in wall.take() if wall else ():
                answers.say(meter=reading.to_json())
            if gone(max(0.0, every - (time.monotonic() - begun))):
                break
    return 0


def gone(seconds: float) -> bool:
    """Waits so long for the end of stdin; whether it has come. What is said there means nothing."""
    until = time.monotonic() + seconds
    while True:
        left = max(0.0, until - time.monotonic())
        if not select.select([sys.stdin], [], [], left)[0]:
            return False
        if not os.read(sys.stdin.fileno(), 4096):
            return True


class Probes:
    """Probes beside the looks: one may take seconds."""

    def __init__(self, asked: List[str], every_s: float) -> None:
        self._asked, self._every = asked, every_s
        self._next = 0.0
        self._thread: Optional[threading.Thread] = None
        self._found: List[Json] = []

    def take(self) -> List[Json]:
        """Those that are through; another one begins when it is time."""
        found, self._found = self._found, []
        busy = self._thread is not None and self._thread.is_alive()
        if not busy and time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every
            self._thread = threading.Thread(target=self._probe, daemon=True)
            self._thread.start()
        return found

    def _probe(self) -> None:
        from ..probe import probe

        last = Last()
        with contextlib.suppress(OSError, NodeError):
            probe.probe({"op": "probe", "ask": self._asked}, last)
            self._found.append(last.said)


class Last(Answers):
    """What a command said last."""

    def __init__(self) -> None:
        self.said: Json = {}

    def say_value(self, value: Any) -> None:
        self.said = dict(value)
