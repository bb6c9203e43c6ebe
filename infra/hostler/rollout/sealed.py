"""What a saved plan keeps of secrets: one seal over all values, that only the machine that made the plan can compare.

A SHA-256 of a person's passphrase in a file is that passphrase, for who guesses long enough. So there is none in it: the seal
is an HMAC by a random key that stays in this machine's memory (adr/0039).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import replace

from hostler import operator
from hostler.configure.types import Plan
from hostler.manifest.contents import SecretRef
from hostler.manifest.items import File, Manifest

NAME = "plans.json"  # of this machine's memory
VALUE = "a secret's value"
ELSEWHERE = "a plan of another machine, which alone can tell whether secrets are the same"


def sealed(plan: Plan) -> Plan:
    """The plan as it is saved: without digests of secrets."""
    digests = _digests(plan)
    bare = {host: _bare(manifest) for host, manifest in plan.manifests.items()}
    return replace(
        plan, manifests=bare, secrets=_seal(_key(make=True), plan.stack, digests) if digests else ""
    )


def same(saved: Plan, now: Plan) -> bool:
    """Whether all secrets have the values that they had. `saved`: from a file, or one that was just made."""
    if not saved.secrets:
        return _digests(saved) == _digests(now)
    return hmac.compare_digest(saved.secrets, _seal(_key(), saved.stack, _digests(now)))


def is_here(saved: Plan) -> bool:
    """Whether this machine can compare the values at all."""
    maker = saved.secrets.partition(":")[0]
    return not maker or hmac.compare_digest(maker, _maker(_key()))


def _seal(key: bytes, stack: str, digests: Mapping[str, str]) -> str:
    """MAKER:SEAL, where MAKER tells keys from each other."""
    text = json.dumps([stack, digests], sort_keys=True).encode()
    return f"{_maker(key)}:{hmac.digest(key, text, hashlib.sha256).hex()}"


def _maker(key: bytes) -> str:
    return hmac.digest(key, b"maker", hashlib.sha256).hex()[:16]


def _key(*, make: bool = False) -> bytes:
    """This machine's, 0600; one that fits nothing where it has none yet."""
    path = operator.state_home() / NAME
    found = str(operator.read_json(path).get("key", ""))
    if not found:
        found = secrets.token_hex(32)
        if make:
            operator.write_json(path, {"key": found})
    return bytes.fromhex(found)


def _digests(plan: Plan) -> dict[str, str]:
    """Of the secrets that have a value here, by host and place."""
    return {
        f"{host}:{file.path}": file.content.sha256
        for host, manifest in plan.manifests.items()
        for file in manifest.files
        if isinstance(file.content, SecretRef) and file.content.sha256
    }


def _bare(manifest: Manifest) -> Manifest:
    return replace(manifest, files=tuple(map(_without, manifest.files)))


def _without(file: File) -> File:
    """A secret's name stays, and that there is one."""
    if not isinstance(file.content, SecretRef):
        return file
    return replace(file, content=replace(file.content, sha256=""))
