"""Requests in the background: streams and plain answers, short and long, by the openai client and by a raw socket; each
answer must be whole. What is proven of each stands in asker.py; that none was computed twice, in tally.py."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from e2e.desk import Desk

ASKER = Path(__file__).with_name("asker.py")
SHORT = ((4, 0), (16, 0), (48, 0))  # tokens, and milliseconds of pause before each, in a stub engine
END_S = 420.0  # the last answers may be held, too


@dataclass(frozen=True)
class Answer:
    """One request's life, by the clock; `flaw` empty: its answer is whole. `first`: its first token."""

    number: int
    way: str
    tokens: int
    begun: float
    first: float
    ended: float
    id: str
    flaw: str
    pieces: int


class Load:
    """Requests in the background: `clients` at once, at most `rate` a second (0: as fast as they are answered). `at`:
    another address and key than the stack's."""

    def __init__(
        self,
        desk: Desk,
        *,
        at: Mapping[str, str] | None = None,
        model: str = "chat",
        clients: int = 4,
        rate: float = 0.0,
        numbered: bool = False,
        lengths: Sequence[tuple[int, int]] = SHORT,
    ) -> None:
        found = at or desk.connection()
        self.out = desk.operator.directory / f"answers.{uuid.uuid4().hex}"
        self.out.touch()
        settings = {"address": f"{found['address']}/v1", "key": found["key"], "model": model}
        settings |= {"clients": clients, "rate": rate, "numbered": numbered, "lengths": lengths}
        env = {"ASKER": json.dumps(settings | {"out": str(self.out)})}
        words = [sys.executable, str(ASKER)]
        self.process = desk.operator.popen(words, env=env, stdin=subprocess.PIPE)
        self._read: IO[str] = self.out.open(encoding="utf-8")
        self._half = ""
        self.answers: list[Answer] = []

    def __enter__(self) -> Load:
        assert self.process.stdout
        assert self.process.stdout.readline().strip() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()  # with its pipes
        self._read.close()
        self.out.unlink(missing_ok=True)

    def answered(self) -> int:
        """How many were answered so far, whole or not."""
        *lines, self._half = (self._half + self._read.read()).split("\n")
        self.answers += [Answer(**json.loads(line)) for line in lines]
        return len(self.answers)

    def end(self) -> tuple[int, str]:
        """(whole answers, what was broken). None of those that were asked is missing then."""
        out, err = self.process.communicate("\n", timeout=END_S)
        words = out.split()
        assert words, err
        assert words[-1].isdigit(), err
        assert self.answered() == int(words[-1]), "answers are missing"
        assert sorted(answer.number for answer in self.answers) == list(range(1, len(self.answers) + 1))
        broken = [f"{a.number} ({a.way}): {a.flaw}" for a in self.answers if a.flaw]
        twice = [f"the answer {i} came {n} times" for i, n in Counter(self._ids()).items() if n > 1]
        found = [*broken, *twice]
        whole = len(self.answers) - len(broken)
        return whole, f"{len(found)}: {'; '.join(found[:5])}" if found else ""

    def _ids(self) -> list[str]:
        """Not those of an engine that gives each answer the same."""
        return [a.id for a in self.answers if a.id not in ("", "chatcmpl-stub")]
