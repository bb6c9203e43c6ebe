"""A host that sends without end fills no memory: its channel is ended, and the error says what was expected."""

from __future__ import annotations

import io
import json
import threading
from typing import Any, BinaryIO, cast

import pytest

from hostler.hosts import lines, local
from hostler.hosts.calls import agent_call, agent_stream
from hostler.hosts.channel import STDERR_KEPT, SshStream, exchange
from hostler.hosts.local import LocalTransport
from hostler.hosts.recording import RecordingTransport
from hostler.hosts.trouble import HostTrouble
from hostler.hosts.words import Prepared

LIMIT_S = 10.0
MOST = 1 << 20


class Channel:
    """A paramiko.Channel as far as it is asked: what it sends, and what was read of it."""

    def __init__(self, out: bytes = b"", err: bytes = b"", times: int = 1) -> None:
        self._out, self._err, self._left = io.BytesIO(out), io.BytesIO(err), times
        self.read = 0

    def recv(self, count: int) -> bytes:
        piece = self._out.read(count)
        if not piece and self._left > 1:
            self._left -= 1
            self._out.seek(0)
            piece = self._out.read(count)
        self.read += len(piece)
        return piece

    def recv_stderr(self, count: int) -> bytes:
        return self._err.read(count)

    def makefile_stdin(self, *_: object) -> BinaryIO:
        return io.BytesIO()

    def settimeout(self, _: float) -> None: ...
    def sendall(self, _: bytes) -> None: ...
    def shutdown_write(self) -> None: ...


def of(channel: Channel) -> Any:
    return channel


def test_an_answer_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hostler.hosts.channel.LONGEST_ANSWER", MOST)
    channel = Channel(b"x" * 65536, times=1000)
    with pytest.raises(HostTrouble, match="h: expected an answer of at most 1 MiB; got more") as caught:
        exchange("h", of(channel), b"", float("inf"), 1.0)
    assert (caught.value.kind, caught.value.problem.next_step != "") == ("protocol", True)
    assert channel.read <= 2 * MOST


def test_of_errors_the_beginning_is_kept() -> None:
    channel = Channel(b"out", b"begin" + b"e" * 3 * STDERR_KEPT)
    out, err = exchange("h", of(channel), b"", threading.TIMEOUT_MAX, 1.0)
    assert (out, len(err), err[:6]) == (b"out", STDERR_KEPT, b"begine")


def test_a_stream_gives_lines_of_any_length_and_no_longer_ones_than_asked() -> None:
    stream = SshStream("h", of(Channel(b"a\n" * 50_000 + b"x" * 200_000)), Prepared(argv=()))
    assert [stream.stdout.readline(9) for _ in range(50_000)] == [b"a\n"] * 50_000
    assert (len(stream.stdout.readline(150_000)), len(stream.stdout.readline(150_000))) == (150_000, 50_000)
    assert stream.stdout.readline() == b""


@pytest.mark.parametrize("answer", [b"x" * 1001, b"x" * 1001 + b"\n{}\n", b'{"a": 1}\n' + b" " * 5000])
def test_a_line_without_end_ends_the_talk(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 1000)
    with pytest.raises(HostTrouble, match="h: expected lines of at most") as caught:
        list(agent_stream(RecordingTransport("h", [answer]), "logs"))
    assert caught.value.kind == "protocol"


def test_the_longest_line_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    line = json.dumps({"line": "x" * 500}).encode() + b"\n"
    monkeypatch.setattr(lines, "LONGEST_LINE", len(line))
    first, *_ = agent_stream(RecordingTransport("h", [line * 2]), "logs")
    assert first == json.loads(line)


class Counting(io.BytesIO):
    """`asked` is set once somebody has read so many lines."""

    def __init__(self, data: bytes, many: int) -> None:
        super().__init__(data)
        self.count, self._many, self.asked = 0, many, threading.Event()

    def readline(self, size: int | None = -1, /) -> bytes:
        self.count += 1
        if self.count >= self._many:
            self.asked.set()
        return super().readline(size)


def test_a_host_waits_until_its_lines_are_taken() -> None:
    pipe = Counting(b"{}\n" * 1000, lines.WAITING + 1)
    listening = lines.Lines("h", cast(BinaryIO, pipe))
    listening.start()
    assert pipe.asked.wait(LIMIT_S)
    assert pipe.count == lines.WAITING + 1
    assert [listening.next(LIMIT_S) for _ in range(1001)] == [b"{}\n"] * 1000 + [b""]


def test_the_reader_ends_though_nobody_takes_its_lines() -> None:
    pipe = Counting(b"{}\n" * 1000, lines.WAITING + 1)
    before = set(threading.enumerate())
    listening = lines.Lines("h", cast(BinaryIO, pipe))
    listening.start()
    (reader,) = set(threading.enumerate()) - before
    assert pipe.asked.wait(LIMIT_S)
    listening.close()
    reader.join(LIMIT_S)
    assert not reader.is_alive()


def test_this_machine_keeps_to_it_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "LONGEST_ANSWER", 3)
    assert LocalTransport("h").run(("printf", "abc")).stdout == b"abc"
    with pytest.raises(HostTrouble, match="expected an answer of at most"):
        LocalTransport("h").run(("printf", "abcd"))


def test_an_answer_that_is_nested_without_end_is_none() -> None:
    with pytest.raises(HostTrouble) as caught:
        agent_call(RecordingTransport("h", [b"[" * 200_000]), "probe")
    assert caught.value.kind == "protocol"
