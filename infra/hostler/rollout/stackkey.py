"""The key by which rented hosts are logged in to: made at the first `up`, kept encrypted beside the state, so that every
laptop with the stack's passphrase, or with rights on its KMS key, has it; here in a file of its user's alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hostler import operator
from hostler.errors import ProvisionError
from hostler.stackfile.sections import StackFile

if TYPE_CHECKING:
    from hostler.provision.fleet import Fleet

# {"private": OpenSSH's own format, encrypted by a passphrase; "public"; and "kms", "phrase" where that one is sealed}
DOCUMENT = "key"
NAME = "id_ed25519"


def path(file: StackFile, fleet: Fleet) -> Path:
    """The private key's file on this machine: the shared one, whatever an earlier plan made here. Raises
    ProvisionError where there is none."""
    place = _place(file)
    document = fleet.document(DOCUMENT)
    if document and _public(place) != document["public"]:
        _write(place, _opened(document["private"].encode(), fleet.unseal(document).encode(), file))
    if not place.exists():
        raise ProvisionError.of(
            f"stack {file.stack.stack}",
            expected="its SSH key beside its state",
            got="none",
            next_step="run this where the stack was made, or `hostler down` with AWS's console at hand",
        )
    return place


def public(file: StackFile, fleet: Fleet) -> str:
    """`ssh-ed25519 AAAA...`; made here where there is none anywhere. Changes nothing but this machine."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    place = _place(file)
    if fleet.document(DOCUMENT):
        path(file, fleet)
    elif not place.exists():
        _write(place, _text(Ed25519PrivateKey.generate(), serialization.NoEncryption()))
    return _public(place)


def share(file: StackFile, fleet: Fleet) -> str:
    """Keeps it beside the state, encrypted as the stack's secrets shall be, where it is not yet; the public half that is
    shared now."""
    from cryptography.hazmat.primitives import serialization

    kept = fleet.document(DOCUMENT)
    if not kept or not fleet.is_sealed(kept):
        shared = public(file, fleet)
        key = serialization.load_ssh_private_key(_place(file).read_bytes(), None)
        phrase, how = fleet.seal()
        locked = serialization.BestAvailableEncryption(phrase.encode())
        fleet.keep(DOCUMENT, {"private": _text(key, locked).decode(), "public": shared, **how})
    return public(file, fleet)


def _public(place: Path) -> str:
    """Of the key in this file; empty where there is none."""
    from cryptography.hazmat.primitives import serialization

    if not place.exists():
        return ""
    key = serialization.load_ssh_private_key(place.read_bytes(), None)
    form = serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, form).decode()


def _place(file: StackFile) -> Path:
    return operator.stack_home(file.stack.stack) / NAME


def _text(key: object, encryption: object) -> bytes:
    from cryptography.hazmat.primitives import serialization

    form = serialization.PrivateFormat.OpenSSH
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)  # type: ignore[attr-defined, no-any-return]


def _opened(text: bytes, phrase: bytes, file: StackFile) -> bytes:
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_ssh_private_key(text, phrase)
    except ValueError as error:
        raise ProvisionError.of(
            f"stack {file.stack.stack}",
            expected="the passphrase that the stack was made with",
            got="another one",
            next_step="set HOSTLER_PASSPHRASE to it",
        ) from error
    return _text(key, serialization.NoEncryption())


def _write(place: Path, text: bytes) -> None:
    """Atomic, and never readable by others."""
    fresh = place.with_name(f".{place.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(text)
    fresh.replace(place)
