"""Running commands, waiting for conditions, and processes that are known again by pid and start time."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path


class LabError(Exception):
    """Something about the lab itself; the message is one line a person can act on."""


def sh(*argv: str | Path, check: bool = True, stdin: str | bytes | None = None) -> str:
    """Runs a command on this machine and returns its standard output."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run([str(a) for a in argv], capture_output=True, input=data, check=False)
    if check and done.returncode:
        tail = (done.stderr or done.stdout).decode(errors="replace").strip()[-2000:]
        raise LabError(f"{argv[0]} failed ({done.returncode}): {tail}")
    return done.stdout.decode(errors="replace")


def wait_for[T](what: str, probe: Callable[[], T], limit: float = 30.0, every: float = 0.03) -> T:
    """Asks again until the answer is true; says what was waited for when the limit has passed."""
    end = time.monotonic() + limit
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > end:
            raise LabError(f"waited {limit:g} s for {what}")
        time.sleep(every)


def _start_time(pid: int) -> int:
    """The start time in clock ticks after boot, or 0 where there is no such live process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


@dataclass(frozen=True)
class Process:
    """A process by pid and start time: a pid used again by another process is not it."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "Process":
        return cls(pid, _start_time(pid))

    @property
    def alive(self) -> bool:
        return self.started != 0 and _start_time(self.pid) == self.started

    def kill(self, number: int = signal.SIGKILL, limit: float = 20.0) -> None:
        """Sends the signal and waits until the process is gone."""
        if not self.alive:
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        wait_for(f"the end of process {self.pid}", self._ended, limit)

    def _ended(self) -> bool:
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return not self.alive

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "Process | None":
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return None


def background(argv: Sequence[str | Path], log: Path, env: dict[str, str] | None = None) -> Process:
    """Starts a process of its own session that outlives this one."""
    with log.open("ab") as out, Path(os.devnull).open("rb") as nothing:
        actions = [
            (os.POSIX_SPAWN_DUP2, source.fileno(), target)
            for source, target in ((nothing, 0), (out, 1), (out, 2))
        ]
        words = [str(a) for a in argv]
        environment = dict(os.environ) if env is None else env
        return Process.of(os.posix_spawnp(words[0], words, environment, file_actions=actions, setsid=True))


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError, IndexError):
            if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(entry.name))
    return found
