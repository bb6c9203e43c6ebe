"""A host made of answers, for tests: what was asked is kept, what is answered is given."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from hostler.errors import HostlerError

from .transport import Argv, Result
from .trouble import trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One use of the door."""

    how: str  # run, put, get, open
    argv: tuple[str, ...] = ()
    path: str = ""
    stdin: bytes = field(default=b"", repr=False)
    root: bool = False
    mode: int = 0


Answer = Result | HostlerError | bytes | int
Answers = Sequence[Answer] | Callable[[Call], Answer]


class RecordingStream:
    def __init__(self, stdout: bytes, rc: int) -> None:
        self.stdin: BinaryIO = io.BytesIO()
        self.stdout: BinaryIO = io.BytesIO(stdout)
        self._rc = rc

    def wait(self, timeout: float) -> int:  # noqa: ARG002 - the Protocol's signature
        return self._rc


class RecordingTransport:
    """`answers`: one after the other, or a function of the call. Bytes are stdout with rc 0, a number is an rc,
    an error is raised. What was put can be got."""

    def __init__(self, name: str = "recording", answers: Answers = ()) -> None:
        self.name = name
        self.calls: list[Call] = []
        self.files: dict[str, bytes] = {}
        self.closed = False
        self._answers = answers if callable(answers) else _in_turn(name, answers)

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float = 60.0, root: bool = False) -> Result:  # noqa: ARG002
        return self._answer(Call(how="run", argv=tuple(argv), stdin=stdin, root=root))

    def put(self, path: str, content: bytes, *, mode: int = 0o644, root: bool = False) -> None:
        self.calls.append(Call(how="put", path=path, stdin=content, root=root, mode=mode))
        self.files[path] = content

    def get(self, path: str, *, root: bool = False) -> bytes:
        self.calls.append(Call(how="get", path=path, root=root))
        if path not in self.files:
            raise trouble("file", self.name, expected=f"{path} to be read", got="no such file")
        return self.files[path]

    @contextmanager
    def open(self, argv: Argv, *, root: bool = False) -> Generator[RecordingStream]:
        result = self._answer(Call(how="open", argv=tuple(argv), root=root))
        yield RecordingStream(result.stdout, result.rc)

    def close(self) -> None:
        self.closed = True

    def _answer(self, call: Call) -> Result:
        self.calls.append(call)
        answer = self._answers(call)
        if isinstance(answer, HostlerError):
            raise answer
        if isinstance(answer, Result):
            return answer
        rc, stdout = (answer, b"") if isinstance(answer, int) else (0, answer)
        return Result(host=self.name, argv=call.argv, rc=rc, stdout=stdout)


def _in_turn(name: str, answers: Sequence[Answer]) -> Callable[[Call], Answer]:
    rest = iter(answers)

    def next_answer(call: Call) -> Answer:
        for answer in rest:
            return answer
        raise AssertionError(f"{name}: no answer left for {call}")

    return next_answer
