"""What every transport promises."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hostler.errors import HostError
from hostler.hosts.recording import RecordingTransport
from hostler.hosts.transport import STDERR_KEPT, Argv, Transport

NASTY = [
    "", " ", "a b", "'", '"', "$HOME", "`id`", "$(id)", ";echo inject", "&& false", "| cat", "*", "~", "\\", "\\n", "new\nline", "\t",
    "-n", "--", "#", "!", "{a,b}", "ä€", "a'b\"c\\d", ">/tmp/x", "\x7f",
]  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "rc"),
    [
        (("true",), 0),
        (("test", "-d", "/;no"), 1),
        (("sh", "-c", "exit 42"), 42),
        (("no-such-command-here",), 127),
        (("sh", "-c", "exit 126"), 126),
    ],
)
def test_rc_is_the_whole_truth(transport: Transport, argv: Argv, rc: int) -> None:
    assert transport.run(argv).rc == rc
    assert transport.run(argv, root=True).rc == rc


def test_words_stay_words(transport: Transport) -> None:
    show = "import sys, json; sys.stdout.write(json.dumps(sys.argv[1:]))"
    import json

    for root in (False, True):
        result = transport.run(("python3", "-c", show, *NASTY), root=root)
        assert json.loads(result.stdout) == NASTY


def test_bytes_pass_unchanged(transport: Transport) -> None:
    data = bytes(range(256)) * 4096  # 1 MiB, more than any pipe or window holds at once
    result = transport.run(("cat",), stdin=data)
    assert result.rc == 0
    assert result.stdout == data


def test_big_output_on_both_sides(transport: Transport) -> None:
    writer = "import sys; sys.stderr.write('e' * 3000000); sys.stdout.write('o' * 3000000)"
    result = transport.run(("python3", "-c", writer))
    assert (result.rc, len(result.stdout), len(result.stderr)) == (0, 3000000, STDERR_KEPT)


def test_an_answer_without_end_is_an_error(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    for door in ("channel", "local"):
        monkeypatch.setattr(f"hostler.hosts.{door}.LONGEST_ANSWER", 1 << 20)
    writer = "import sys; sys.stdout.write('o' * 3000000)"
    with pytest.raises(HostError, match="expected an answer of at most 1 MiB; got more"):
        transport.run(("python3", "-c", writer))
    assert transport.run(("echo", "again")).stdout == b"again\n"


def test_stdin_that_nobody_reads_is_no_error(transport: Transport) -> None:
    assert transport.run(("sh", "-c", "exit 5"), stdin=b"x" * 5_000_000).rc == 5


def test_a_signal_is_128_and_more(transport: Transport) -> None:
    assert transport.run(("sh", "-c", "kill -9 $$")).rc >= 128


def test_too_slow_is_an_error_in_time(transport: Transport) -> None:
    started = time.monotonic()
    with pytest.raises(HostError) as caught:
        transport.run(("sleep", "60"), timeout=0.5) if not isinstance(
            transport, RecordingTransport
        ) else _slow(transport)
    assert "0.5 s" in str(caught.value)
    assert time.monotonic() - started < 5


def _slow(transport: RecordingTransport) -> None:
    from hostler.hosts.local import too_slow

    raise too_slow(transport.name, 0.5)


def test_put_and_get(transport: Transport, tmp_path: Path) -> None:
    path = str(tmp_path / "a 'file'; -n")
    transport.put(path, b"one\0two", mode=0o640)
    transport.put(path, b"three", mode=0o600)
    assert transport.get(path) == b"three"
    if not isinstance(transport, RecordingTransport):
        assert os.stat(path).st_mode & 0o7777 == 0o600
        assert os.listdir(tmp_path).count(os.path.basename(path)) == 1
        assert not [name for name in os.listdir(tmp_path) if name.startswith(".hostler")]


def test_what_cannot_be_put_or_got_is_an_error(transport: Transport, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"[Nn]o such file"):
        transport.get(str(tmp_path / "missing"))
    if not isinstance(transport, RecordingTransport):
        with pytest.raises(HostError, match="to be written"):
            transport.put(str(tmp_path / "no" / "folder"), b"x")


def test_open_talks_both_ways(transport: Transport) -> None:
    if isinstance(transport, RecordingTransport):
        with RecordingTransport("h", [b"one\n"]).open(("cat",)) as stream:
            assert stream.stdout.readline() == b"one\n"
            assert stream.wait(1) == 0
        return
    with transport.open(("sh", "-c", 'while read -r l; do echo "<$l>"; done; exit 7')) as stream:
        for word in (b"one", b"two"):
            stream.stdin.write(word + b"\n")
            stream.stdin.flush()
            assert stream.stdout.readline() == b"<" + word + b">\n"
        stream.stdin.close()
        assert stream.stdout.readline() == b""
        assert stream.wait(5) == 7
