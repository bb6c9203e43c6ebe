"""What a transaction of the package manager brings is noted exactly: apt itself says it, before and after dpkg."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import files
from hostler.node.base.protocol import NodeError
from hostler.node.packages import dpkg, installed
from hostler.node.weights import store

from .fakes import Heard

DOCKER = {"name": "docker.io", "alternatives": ["docker-ce"]}
TOOLKIT = {"name": "toolkit", "hold": True}

# what apt 2.6 writes to a hook of version 2; libc6 is updated, runc was removed once and left its settings
SAID = """VERSION 2
APT::Architecture=amd64
Binary=apt-get
DPkg::Pre-Install-Pkgs::=/usr/local/lib/hostler/hostler-node%20packages-coming

runc - < 1.1.5 /var/cache/apt/archives/runc_1.1.5_amd64.deb
libc6 2.36 < 2.37 /var/cache/apt/archives/libc6_2.37_amd64.deb
docker.io - < 20.10 /var/cache/apt/archives/docker.io_20.10_amd64.deb
runc - < 1.1.5 **CONFIGURE**
libc6 2.36 < 2.37 **CONFIGURE**
docker.io - < 20.10 **CONFIGURE**
old 1 > - **REMOVE**
"""


def paragraphs(*names: str, state: str = "install ok installed") -> str:
    return "".join(f"Package: {name}\nStatus: {state}\nVersion: 1\n\n" for name in names)


def status(*names: str) -> None:
    files.write(dpkg.STATUS, paragraphs(*names).encode())


def before(*wanted: dict[str, Any], **more: Any) -> dict[str, Any]:
    heard = Heard()
    installed.packages_before({"op": "packages-before", "wanted": wanted, **more}, heard)
    return heard.last


class Stdin:
    def __init__(self, said: str) -> None:
        self.buffer = io.BytesIO(said.encode())


def coming(monkeypatch: pytest.MonkeyPatch, said: str = SAID) -> dict[str, Any]:
    """apt, about to let dpkg work."""
    heard = Heard()
    monkeypatch.setattr(sys, "stdin", Stdin(said))
    installed.packages_coming({"op": "packages-coming"}, heard)
    return heard.last


def came() -> dict[str, Any]:
    """apt, after dpkg, whatever came of it."""
    heard = Heard()
    installed.packages_came({"op": "packages-came"}, heard)
    return heard.last


def test_what_a_transaction_brings(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status("bash", "libc6")
    assert before(DOCKER) == {"changed": False, "missing": ["docker.io"], "unheld": [], "broken": []}
    assert coming(monkeypatch)["coming"] == ["docker.io", "runc"]
    status("bash", "libc6", "docker.io", "runc", "theirs")
    assert came() == {"changed": True, "new": ["docker.io", "runc"], "why": "2 new"}
    assert installed.brought() == ["docker.io", "runc"]
    assert came() == {"changed": False, "new": [], "why": ""}


def test_a_transaction_that_never_began_collects_nothing(
    short_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`apt-get update` failed, then somebody installs by hand; months later we bring something else."""
    status("bash")
    before(DOCKER, TOOLKIT)
    status("bash", "docker-ce", "postgresql")
    assert before(DOCKER, TOOLKIT)["missing"] == ["toolkit"]
    coming(monkeypatch, "VERSION 2\n\ntoolkit - < 1 /x/toolkit_1_amd64.deb\n")
    status("bash", "docker-ce", "postgresql", "toolkit")
    came()
    assert installed.brought() == ["toolkit"]


def test_a_transaction_that_failed_takes_what_came(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dpkg failed at docker.io; what somebody installs by hand then is theirs, whatever we had planned."""
    status("bash")
    coming(monkeypatch)
    status("bash", "runc")
    came()
    status("bash", "runc", "docker.io")
    assert before(DOCKER)["missing"] == []
    assert installed.brought() == ["runc"]


@pytest.mark.parametrize("again", [True, False], ids=["up", "down"])
def test_a_transaction_that_was_killed(
    short_root: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """dpkg had not got as far as its status file, apt said nothing more; the next run, or `down`, knows it still."""
    status("bash")
    coming(monkeypatch)
    files.write(dpkg.UPDATES + "/0007", paragraphs("runc", state="install reinstreq half-installed").encode())
    files.write(dpkg.UPDATES + "/tmp.i", paragraphs("docker.io").encode())  # not whole
    assert installed.now() == ["bash", "runc"]
    if again:
        assert before(DOCKER) == {"changed": True, "missing": ["docker.io"], "unheld": [], "broken": []}
        assert installed.brought() == ["runc"]
    else:
        assert set(installed.brought()) & set(installed.now()) == {"runc"}


def test_a_second_transaction_settles_the_first(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """apt was killed, and its caller tried again at once."""
    status("bash")
    coming(monkeypatch)
    status("bash", "runc")
    coming(monkeypatch, "VERSION 2\n\ndocker.io - < 20.10 /x/docker.io_20.10_amd64.deb\n")
    status("bash", "runc", "docker.io")
    came()
    assert installed.brought() == ["docker.io", "runc"]


def test_a_look_changes_nothing(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status("bash")
    coming(monkeypatch)
    status("bash", "runc")
    assert before(DOCKER, dry=True) == {
        "changed": False,
        "missing": ["docker.io"],
        "unheld": [],
        "broken": [],
    }
    assert files.read(installed.INSTALLED) is None
    assert files.read(installed.COMING) is not None


def test_apt_is_not_let_on_when_it_does_not_say_what_comes(
    short_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NodeError, match=r"/x/runc_1_amd64\.deb"):
        coming(monkeypatch, "/x/runc_1_amd64.deb\n")


@pytest.mark.parametrize(
    ("there", "missing", "unheld"),
    [
        ((), ["docker.io", "toolkit"], ["toolkit"]),
        (("docker-ce",), ["toolkit"], ["toolkit"]),
        (("docker.io", "toolkit"), [], ["toolkit"]),
    ],
)
def test_what_is_missing(
    short_root: Path, there: tuple[str, ...], missing: list[str], unheld: list[str]
) -> None:
    status(*there)
    said = before(DOCKER, TOOLKIT, dry=True)
    assert (said["missing"], said["unheld"]) == (missing, unheld)


def test_what_is_held_already_and_what_another_does(short_root: Path) -> None:
    text = "Package: toolkit\nStatus: hold ok installed\nVersion: 1\n\n"
    files.write(dpkg.STATUS, text.encode())
    assert before(TOOLKIT, {"name": "x", "alternatives": ["toolkit"], "hold": True})["unheld"] == []


def test_packages_need_room(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "free_bytes", lambda _: 30 << 20)
    status("bash")
    with pytest.raises(NodeError, match=r"need 512.0 MiB below /var; 30.0 MiB are free there"):
        before(DOCKER)
