"""A repository's OpenPGP key, from beside the repository, kept only when it is the one that is expected.

Fetching it over HTTPS proves nothing of who signs; its fingerprint does. A file with any other key in it is refused:
apt and rpm would trust all of them. What is written is what was looked at, armoured anew: they read more into a file
(other kinds of blocks, text around them) than is looked at here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Iterator, List, Tuple

from ..base import files
from ..base.protocol import Answers, NodeError, Request, text
from ..weights import download

LARGEST = 256 << 10  # bytes
BEGIN, END = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----"
PUBLIC_KEY = 6  # the packet of a primary key


def fetch_key(request: Request, answers: Answers) -> int:
    """`fetch-key -` with {"url", "path", "fingerprints", "sha256"?}: the key lies at `path`. Says {"changed"}.
    `sha256`: of the file without its lines of a version, where its key's fingerprint is not known."""
    path, sha256 = text(request, "path"), str(request.get("sha256") or "")
    wanted = [str(one).upper() for one in request.get("fingerprints") or ()]
    there = files.read(path)
    changed = there is None or bool(sha256) or not trusted(there, wanted) or there != armoured(there)
    if changed:
        url = text(request, "url")
        content = fetched(url)
        if not trusted(content, wanted) and not (sha256 and plain(content) == sha256):
            raise NodeError(
                "key",
                "%s: expected the key %s; got %s"
                % (
                    url,
                    " or ".join(wanted) or "of SHA-256 " + sha256,
                    ", ".join(fingerprints(content)) or "no OpenPGP key",
                ),
                "a mirror that signs anew needs its key in the stack file",
            )
        changed = there != armoured(content)
        if changed:
            files.write(path, armoured(content))
    answers.say(changed=changed)
    return 0


def plain(content: bytes) -> str:
    """SHA-256 of a key's file without the lines that name the program that wrote it."""
    lines = [line for line in content.splitlines(keepends=True) if not line.startswith(b"Version")]
    return hashlib.sha256(b"".join(lines)).hexdigest()


def trusted(content: bytes, wanted: List[str]) -> bool:
    found = fingerprints(content)
    return bool(found) and set(found) <= set(wanted)


def fetched(url: str) -> bytes:
    try:
        source = download.opened(url)
        try:
            content = source.response.read(LARGEST + 1)
        finally:
            source.connection.close()
    except download.Broken as error:
        raise NodeError("network", "%s: %s" % (url, error), "look at the network of this host") from error
    if len(content) > LARGEST:
        raise NodeError("key", "%s: more than %d bytes, which is no key" % (url, LARGEST), "")
    return content


def fingerprints(content: bytes) -> List[str]:
    """Of all primary keys in an armoured or binary file; empty when it is none, or holds one of an old version."""
    try:
        keys = [body for tag, body in packets(dearmoured(content)) if tag == PUBLIC_KEY]
    except (ValueError, IndexError, OverflowError, binascii.Error):
        return []
    if any(body[:1] != b"\x04" for body in keys):
        return []
    return [
        hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()  # noqa: S324 - OpenPGP's own
        for body in keys
    ]


def armoured(content: bytes) -> bytes:
    """One block with the bytes of all; without the checksum, which may be left out (RFC 9580, 6.1)."""
    lines = base64.encodebytes(dearmoured(content)).strip()
    return BEGIN + b"\n\n" + lines + b"\n" + END + b"\n"


def dearmoured(content: bytes) -> bytes:
    """The bytes of all blocks; what is not armoured is as it is."""
    if BEGIN not in content:
        return content
    blocks = [block.partition(END)[0] for block in content.split(BEGIN)[1:]]
    return b"".join(_block(block) for block in blocks)


def _block(block: bytes) -> bytes:
    """Without its headers and its checksum, a line that begins with =."""
    lines = block.replace(b"\r\n", b"\n").lstrip(b"\n").split(b"\n")
    body = [line for line in lines if line and b": " not in line and not line.startswith(b"=")]
    return base64.b64decode(b"".join(body), validate=True)


def packets(content: bytes) -> Iterator[Tuple[int, bytes]]:
    """(tag, body) of each packet, in both formats of headers. Raises ValueError where it is cut or unknown."""
    at = 0
    while at < len(content):
        first = content[at]
        if not first & 0x80:
            raise ValueError("no OpenPGP packet")
        tag, size, at = _new(content, at) if first & 0x40 else _old(content, at)
        if at + size > len(content):
            raise ValueError("cut short")
        yield tag, content[at : at + size]
        at += size


def _old(content: bytes, at: int) -> Tuple[int, int, int]:
    kind = content[at] & 3
    if kind == 3:
        raise ValueError("of no length")
    width = 1 << kind
    return (content[at] >> 2) & 15, int.from_bytes(content[at + 1 : at + 1 + width], "big"), at + 1 + width


def _new(content: bytes, at: int) -> Tuple[int, int, int]:
    tag, one = content[at] & 63, content[at + 1]
    if one < 192:
        return tag, one, at + 2
    if one < 224:
        return tag, ((one - 192) << 8) + content[at + 2] + 192, at + 3
    if one == 255:
        return tag, int.from_bytes(content[at + 2 : at + 6], "big"), at + 6
    raise ValueError("in parts")
