"""Asking the piped agent: one request, its progress lines, its answer. Nothing needs to be installed."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

from hostler.errors import HostlerError

from . import agent
from .lines import Lines
from .transport import Result, Stream, Transport
from .trouble import HostTrouble, from_agent, trouble

Json = dict[str, Any]
NO_PYTHON = agent.NO_PYTHON  # rc: the shell, or env, found none
SYSTEM = re.compile(r"\((\w+) (\d+)[\d.]*\)")  # as agent.FIND names it
# Which command brings a Python that is new enough, by distribution and major version, or by distribution.
BRINGS: Mapping[str, str] = {
    **{f"{name} 8": "dnf install -y python3.12" for name in ("rhel", "rocky", "almalinux")},
    **dict.fromkeys(("rhel", "rocky", "almalinux"), "dnf install -y python3"),
    **dict.fromkeys(("debian", "ubuntu"), "apt-get install -y python3"),
}
OLD_PYTHON = "python"  # the error that agent.BOOT itself answers


def agent_call(
    transport: Transport,
    op: str,
    *,
    run_id: str = "",
    timeout: float = 60.0,
    root: bool = True,
    **request: Any,
) -> Json:
    """The answer to `op`, the last line. Raises HostTrouble, AgentError, LockedError (another stack's host) or
    RefusedError. `timeout` in seconds; `run_id` empty for what only reads."""
    stdin = agent.preamble() + line_of(op, run_id, request)
    result = transport.run(agent.command(run_id), stdin=stdin, timeout=timeout, root=root)
    lines = [line for line in result.stdout.splitlines() if line.strip()]
    return finished(transport.name, op, lines[-1] if lines else b"", result.rc, result.stderr)


def agent_stream(
    transport: Transport,
    op: str,
    *,
    run_id: str = "",
    timeout: float = 60.0,
    root: bool = True,
    **request: Any,
) -> Generator[Json, None, Json]:
    """The progress lines of `op` as they come; the answer is what the generator returns (`yield from`), and
    also its last line. `timeout`: seconds of silence, not in all. Raises as agent_call does."""
    with talk(transport, op, run_id=run_id, root=root, **request) as conversation:
        last: Json = {}
        while (line := conversation.hear(timeout)) is not None:
            if "error" not in line:
                yield line
            last = line
        return finished(
            transport.name, op, json.dumps(last).encode() if last else b"", conversation.wait(10.0), b""
        )


def line_of(op: str, run_id: str, request: Json) -> bytes:
    marked = {"op": op, "run": run_id} if run_id else {"op": op}
    return json.dumps({**request, **marked}).encode() + b"\n"


def finished(host: str, op: str, line: bytes, rc: int, stderr: bytes) -> Json:
    """A last line and an rc as an answer, or as the error that they tell of."""
    answer = _parsed(line)
    if answer is None:
        raise _no_answer(host, Result(host=host, argv=(op,), rc=rc, stdout=line, stderr=stderr))
    if answer.get("error") == OLD_PYTHON:
        raise no_python(host, str(answer.get("message", "")))
    if "error" in answer or rc != 0:
        raise from_agent(host, op, answer, rc)
    return answer


def _parsed(line: bytes) -> Json | None:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):  # nested without end
        return None
    return cast(Json, value) if isinstance(value, dict) else None


def no_python(host: str, got: str) -> HostTrouble:
    least = ".".join(map(str, agent.LEAST_PYTHON))
    found = SYSTEM.search(got)
    name, major = found.groups() if found else ("", "")
    brings = BRINGS.get(f"{name} {major}") or BRINGS.get(name)
    return trouble(
        "python", host, expected=f"python3, {least} or newer", got=got,
        next_step=f"there: sudo {brings}" if brings else "install it there, your distribution's own way",
    )  # fmt: skip


def _no_answer(host: str, result: Result) -> HostlerError:
    said = (result.stderr or result.stdout).decode("utf-8", "replace").strip()
    if result.rc == NO_PYTHON:
        return no_python(host, said.rpartition("\n")[2] or "no python3")
    full = "No space left" in said
    return trouble(
        "disk" if full else "protocol", host, expected="an answer of the agent", got=said.rpartition("\n")[2] or f"exit status {result.rc}",
        next_step="make room on its disk" if full else "does the login print something, or end at once? try `ssh HOST python3 -V`",
        detail=said,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conversation:
    """A running agent: lines out, lines in."""

    host: str
    stream: Stream
    lines: Lines

    def say(self, line: bytes) -> None:
        """Raises OSError when the connection is gone."""
        self.stream.stdin.write(line)
        self.stream.stdin.flush()

    def hear(self, timeout: float) -> Json | None:
        """The next answer, None at the end; what a login's own scripts print is passed over. Raises HostTrouble of
        kind timeout, or protocol for a line without end."""
        while True:
            line = self.lines.next(timeout)
            if line is None:
                raise self._silent(timeout)
            if not line:
                return None
            if (value := _parsed(line)) is not None:
                return value

    def _silent(self, timeout: float) -> HostTrouble:
        return trouble(
            "timeout",
            self.host,
            expected=f"a sign of life within {timeout:g} s",
            got="silence",
            next_step="look at the host, then try again",
        )

    def wait(self, timeout: float) -> int:
        return self.stream.wait(timeout)


@contextmanager
def talk(
    transport: Transport, op: str, *, run_id: str = "", root: bool = True, **request: Any
) -> Generator[Conversation]:
    """Start `op` and keep both ends open."""
    with transport.open(agent.command(run_id), root=root) as stream:
        conversation = Conversation(transport.name, stream, Lines(transport.name, stream.stdout))
        with suppress(OSError):  # it ended already: hear() finds the end, wait() the reason
            conversation.say(agent.preamble() + line_of(op, run_id, request))
        conversation.lines.start()
        try:
            yield conversation
        finally:
            conversation.lines.close()
