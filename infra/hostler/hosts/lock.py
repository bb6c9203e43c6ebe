"""One at a time: the stack's lock, held by the agent on the gateway's host over a live connection."""

from __future__ import annotations

import getpass
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, Self

from hostler.errors import HostlerError, LockedError, Problem

from . import ways
from .calls import Conversation, finished, talk
from .transport import Transport
from .trouble import trouble

BRIEF = "idle: "  # begins why the controller has it for a moment, to give back what is idle
EVERY = 5.0  # seconds between heartbeats
UNHEARD = 20.0  # seconds without an answer: lost; less than the 30 s after which the agent lets go
GRANT_S = 15.0


def new_run() -> str:
    """An id for one run: every remote command of it carries it."""
    return time.strftime("%Y%m%dT%H%M%SZ-", time.gmtime()) + secrets.token_hex(4)


class Lock:
    """`with Lock(transport, "up") as lock:` raises LockedError when somebody else holds it. `lock.run_id` goes to
    every agent_call; `lock.check()` between steps raises HostTrouble once the connection is lost; `on_lost` is
    called from the heartbeat's thread at that moment."""

    def __init__(
        self,
        home: Transport,
        why: str,
        *,
        run_id: str = "",
        on_lost: Callable[[], None] | None = None,
        every: float = EVERY,
        unheard: float = UNHEARD,
    ) -> None:
        self.run_id = run_id or new_run()
        self.lost = threading.Event()
        self._home, self._why, self._on_lost = home, why, on_lost
        self._every, self._unheard = every, unheard
        self._stop = threading.Event()
        self._stack = ExitStack()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            words: dict[str, Any] = {"who": getpass.getuser(), "from": socket.gethostname(), "why": self._why}
            conversation = opening.enter_context(talk(self._home, "lock", run_id=self.run_id, **words))
            self._granted(conversation)
            opening.callback(_let_go, conversation)
            self._stack = opening.pop_all()
        self._thread = threading.Thread(target=self._beat, args=(conversation,), daemon=True, name="lock")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(self._every)
        self._stack.close()

    def check(self) -> None:
        """Raises HostTrouble when the lock is not ours any more."""
        if self.lost.is_set():
            raise trouble(
                "dead",
                self._home.name,
                expected="the lock to be held until the end",
                got="the connection to its host was lost",
                next_step="run the same command again: it ends what was left behind and goes on from there",
            )

    def _granted(self, conversation: Conversation) -> None:
        answer = conversation.hear(GRANT_S)
        if answer is None or "granted" not in answer:
            line = b"" if answer is None else json.dumps(answer).encode()
            finished(self._home.name, "lock", line, conversation.wait(5.0), b"")
            raise trouble("protocol", self._home.name, expected="the lock", got=str(answer))
        if not answer["granted"]:
            raise locked(self._home.name, answer.get("holder") or {})

    def _beat(self, conversation: Conversation) -> None:
        heard = time.monotonic()
        while not self._stop.wait(self._every):
            try:
                conversation.say(b".\n")
                if conversation.hear(max(heard + self._unheard - time.monotonic(), 0.1)) is None:
                    break
                heard = time.monotonic()
            except (OSError, HostlerError):
                break
        if not self._stop.is_set():
            self.lost.set()
            if self._on_lost is not None:
                self._on_lost()


def _let_go(conversation: Conversation) -> None:
    """The agent sees the end of its stdin and lets go; waited for, so that the next one finds it free."""
    with suppress(OSError, HostlerError):
        conversation.stream.stdin.close()
        conversation.wait(2.0)


class BrieflyLockedError(LockedError):
    """By the controller, which gives back what is idle, and lets go soon."""


def locked(home: str, holder: dict[str, Any]) -> LockedError:
    """Who holds it, from where, why, since when, and what to do."""
    who, where, why, age = (holder.get(k) for k in ("who", "from", "why", "age"))
    since = time.strftime("%H:%M:%S", time.localtime(time.time() - float(age or 0)))
    got = f"held by {who} on {where} for `{why}` since {since} ({spell(float(age or 0))} ago)"
    problem = Problem(
        where=f"{home} lock",
        expected="nobody else to be changing this stack",
        got=got,
        next_step=f"wait for {who} to finish, or end it there (Ctrl-C); the lock goes by itself 30 s after its owner's death",
    )
    brief = who == ways.ACCOUNT and str(why).startswith(BRIEF)
    return BrieflyLockedError(problem) if brief else LockedError(problem)


def spell(seconds: float) -> str:
    """12 s, 3 min, 2 h"""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
