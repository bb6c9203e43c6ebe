"""A repository's key is kept only when its fingerprint is the expected one."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostler.node.base.protocol import NodeError
from hostler.node.packages import pgpkey

from .conftest import Call
from .web import web

PINNED = Path(__file__).parents[3] / "infra/hostler/configure/keys/nvidia-container-toolkit.asc"
FINGERPRINT = "C95B321B61E88C1809C4F759DDCAE044F796ECB0"
PATH = "/usr/share/keyrings/x.asc"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[bytes, str]]:
    """Another key, and its fingerprint as gpg itself counts it."""
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    env = os.environ | {"GNUPGHOME": str(home)}

    def gpg(*words: str) -> bytes:
        return subprocess.run(
            ["gpg", "-q", "--batch", *words], env=env, check=True, capture_output=True
        ).stdout

    gpg("--passphrase", "", "--quick-gen-key", "x <x@localhost>", "ed25519", "sign", "never")
    found = re.search(rb"^fpr:+([0-9A-F]{40}):", gpg("--with-colons", "--fingerprint"), re.MULTILINE)
    assert found
    yield gpg("--export"), found[1].decode()
    subprocess.run(["gpgconf", "--kill", "gpg-agent"], env=env, check=False, capture_output=True)


def test_fingerprints_are_those_of_gpg(other: tuple[bytes, str]) -> None:
    assert pgpkey.fingerprints(PINNED.read_bytes()) == [FINGERPRINT]
    assert pgpkey.fingerprints(other[0]) == [other[1]]


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"\x99", b"\x99\x01", b"\xff\xff\xff", pgpkey.BEGIN + b"\n\n?"]
)
def test_what_is_no_key_has_none(content: bytes) -> None:
    assert pgpkey.fingerprints(content) == []
    assert not pgpkey.trusted(content, [FINGERPRINT])


def test_a_second_key_in_the_file_is_not_trusted(other: tuple[bytes, str]) -> None:
    both = pgpkey.dearmoured(PINNED.read_bytes()) + other[0]
    assert not pgpkey.trusted(both, [FINGERPRINT])
    assert not pgpkey.trusted(PINNED.read_bytes() + PINNED.read_bytes(), [other[1]])
    assert pgpkey.trusted(both, [FINGERPRINT, other[1]])


def test_the_right_key_is_kept_and_a_second_time_nothing_is_asked(root: Path, call: Call) -> None:
    with web() as site:
        site.content = PINNED.read_bytes()
        ask = {"url": site.url("/key.pub"), "path": PATH, "fingerprints": [FINGERPRINT]}
        assert [call("fetch-key", **ask)["changed"] for _ in "12"] == [True, False]
        assert len(site.asked) == 1
    assert pgpkey.dearmoured((root / PATH[1:]).read_bytes()) == pgpkey.dearmoured(PINNED.read_bytes())


def test_only_what_was_looked_at_is_written(root: Path, call: Call, other: tuple[bytes, str]) -> None:
    """apt takes blocks of any kind, and what it is given here would be two keys to it."""
    smuggled = base64.encodebytes(other[0])
    block = b"-----BEGIN PGP MESSAGE-----\n\n" + smuggled + b"-----END PGP MESSAGE-----\n"
    place = root / PATH[1:]
    with web() as site:
        site.content = block + PINNED.read_bytes()
        ask = {"url": site.url("/key.pub"), "path": PATH, "fingerprints": [FINGERPRINT]}
        assert call("fetch-key", **ask)["changed"]
        assert smuggled not in place.read_bytes()
        place.write_bytes(block + place.read_bytes())
        assert call("fetch-key", **ask)["changed"], "one that was put there is replaced"
    assert smuggled not in place.read_bytes()
    shown = subprocess.run(
        ["gpg", "--show-keys", "--with-colons", place], check=True, capture_output=True
    ).stdout
    assert re.findall(rb"^pub.*\n^fpr:+(\w+):", shown, re.MULTILINE) == [FINGERPRINT.encode()]


def test_another_key_is_refused_with_both_fingerprints(
    root: Path, call: Call, other: tuple[bytes, str]
) -> None:
    with web() as site:
        site.content = other[0]
        with pytest.raises(NodeError, match=f"expected the key {FINGERPRINT}; got {other[1]}"):
            call("fetch-key", url=site.url("/key.pub"), path=PATH, fingerprints=[FINGERPRINT])
    assert not (root / PATH[1:]).exists()
