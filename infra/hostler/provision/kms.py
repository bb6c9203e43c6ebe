"""What opens a stack's secrets: a passphrase, or a key of AWS KMS; which one it is, and which it shall be."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hostler.cloud.session import asking, client
from hostler.cloud.trouble import AwsError
from hostler.errors import Problem
from hostler.provision import state
from hostler.provision.locations import PASSPHRASE, Locations, settings_of
from hostler.provision.types import ProvisionChange

SCHEME = "awskms://"
DISABLED = frozenset({"DisabledException", "KMSInvalidStateException", "KeyUnavailableException"})
ABSENT = frozenset({"NotFoundException", "InvalidArnException"})
OTHER = frozenset({"InvalidCiphertextException", "IncorrectKeyException", "InvalidKeyUsageException"})


def url(key: str, region: str) -> str:
    """A key as the stack file has it, as Pulumi's secrets provider; `region` where it names none."""
    name, _, query = key.partition("?")
    if name.startswith("arn:"):
        return f"{SCHEME}/{name}?region={name.split(':')[3]}"
    return f"{SCHEME}{name}?{query or f'region={region}'}"


def key_of(address: str) -> tuple[str, str]:
    """(key, region) of a secrets provider of Pulumi."""
    parts = urlsplit(address)
    region = parse_qs(parts.query).get("region", [""])[0]
    return f"{parts.netloc}{parts.path}".lstrip("/"), region


def provider_of(document: state.Document) -> str:
    """What the state's secrets are under; empty: it has none yet."""
    held = state.secrets_provider(document)
    return held.get("secretsprovider") or (PASSPHRASE if held else "")


def wanted(key: str, region: str, document: state.Document) -> str:
    """What they shall be under: the key of the stack file. One that names no region stays in the region that it has."""
    if not key:
        return PASSPHRASE
    now, address = provider_of(document), url(key, region)
    if now.startswith(SCHEME):
        (name, place), (asked, there) = key_of(now), key_of(address)
        if name == asked and (place == there or key == name):
            return now
    return address


def change(key: str, region: str, document: state.Document) -> tuple[ProvisionChange, ...]:
    """That they are encrypted anew; empty where they are as they shall be, or there is nothing yet."""
    now, then = provider_of(document), wanted(key, region, document)
    if now in ("", then):
        return ()
    said = f"encrypted by {words(now)}; by {words(then)} from now on, as is the stack's SSH key"
    return (ProvisionChange(name="secrets of the state", urn="", op="update", details=(said,), kind="state"),)


def words(address: str) -> str:
    if address == PASSPHRASE:
        return "the passphrase"
    name, region = key_of(address)
    return f"KMS key {name}" if name.startswith("arn:") else f"KMS key {name} in {region}"


# -- AWS ------------------------------------------------------------------------------------------------------


def sealed(address: str, text: str) -> str:
    """Encrypted by the key, in base64. Raises AwsError (exit 5): no such key, no right to it."""
    with _asking(address, "Encrypt") as kms:
        answer = kms.encrypt(KeyId=key_of(address)[0], Plaintext=text.encode())
    return base64.b64encode(answer["CiphertextBlob"]).decode()


def opened(address: str, text: str) -> bytes:
    """Raises AwsError (exit 5)."""
    with _asking(address, "Decrypt") as kms:
        return bytes(kms.decrypt(CiphertextBlob=base64.b64decode(text))["Plaintext"])


def check(places: Locations) -> None:
    """Why Pulumi could not open the stack's secrets, or make them. Raises AwsError; silent where the key is as it should
    be."""
    held = settings_of(places)
    address = str(held.get("secretsprovider") or places.secrets)
    if not address.startswith(SCHEME):
        return
    if text := held.get("encryptedkey"):
        opened(address, str(text))
    else:
        sealed(address, "hostler")


@contextmanager
def _asking(address: str, action: str) -> Generator[Any]:
    """A client; its errors in our words, with what is missing."""
    region = key_of(address)[1]
    try:
        with asking(words(address), region):
            yield client("kms", region)
    except AwsError as error:
        raise _said(error, address, action) from error


def _said(error: AwsError, address: str, action: str) -> AwsError:
    (problem,) = error.problems
    name, region = key_of(address)
    expected, step = problem.expected, problem.next_step
    if error.kind == "forbidden":
        expected = f"to be permitted kms:{action} with it"
        step = "let the key's administrator permit kms:Encrypt and kms:Decrypt to these credentials"
    elif error.aws_code in ABSENT:
        expected = "a key of this name"
        step = f"`aws kms list-aliases --region {region}` shows those that are there; make one, or name another one under state.kms"
    elif error.aws_code in DISABLED:
        expected = "a key that may be used now"
        step = f"aws kms enable-key --region {region} --key-id KEY (after cancel-key-deletion, where it is to be deleted)"
    elif error.aws_code in OTHER:
        expected = "the symmetric key by which it was encrypted"
        step = f"look at {name} and at state.kms of the stack file"
    ours = AwsError(Problem(where=problem.where, expected=expected, got=problem.got, next_step=step))
    ours.kind, ours.aws_code = error.kind, error.aws_code
    return ours


# -- what is kept beside the state ----------------------------------------------------------------------------


def enclosed(address: str) -> tuple[str, dict[str, str]]:
    """(a new passphrase for a document of ours, what of it stands in the document)."""
    fresh = secrets.token_urlsafe(32)
    return fresh, {"kms": address, "phrase": sealed(address, fresh)}


def is_enclosed(document: Mapping[str, Any], address: str) -> bool:
    """Whether a document of ours is under what it shall be."""
    return str(document.get("kms") or PASSPHRASE) == address


def phrase_in(document: Mapping[str, Any]) -> str:
    """The document's own passphrase; empty: it is under the stack's."""
    if "kms" not in document:
        return ""
    return opened(str(document["kms"]), str(document["phrase"])).decode()
