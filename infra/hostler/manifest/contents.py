"""What a file of a manifest holds: text, a secret by name, what a host makes or fetches. Pure types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Content that may be shown."""

    text: str
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRef:
    """Content that is named here and filled in on the operator's side at the last moment; only its
    SHA-256 is compared. `sha256` empty: this side has no value, so that what is there stays."""

    name: str
    sha256: str
    kind: Literal["secret"] = "secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeOnHost:
    """Content made on `host` (a certificate) under `made` (edge.crt, gateway.crt). On the host
    itself it only has to be there; elsewhere it is the copy that is pinned. `sha256` and `pem` are what
    the probe saw on `host`, None and empty as long as it is not made. `before`: what stands in front of it; a copy then
    on `host`, too, and `sha256` and `pem` are of both together."""

    host: str
    made: str
    sha256: str | None = None
    pem: str = ""
    before: str = ""
    kind: Literal["made"] = "made"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A file that travels with the product and is not text (the host's agent)."""

    name: str  # hostler-node
    sha256: str
    kind: Literal["packed"] = "packed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedKey:
    """A repository's OpenPGP key that the host fetches, and keeps only if its fingerprint is one of these, or its file,
    without the lines of a version, has this SHA-256."""

    url: str
    fingerprints: tuple[str, ...]
    sha256: str = ""
    kind: Literal["key"] = "key"


Content = Text | SecretRef | MadeOnHost | Packed | FetchedKey
