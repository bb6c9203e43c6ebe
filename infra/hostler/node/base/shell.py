"""Running commands on the host: words, never a shell line; always with a limit; rc is the whole truth."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

MISSING = 127  # rc of a command that is not there
TIMED_OUT = 124  # rc of a command that was ended at its limit
FORBIDDEN = 126  # rc of a command that may not be started
BACKGROUND = "HOSTLER_BACKGROUND"  # in the environment of a download that nobody waits for yet

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Result(NamedTuple):
    """`left`: its process, where it stays behind though it was killed: a driver hangs."""

    argv: Tuple[str, ...]
    rc: int
    stdout: str
    stderr: str
    left: int = 0

    @property
    def ok(self) -> bool:
        return self.rc == 0

    @property
    def why(self) -> str:
        """The last line of what it said, for error messages."""
        lines = [line.strip() for line in (self.stderr or self.stdout).splitlines() if line.strip()]
        if lines:
            return lines[-1]
        return "%s ended with status %d and said nothing" % (self.argv[0], self.rc)


def run(
    argv: Sequence[str], timeout: float = 30.0, stdin: bytes = b"", env: Optional[Mapping[str, str]] = None
) -> Result:
    """Run `argv` in the C locale, `timeout` in seconds; the whole process group is ended at the limit.

    `env` is added to the environment. Never raises: not there is rc 127, too slow rc 124.
    """
    words = tuple(argv)
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(env),
            start_new_session=True,
        )
    except FileNotFoundError:
        return Result(words, MISSING, "", "%s: not installed" % words[0])
    except OSError as error:
        return Result(words, FORBIDDEN, "", "%s: %s" % (words[0], error.strerror))
    try:
        out, err = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        left = 0 if end_group(process) else process.pid
        return Result(words, TIMED_OUT, "", "%s: no answer in %g s" % (words[0], timeout), left)
    return Result(words, process.returncode, decode(out), decode(err))


def environment(extra: Optional[Mapping[str, str]] = None) -> Dict[str, str]:
    """The agent's own environment in the C locale, with a full PATH (a login without sbin is common)."""
    env = {**os.environ, "LC_ALL": "C", "PATH": os.environ.get("PATH", "") + ":" + PATH}
    env.update(extra or {})
    return env


def end_group(process: "subprocess.Popen[bytes]") -> bool:
    """End a process that was started in its own session, with its children; whether it has: it is not waited for for
    ever."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(1.0)
    except subprocess.TimeoutExpired:
        return False  # in uninterruptible sleep (a hung driver): it stays behind, we go on
    return True


def decode(data: bytes) -> str:
    return data.decode("utf-8", "replace")
