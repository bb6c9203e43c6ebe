"""Secrets where they are needed and at the last moment: from the environment, a command, or a file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from hostler.configure.doors import TLS_KEY, own_file
from hostler.errors import StackFileError
from hostler.hosts import ways
from hostler.stackfile import foreign
from hostler.stackfile.sections import Secret, StackFile, TlsFiles

HUB = "HF_TOKEN"
LIMIT_S = 60.0


def value(file: StackFile, name: str) -> str:
    """The secret's value; empty when the stack file does not name it. Its errors never show it."""
    if name == TLS_KEY:
        return _tls_key(file)
    if name in file.stack.secrets and (there := ways.folder()):
        return _given(there, name)
    foreign.refuse(file, f"secrets.{name}")
    secret = file.stack.secrets.get(name)
    if secret is None:
        return ""
    found = _from_command(file, name, secret.command) if secret.command else _from_place(file, name, secret)
    if not found:
        raise _lacking(file, name, "nothing")
    return found


def _tls_key(file: StackFile) -> str:
    """The private key that gateway.tls names."""
    return (
        own_file(file, tls.key, "key").decode() if isinstance(tls := file.stack.gateway.tls, TlsFiles) else ""
    )


def digests(file: StackFile, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of each: what is compared, so that one that changed is brought to where it is needed."""
    return {name: _digest(file, name) for name in names}


def _digest(file: StackFile, name: str) -> str:
    """Empty where this machine has no value for it: another's may have brought one."""
    try:
        found = value(file, name)
        return sha256(found.encode()).hexdigest() if found else ""
    except StackFileError:
        return ""


def _given(folder: Path, name: str) -> str:
    """What `up` gave the controller; one that it does not need is empty."""
    try:
        return (folder / "secrets" / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def values(file: StackFile, names: Iterable[str]) -> dict[str, str]:
    return {name: value(file, name) for name in sorted(set(names)) if name}


def _from_place(file: StackFile, name: str, secret: Secret) -> str:
    if secret.file:
        path = Path(file.path).parent / Path(secret.file).expanduser()
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise _lacking(file, name, f"{path}: {error.strerror}") from error
    return os.environ.get(secret.env or name, "").strip()


def _from_command(file: StackFile, name: str, command: str) -> str:
    """The user's own shell line from the user's own file, never one of the record's; its output is never shown."""
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command], capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _lacking(file, name, f"a command that did not end in {LIMIT_S:.0f} s") from error
    if done.returncode:
        raise _lacking(file, name, f"a command that ended with {done.returncode}")
    return done.stdout.strip()


def _lacking(file: StackFile, name: str, got: str) -> StackFileError:
    return StackFileError.of(
        file.where(f"secrets.{name}"),
        expected=f"a value for {name}",
        got=got,
        next_step=f"set {name} in the environment, or name a file or a command under secrets",
    )
