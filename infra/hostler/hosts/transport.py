"""The only door to a machine: run, put, get, open. Quoting of words happens behind it, nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

Argv = Sequence[str]
# What one host may send, so that none fills this machine's memory: bytes
LONGEST_ANSWER = (
    64 << 20
)  # of a command's whole output; the longest that we ask for is a piece of weights, 22 MiB
LONGEST_LINE = 8 << 20  # of one line while a command runs; the longest is a look with all that a host has
STDERR_KEPT = 1 << 20  # the rest of it is read, and forgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A finished command. Bytes: the reader decides how to decode."""

    host: str
    argv: tuple[str, ...]
    rc: int
    stdout: bytes = field(default=b"", repr=False)
    stderr: bytes = field(default=b"", repr=False)


class Stream(Protocol):
    """A running command with both ends open."""

    stdin: BinaryIO
    stdout: BinaryIO

    def wait(self, timeout: float) -> int: ...


class Transport(Protocol):
    """One host. Raises errors.HostError when the host cannot be reached or trusted; a command that
    fails is a Result with its rc, never an exception; one that answers more than LONGEST_ANSWER is ended. `root=True` runs it as root (sudo -n where the
    user is not root)."""

    name: str

    def run(self, argv: Argv, *, stdin: bytes = b"", timeout: float = 60.0, root: bool = False) -> Result: ...

    def put(self, path: str, content: bytes, *, mode: int = 0o644, root: bool = False) -> None: ...

    def get(self, path: str, *, root: bool = False) -> bytes: ...

    def open(self, argv: Argv, *, root: bool = False) -> AbstractContextManager[Stream]: ...

    def close(self) -> None: ...
