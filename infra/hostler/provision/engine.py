"""The Pulumi CLI: found, its version checked, or installed; and run so that an interruption ends it well."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import platformdirs

from hostler.errors import HostlerError, ProvisionError
from hostler.provision.locations import inherited
from hostler.provision.types import Notice, silent

PINNED = "3.259.0"
MINIMUM = (3, 206, 0)  # events over gRPC, inline programs for refresh and destroy
VARIABLE = "HOSTLER_PULUMI"
VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A CLI that may be used."""

    path: Path
    version: str


def cache() -> Path:
    return Path(platformdirs.user_cache_dir("hostler")) / "pulumi"


def find_cli(notice: Notice = silent, *, install: bool = True) -> Command:
    """HOSTLER_PULUMI alone where it is set; else PATH, our cache, and Pulumi's own installer if asked."""
    if named := os.environ.get(VARIABLE):
        return _named(Path(named))
    rejected: list[str] = []
    for path in _candidates():
        version, reason = usable(path)
        if version:
            return Command(path=path, version=version)
        rejected.append(f"{path}: {reason}")
    if not install:
        raise _not_there(cache() / PINNED, rejected, "not installed yet")
    return _install(notice, rejected)


def _candidates() -> list[Path]:
    on_path = shutil.which("pulumi")
    ours = cache() / PINNED / "bin" / "pulumi"
    return [*([Path(on_path)] if on_path else []), *([ours] if ours.exists() else [])]


def _named(path: Path) -> Command:
    path = path / "bin" / "pulumi" if path.is_dir() else path
    version, reason = usable(path)
    if not version:
        raise ProvisionError.of(
            VARIABLE,
            expected=f"the Pulumi CLI, version {_dotted(MINIMUM)} or newer",
            got=f"{path}: {reason}",
            next_step=f"unset {VARIABLE}, or set it to a newer pulumi",
        )
    return Command(path=path, version=version)


def usable(path: Path) -> tuple[str, str]:
    """(version, "") or ("", why not)."""
    try:
        text = _version_text(path)
    except (OSError, subprocess.SubprocessError) as error:
        return "", f"does not run ({error})"
    found = VERSION.match(text)
    if not found:
        return "", f"says no version ({text[:60]!r})"
    numbers = tuple(int(number) for number in found.groups())
    if numbers < MINIMUM or numbers[0] != MINIMUM[0]:
        return "", f"is version {_dotted(numbers)}; needs {MINIMUM[0]}.x from {_dotted(MINIMUM)} on"
    return _dotted(numbers), ""


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in numbers)


def _version_text(path: Path) -> str:
    """Asked once for each file: a start of the CLI is a tenth of a second."""
    status = path.stat()
    key = f"{path} {status.st_size} {status.st_mtime_ns}"
    known = _known_versions()
    if key not in known:
        words = (str(path), "version")
        environ = {
            **inherited(),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_HOME": str(cache()),
        }  # not ~/.pulumi
        answer = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True, env=environ)
        known[key] = answer.stdout.strip()
        _keep_versions(known)
    return known[key]


def _known_versions() -> dict[str, str]:
    try:
        return dict(json.loads((cache() / "versions.json").read_text()))
    except (OSError, ValueError):
        return {}


def _keep_versions(known: Mapping[str, str]) -> None:
    cache().mkdir(parents=True, exist_ok=True)
    part = cache() / f"versions.{os.getpid()}.{threading.get_ident()}.part"
    part.write_text(json.dumps(known))
    part.replace(cache() / "versions.json")


def _install(notice: Notice, rejected: list[str]) -> Command:
    """By Pulumi's own installer, the pinned version, into our cache; two at once make one."""
    import semver
    from pulumi.automation import PulumiCommand

    root = cache() / PINNED
    root.mkdir(parents=True, exist_ok=True)
    notice(f"installing the Pulumi CLI {PINNED} into {root} (once)")
    with (root / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            PulumiCommand.install(root=str(root), version=semver.VersionInfo.parse(PINNED))
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            reason = f"the installer failed: {error}"
            raise _not_there(root, rejected, reason, getattr(error, "output", b"")) from error
    path = root / "bin" / "pulumi"
    version, reason = usable(path)
    if not version:
        raise _not_there(root, rejected, f"installed, but {reason}")
    return Command(path=path, version=version)


def _not_there(root: Path, rejected: list[str], reason: str, output: bytes | None = b"") -> HostlerError:
    return ProvisionError.of(
        "Pulumi CLI",
        expected=f"version {_dotted(MINIMUM)} or newer on PATH, in {VARIABLE}, or an installer that works",
        got="; ".join([*rejected, reason]),
        next_step=f"install Pulumi {PINNED} (https://www.pulumi.com/docs/install/), or copy it to {root}/bin",
        detail=(output or b"").decode(errors="replace")[-2000:],
    )


# -- running ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Process:
    """One run of the CLI in a session of its own: a terminal's Ctrl-C reaches only us, and we pass on
    exactly one SIGINT. After one, calls in flight finish and the lock goes; a second would leave orphans."""

    words: list[str]
    cwd: str
    environ: Mapping[str, str]
    on_start: Callable[[int], object] = silent
    on_end: Callable[[int], object] = silent
    on_output: Callable[[str], object] | None = None
    on_error: Callable[[str], object] | None = None
    interrupted: bool = False
    _popen: subprocess.Popen[str] | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> tuple[int, str, str]:
        """(exit code, stdout, stderr); raises KeyboardInterrupt after the CLI has ended on one."""
        popen = self._start()
        try:
            self.on_start(popen.pid)
            out, err = Pump(popen.stdout, self.on_output), Pump(popen.stderr, self.on_error)
            return self._wait(popen), out.text(), err.text()
        except KeyboardInterrupt:
            self.interrupt()
            self._wait(popen)
            raise
        finally:
            self.on_end(popen.pid)

    def interrupt(self) -> bool:
        """Forwards one SIGINT; False when there is nothing to tell it, or it was told already."""
        with self._guard:
            if self.interrupted:
                return False
            self.interrupted = True
            if self._popen is None or self._popen.poll() is not None:
                return False
            self._popen.send_signal(signal.SIGINT)
            return True

    def kill(self) -> None:
        """For one that was told to stop and does not."""
        with self._guard:
            if self._popen is not None and self._popen.poll() is None:
                self._popen.kill()

    def _start(self) -> subprocess.Popen[str]:
        with self._guard:
            if self.interrupted:
                raise KeyboardInterrupt
            self._popen = subprocess.Popen(
                self.words, cwd=self.cwd, env=dict(self.environ), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
                errors="replace", start_new_session=True,
            )  # fmt: skip
            return self._popen

    def _wait(self, popen: subprocess.Popen[str]) -> int:
        while True:
            try:
                return popen.wait()
            except KeyboardInterrupt:
                self.interrupt()


class Pump:
    """Reads one stream to its end on a thread."""

    def __init__(self, stream: IO[str] | None, callback: Callable[[str], object] | None) -> None:
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(stream, callback), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[str], callback: Callable[[str], object] | None) -> None:
        with stream:
            for line in stream:
                self._lines.append(line.rstrip())
                if callback:
                    callback(line.rstrip())

    def text(self) -> str:
        self._thread.join()
        return "\n".join(self._lines)


def words_of(command: Command, arguments: list[str]) -> list[str]:
    head = arguments[: arguments.index("--")] if "--" in arguments else arguments
    quiet = [] if "--non-interactive" in head else ["--non-interactive"]
    return [str(command.path), *quiet, *arguments]


def search_path(command: Command, environ: Mapping[str, Any]) -> str:
    """The CLI's own folder first: its language plugins lie beside it."""
    return os.pathsep.join([str(command.path.parent), environ.get("PATH", os.defpath)])
