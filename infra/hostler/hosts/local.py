"""This machine as a host: the same door, without SSH."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import IO, BinaryIO, cast

from .transport import LONGEST_ANSWER, STDERR_KEPT, Argv, Result
from .trouble import too_long, trouble
from .words import Prepared, prepare, replace_file


class LocalStream:
    """A running command; its stderr is kept for the reason of a failure."""

    def __init__(
        self, host: str, process: subprocess.Popen[bytes], prepared: Prepared, stderr: IO[bytes]
    ) -> None:
        self.stdin = cast(BinaryIO, process.stdin)
        self.stdout = cast(BinaryIO, process.stdout)
        self._host, self._process, self._prepared, self._stderr = host, process, prepared, stderr

    def wait(self, timeout: float) -> int:
        """The exit status; HostTrouble of kind timeout, or sudo when root could not be had."""
        try:
            rc = _rc(self._process.wait(timeout))
        except subprocess.TimeoutExpired:
            raise too_slow(self._host, timeout) from None
        self._stderr.seek(0)
        if refusal := self._prepared.refusal(self._host, rc, self._stderr.read(4096)):
            raise refusal
        return rc


class LocalTransport:
    """Runs commands here. `name` is the host's."""

    def __init__(self, name: str = "local") -> None:
        self.name = name

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float = 60.0, root: bool = False) -> Result:
        prepared = prepare(argv, root=root)
        try:
            process = _start(prepared)
        except OSError as error:
            return Result(
                host=self.name, argv=tuple(argv), rc=_not_started(error), stderr=str(error).encode()
            )
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            raise too_slow(self.name, timeout) from None
        finally:
            _end(process)
        if len(out) > LONGEST_ANSWER:
            raise too_long(self.name, "an answer", LONGEST_ANSWER)
        rc, err = _rc(process.returncode), err[:STDERR_KEPT]
        if refusal := prepared.refusal(self.name, rc, err):
            raise refusal
        return Result(host=self.name, argv=tuple(argv), rc=rc, stdout=out, stderr=err)

    def put(self, path: str, content: bytes, *, mode: int = 0o644, root: bool = False) -> None:
        raise_failed(self.run(replace_file(path, mode), stdin=content, root=root), f"{path} to be written")

    def get(self, path: str, *, root: bool = False) -> bytes:
        return raise_failed(self.run(("cat", "--", path), root=root), f"{path} to be read").stdout

    @contextmanager
    def open(self, argv: Argv, *, root: bool = False) -> Generator[LocalStream]:
        prepared = prepare(argv, root=root)
        with tempfile.TemporaryFile() as stderr:
            process = _start(prepared, stderr)
            try:
                yield LocalStream(self.name, process, prepared, stderr)
            finally:
                _end(process)

    def close(self) -> None:
        """Nothing stays open."""


def too_slow(host: str, timeout: float) -> Exception:
    return trouble(
        "timeout",
        host,
        expected=f"an answer within {timeout:g} s",
        got="none",
        next_step=f"see what keeps {host} busy, then try again",
    )


def raise_failed(result: Result, expected: str) -> Result:
    """The result, when its rc is 0; else HostTrouble with what the command said."""
    if result.rc == 0:
        return result
    said = result.stderr.decode("utf-8", "replace").strip()
    kind = "disk" if "No space left" in said else "file"
    raise trouble(
        kind,
        result.host,
        expected=expected,
        got=said.rpartition("\n")[2] or f"exit status {result.rc}",
        detail=said,
    )


def _start(prepared: Prepared, stderr: IO[bytes] | int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        prepared.argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        bufsize=-1,
        start_new_session=True,
    )


def _rc(status: int) -> int:
    """As a shell says it: 128 + signal."""
    return status if status >= 0 else 128 - status


def _not_started(error: OSError) -> int:
    return 127 if isinstance(error, FileNotFoundError) else 126


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close its stdin, end what does not end by itself, then close the rest (a reader may hold them until then)."""
    with suppress(BrokenPipeError, ValueError):
        if process.stdin is not None:
            process.stdin.close()
    if process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5.0)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
