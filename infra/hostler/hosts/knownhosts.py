"""Who is who: the lines of known_hosts, matched as OpenSSH does (hashed, patterns, ports, @revoked)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from .trouble import trouble

KEY = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]+={0,2})(?: [^\x00-\x1f\x7f-\x9f]*)?"
)
NAME = re.compile(r"[^\s#@|,*?!][^\s,*?!]*")  # no pattern, no list, no mark
Verdict = Literal["known", "unknown", "wrong", "revoked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: names (patterns or one hash), the key's type, the key."""

    names: str
    kind: str
    key: bytes
    marker: str = ""  # @revoked, @cert-authority
    at: str = ""  # file:line

    def matches(self, name: str) -> bool:
        if self.names.startswith("|1|"):
            return _hash_matches(self.names, name)
        patterns = self.names.lower().split(",")
        name = name.lower()
        return any(fnmatchcase(name, _literal(p)) for p in patterns if not p.startswith("!")) and not any(
            fnmatchcase(name, _literal(p[1:])) for p in patterns if p.startswith("!")
        )


def load(paths: Iterable[str]) -> tuple[Line, ...]:
    """The lines of all files that exist; what is no line of known_hosts is passed over, as OpenSSH does."""
    return tuple(
        line
        for path in paths
        if os.path.isfile(path)
        for number, text in enumerate(
            Path(path).read_text(encoding="utf-8", errors="replace").splitlines(), 1
        )
        if (line := parse(text, f"{path}:{number}"))
    )


def parse(text: str, at: str = "") -> Line | None:
    words = text.split()
    if not words or words[0].startswith("#"):
        return None
    marker = words.pop(0) if words[0].startswith("@") else ""
    if len(words) < 3 or (key := decode(words[2])) is None:
        return None
    return Line(names=words[0], kind=words[1], key=key, marker=marker, at=at)


def parse_key(text: str) -> tuple[str, bytes] | None:
    """`ssh-ed25519 AAAA... comment`, as it stands in a stack file."""
    words = text.split()
    key = decode(words[1]) if len(words) >= 2 else None
    return None if key is None else (words[0], key)


def one_key(text: str) -> str:
    """`ssh-ed25519 AAAA...` without a comment; empty where it is anything but one key in one line."""
    found = KEY.fullmatch(text.strip())
    return f"{found[1]} {found[2]}" if found else ""


def pinned(name: str, key: str, where: str) -> str:
    """The line that lets `name` have this key and no other. Raises HostTrouble: one line more could speak of all hosts."""
    words = one_key(key)
    if words and NAME.fullmatch(name):
        return f"{name} {words}\n"
    raise trouble(
        "host-key",
        where,
        expected="one name and one public host key: its type and the base64 text, such as ssh-ed25519 AAAA...",
        got=repr(f"{name} {key}"[:200]),
        next_step="correct host_key in the stack file; of a rented host: `hostler down` and `hostler up` make a new one",
    )


def judge(lines: Sequence[Line], name: str, key: bytes) -> tuple[Verdict, tuple[Line, ...]]:
    """What the lines say of `key` as the key of `name`, and the lines that say it."""
    about = tuple(line for line in lines if line.matches(name) and line.marker != "@cert-authority")
    revoked = tuple(line for line in about if line.marker == "@revoked" and line.key == key)
    if revoked:
        return "revoked", revoked
    trusted = tuple(line for line in about if not line.marker)
    if any(line.key == key for line in trusted):
        return "known", trusted
    return ("wrong", trusted) if trusted else ("unknown", ())


def kinds(lines: Sequence[Line], name: str) -> tuple[str, ...]:
    """The key types that are known of `name`: asked for first, else another type's key would look wrong."""
    return tuple(dict.fromkeys(line.kind for line in lines if not line.marker and line.matches(name)))


def fingerprint(key: bytes) -> str:
    """As `ssh-keygen -l` says it: SHA256:..."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def append(path: str, name: str, kind: str, key: str) -> None:
    """Add a line, on a line of its own; the file and its directory are private when they are new."""
    file = Path(path)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with open(handle, "r+b") as out:
        size = out.seek(0, os.SEEK_END)
        out.seek(max(size - 1, 0))
        whole = size == 0 or out.read(1) == b"\n"
        out.write((b"" if whole else b"\n") + f"{name} {kind} {key}\n".encode())


def decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _literal(pattern: str) -> str:
    """Only * and ? are special in known_hosts; brackets are a port's."""
    return pattern.replace("[", "[[]")


def _hash_matches(names: str, name: str) -> bool:
    parts = names.split("|")
    if len(parts) != 4:
        return False
    salt, digest = decode(parts[2]), decode(parts[3])
    if salt is None or digest is None:
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)
