"""Files of a host: atomic writes, JSON, checksums, and where things stand.

Every path goes through `at`, so that tests can put a whole host below a directory of their own.
"""

from __future__ import annotations

import contextlib
import grp
import hashlib
import json
import os
import pwd
import tempfile
from typing import Any, Optional, Tuple

from .protocol import NodeError

STACK = "/etc/hostler/stack.json"
WANTED = "/etc/hostler/wanted"  # <id>.json
APPLIED = "/var/lib/hostler/applied"  # <id>.json
TLS = "/etc/hostler/tls"
PEERS = "/etc/hostler/tls/peers"
DRAIN = "/run/hostler/drain"  # <replica id>
MODELS = "/var/lib/hostler/models"
BESIDE = ".hostler"  # ends the name of what is known of a file of weights, beside it (those may be JSON themselves)
DUE = "/etc/hostler/due"  # <part>: its files were changed, and nobody has loaded them yet
HOME = "/var/lib/hostler/home"  # record.json
COPIES = "/var/lib/hostler/copies"  # <uid>.json
BASELINE = "/var/lib/hostler/baseline.json"
LOCK = "/run/lock/hostler.lock"
BORN = "/etc/hostler-born.json"  # of a rented host's first boot; stays when all else of ours goes
LEASE = "/var/lib/hostler/lease"  # of a rented host: which one, and how many seconds
LEASE_UNITS = (
    "hostler-lease."  # it was born with the timer and the service that end it, which are never ours to take
)
GATEWAY_RUN = "/run/hostler/gateway"
EDGE_RUN = "/run/hostler/edge"
DIED = "/run/hostler/died"  # <id>.json: how a container ended, for who waits for it, and how often
DOCKER_SOCKET = "/var/run/docker.sock"
UNIT = "/etc/systemd/system/hostler@.service"
AGENT = "hostler-node"  # the name of its processes, and of its file
PROGRAM = "/usr/local/lib/hostler/" + AGENT
ACCOUNT = "hostler"

root = ""  # tests: a directory in place of /
CHUNK = 1 << 20


def at(*parts: str) -> str:
    """The path on this machine of an absolute path (and what is below it)."""
    return root + os.path.join(*parts)


def read(path: str) -> Optional[bytes]:
    """The content, or None when it does not exist. Other errors (permissions) are raised as OSError."""
    try:
        with open(at(path), "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_text(path: str, default: str = "") -> str:
    """Text for facts: what cannot be read at all is the default."""
    try:
        content = read(path)
    except OSError:
        return default
    return default if content is None else content.decode("utf-8", "replace")


def read_json(path: str, default: Any = None) -> Any:
    """The parsed document; the default when it does not exist; NodeError of kind `damaged` when it is no JSON."""
    content = read(path)
    if content is None:
        return default
    try:
        return json.loads(content)
    except ValueError as error:
        raise NodeError(
            "damaged", "%s is not JSON: %s" % (path, error), "look at the file, then remove or mend it"
        ) from error


def write(path: str, content: bytes, mode: int = 0o644, owner: str = "", group: str = "") -> None:
    """Replace a file in one step, on disk before it has its name. Parents are made (0755).

    `owner`, `group` empty: those of the process. Raises OSError; a full disk leaves the old file whole.
    """
    target = at(path)
    folder = os.path.dirname(target)
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".hostler-", dir=folder)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fchown(file.fileno(), *ids(owner, group))
            os.fsync(file.fileno())
        os.rename(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(folder)


def write_json(path: str, value: Any, mode: int = 0o644, owner: str = "", group: str = "") -> None:
    write(path, json.dumps(value, indent=1, sort_keys=True).encode() + b"\n", mode, owner, group)


def remove(path: str) -> bool:
    """Remove a file; whether it was there."""
    try:
        os.unlink(at(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def ids(owner: str = "", group: str = "") -> Tuple[int, int]:
    """Numeric ids of account names; -1 (leave as it is) for an empty one. Raises NodeError for an unknown one."""
    try:
        return (pwd.getpwnam(owner).pw_uid if owner else -1, grp.getgrnam(group).gr_gid if group else -1)
    except KeyError as error:
        raise NodeError(
            "account",
            "there is no account %s on this host" % error,
            "run `hostler up`: the base role makes it",
        ) from error


def sha256_of(path: str, limit: int = -1) -> str:
    """SHA-256 of a file, hexadecimal; empty when it is larger than `limit` bytes."""
    digest = hashlib.sha256()
    with open(at(path), "rb") as file:
        if 0 <= limit < os.fstat(file.fileno()).st_size:
            return ""
        while True:
            chunk = file.read(CHUNK)
            if not chunk:
                return digest.hexdigest()
            digest.update(chunk)
