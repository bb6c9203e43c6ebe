"""apt: what it says as steps, what it is told, and its failures in its own words."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import shell
from hostler.node.base.protocol import NodeError
from hostler.node.base.shell import Result
from hostler.node.upgrades import apt
from hostler.node.upgrades.kinds import Step

SAID = """NOTE: This is only a simulation!
Reading package lists...
Inst openssl [3.0.11-1~deb12u1] (3.0.16-1~deb12u1 Debian:12.11/stable, Debian-Security:12/stable-security [amd64]) []
Inst libssl3:i386 [3.0.11-1] (3.0.16-1 Debian-Security:12/stable-security [i386])
Inst linux-image-6.1.0-40-amd64 (6.1.153-1 Debian-Security:12/stable-security [amd64])
Inst local-thing [1.0] (1.1 localhost [all]) [more:amd64 on local-thing:amd64] [x:amd64 ]
Conf openssl (3.0.16-1~deb12u1 Debian:12.11/stable, Debian-Security:12/stable-security [amd64])
"""


class Apt:
    """Answers by the first words that fit; what was run, with its environment."""

    def __init__(self) -> None:
        self.answers: dict[str, Result] = {}
        self.ran: list[str] = []
        self.env: dict[str, str] = {}

    def run(self, argv: tuple[str, ...], *_: Any, env: Any = None, **__: Any) -> Result:
        line = " ".join(argv)
        self.ran.append(line)
        self.env = dict(env or {})
        return next((found for part, found in self.answers.items() if part in line), Result(argv, 0, "", ""))

    def says(self, part: str, out: str = "", err: str = "", rc: int = 0) -> None:
        self.answers[part] = Result((), rc, out, err)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Apt:
    made = Apt()
    monkeypatch.setattr(shell, "run", made.run)
    monkeypatch.setattr(apt, "PAUSE", 0.0)
    return made


def test_steps_of_a_simulation() -> None:
    fix = "Debian-Security:12/stable-security"
    assert apt.steps(SAID) == [
        Step("openssl", "3.0.11-1~deb12u1", "3.0.16-1~deb12u1", ("Debian:12.11/stable", fix)),
        Step("libssl3:i386", "3.0.11-1", "3.0.16-1", (fix,)),
        Step("linux-image-6.1.0-40-amd64", "", "6.1.153-1", (fix,)),
        Step("local-thing", "1.0", "1.1", ("localhost",)),
    ]


MADISON = """   openssl | 3.0.13-0ubuntu3.6 | http://archive.ubuntu.com/ubuntu noble-updates/main amd64 Packages
   openssl | 3.0.13-0ubuntu3.5 | http://security.ubuntu.com/ubuntu noble-security/main amd64 Packages
   openssl | 3.0.13-0ubuntu3 | http://archive.ubuntu.com/ubuntu noble/main amd64 Packages
 vim-tiny | 2:9.1-2 | http://archive.ubuntu.com/ubuntu noble-updates/main amd64 Packages
 vim-tiny | 2:9.1-1 | http://security.ubuntu.com/ubuntu noble-security/main amd64 Packages
  pinned | 3 | http://security.ubuntu.com/ubuntu noble-security/main amd64 Packages
 libx1:i386 | 1.5 | https://esm.ubuntu.com/infra/ubuntu noble-infra-security/main i386 Packages
   tzdata | 2025b | http://security.ubuntu.com/ubuntu noble-security/main Sources
"""
UPDATES = "Ubuntu:24.04/noble-updates"
HIDDEN = [
    ("openssl", "3.0.13-0ubuntu3", "3.0.13-0ubuntu3.6", "security"),
    ("vim-tiny", "2:9.1-1", "2:9.1-2", "packages"),  # the fix is here already
    ("pinned", "1", "2", "packages"),  # the fix does not come
    ("libx1:i386", "1.0", "2.0", "security"),
    ("tzdata", "2025a", "2025b", "packages"),  # of a source
    ("docker.io", "1", "2", "docker"),
]


def test_fixes_that_updates_hide_are_fixes(system: Apt, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "".join(f"Inst {name} [{now}] ({then} {UPDATES} [amd64])\n" for name, now, then, _ in HIDDEN)
    system.says("upgrade --with-new-pkgs", said)
    system.says("madison", MADISON)
    monkeypatch.setattr(apt, "is_newer", lambda version, than: version > than)  # pyright: ignore[reportUnknownLambdaType]
    assert [(step.name, step.now, step.then, step.kind) for step in apt.due()] == HIDDEN
    assert "apt-cache madison openssl vim-tiny pinned libx1 tzdata" in system.ran
    system.says("madison", "", "E: No packages found", 100)
    assert {step.kind for step in apt.due()} == {"packages", "docker"}
    system.says("--only-upgrade", said.splitlines()[0])
    system.says("madison", MADISON)
    assert [step.kind for step in apt.tried(["openssl"])] == ["security"]


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg's own order")
def test_which_version_is_newer() -> None:
    assert apt.is_newer("2:1.0", "1.9")
    assert apt.is_newer("1.0", "1.0~rc1")
    assert not apt.is_newer("1.0", "1.0")
    assert not apt.is_newer("1.9", "1.10")


def test_only_what_is_named_and_nothing_removed(system: Apt) -> None:
    system.says("showauto", "libssl3\nopenssl\n")
    apt.install(["openssl", "tzdata"])
    installed = next(line for line in system.ran if "install" in line)
    assert "--only-upgrade --no-remove" in installed
    assert installed.endswith("openssl tzdata")
    assert "--force-confold" in installed
    assert system.ran[-1] == "apt-mark auto openssl"


def test_needrestart_must_not_end_containers(system: Apt) -> None:
    apt.fetch(["openssl"])
    assert system.env["NEEDRESTART_SUSPEND"] == "1"


def test_bytes_to_fetch(system: Apt) -> None:
    system.says(
        "--print-uris", "'http://x/a.deb' a.deb 1000 SHA256:00\nNothing\n'http://x/b.deb' b.deb 24 MD5Sum:0\n"
    )
    assert apt.size(["a", "b"]) == 1024
    assert apt.size([]) == 0


FAILURES: dict[str, tuple[Callable[[], Any], str, str]] = {
    "lists": (apt.lists, "update", "E: The repository is not signed."),
    "due": (apt.due, "upgrade", "E: Unmet dependencies. Try 'apt --fix-broken install'"),
    "removes": (
        lambda: apt.tried(["a"]),
        "--simulate",
        "E: Packages need to be removed but remove is disabled.",
    ),
    "fetch": (
        lambda: apt.fetch(["a"]),
        "--download-only",
        "E: Failed to fetch http://x/a.deb  404  Not Found",
    ),
    "install": (
        lambda: apt.install(["a"]),
        "--only-upgrade",
        "dpkg: error processing package a (--configure):",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures_are_told_in_its_words(system: Apt, name: str) -> None:
    call, part, said = FAILURES[name]
    system.says(part, "Reading package lists...\n", f"{said}\nand more\n", rc=100)
    with pytest.raises(NodeError) as failed:
        call()
    assert said in failed.value.message
    assert failed.value.next_step
    assert "and more" in failed.value.more["log"]


def test_another_update_of_the_lists_is_waited_for(system: Apt, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [Result((), 100, "", "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 9"), Result((), 0, "", "W: Failed to fetch http://x  404\nW: else\n")]  # fmt: skip
    monkeypatch.setattr(shell, "run", lambda *_, **__: answers.pop(0))
    assert apt.lists() == ["Failed to fetch http://x  404"]


@pytest.mark.parametrize("state", ["unpacked", "half-configured", "half-installed"])
def test_half_installed_packages_are_found(root: Path, state: str) -> None:
    (root / "var/lib/dpkg").mkdir(parents=True)
    status = root / "var/lib/dpkg/status"
    status.write_text("Package: a\nStatus: install ok installed\nVersion: 1\n\n")
    assert apt.unfinished() == ""
    status.write_text(f"Package: a\nStatus: install ok {state}\nVersion: 1\n\n")
    assert apt.unfinished() == "half installed: a"


def test_what_is_kept_back(system: Apt) -> None:
    assert apt.kept() == []
    system.says(
        "upgrade",
        "The following packages have been kept back:\n  docker.io linux-image-amd64\n  vim\nThe following x:\n  y\n",
    )
    assert apt.kept() == ["docker.io", "linux-image-amd64", "vim"]
