"""dnf: its tables as steps, what versionlock keeps, and its failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import files, shell
from hostler.node.base.protocol import NodeError
from hostler.node.base.shell import Result
from hostler.node.packages import rpm
from hostler.node.upgrades import dnf
from hostler.node.upgrades.kinds import Step

from .test_apt import Apt

TABLE = """Dependencies resolved.
================================================================================
 Package           Arch    Version                         Repository      Size
================================================================================
Installing:
 kernel-core       x86_64  5.14.0-611.el9                  baseos          18 M
Upgrading:
 openssl           x86_64  1:3.2.2-6.el9_5.1               baseos         1.3 M
 python3-dnf-plugin-versionlock-long
                   noarch  4.3.0-16.el9                    baseos          16 k
Removing:
 old-thing         x86_64  1-1                             @baseos         10 k

Transaction Summary
================================================================================
Upgrade  2 Packages
"""
HERE = [
    rpm.Installed("openssl", "1", "3.2.2", "5.el9", "x86_64"),
    rpm.Installed("nvidia-open", "3", "580.95.05", "1.el9", "x86_64"),
    rpm.Installed("vim", "2", "8.2", "1", "x86_64"),
    rpm.Installed("docker-ce", "3", "28.3.0", "1.el9", "x86_64"),
]


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Apt:
    made = Apt()
    monkeypatch.setattr(shell, "run", made.run)
    monkeypatch.setattr(rpm, "everything", lambda: HERE)
    monkeypatch.setattr(rpm, "holds", lambda: ["nvidia-open", "vim"])
    made.says("repoquery", "openssl\t1:3.2.2-6.el9_5.1\tx86_64\nnvidia-open\t3:580.105-1\tx86_64\nvim\t2:9-1\tx86_64\ndocker-ce\t3:28.3.2-1.el9\tx86_64\nnot-here\t1-1\tnoarch\n")  # fmt: skip
    made.says("updateinfo", "RHSA-2025:1 Important/Sec. openssl-1:3.2.2-6.el9_5.1.x86_64\nFEDORA-1 bugfix vim-9-1.x86_64\n")  # fmt: skip
    return made


def test_what_is_newer(system: Apt) -> None:
    """What somebody keeps is left out, NVIDIA's driver, which we keep, is not."""
    found = {step.name: (step.kind, step.now, step.then) for step in dnf.due()}
    assert found == {
        "openssl": ("security", "1:3.2.2-5.el9", "1:3.2.2-6.el9_5.1"),
        "nvidia-open": ("driver", "3:580.95.05-1.el9", "3:580.105-1"),
        "docker-ce": ("docker", "3:28.3.0-1.el9", "3:28.3.2-1.el9"),
    }


def test_rows_of_the_table() -> None:
    assert [row[0] for row in dnf.rows(TABLE, dnf.COMES)] == ["kernel-core", "openssl", "python3-dnf-plugin-versionlock-long"]  # fmt: skip
    assert [row[0] for row in dnf.rows(TABLE, dnf.GOES)] == ["old-thing"]


REPLACING = """Installing:
 grubby            x86_64  8.40-64.el9                     baseos          36 k
     replacing  old-grubby.x86_64 8.40-1.el9
     replacing  grubby-deprecated.noarch 8.40-1.el9
Upgrading:
 openssl           x86_64  1:3.2.2-6.el9_5.1               baseos         1.3 M
     replacing  openssl-old.x86_64 1:1.1-1.el9
 sed               x86_64  2:9-1                           baseos         1.0 M
"""


def test_what_is_replaced_is_no_row_and_goes(system: Apt) -> None:
    assert [row[0] for row in dnf.rows(REPLACING, dnf.COMES)] == ["grubby", "openssl", "sed"]
    system.says("--assumeno", REPLACING, "Operation aborted.\n", rc=1)
    with pytest.raises(NodeError, match="would remove old-grubby, grubby-deprecated, openssl-old"):
        dnf.tried(["openssl"])


def test_a_transaction_that_removes_is_refused(system: Apt) -> None:
    system.says("--assumeno", TABLE, "Operation aborted.\n", rc=1)
    with pytest.raises(NodeError, match="would remove old-thing"):
        dnf.tried(["openssl"])


def test_what_it_would_do(system: Apt) -> None:
    system.says(
        "--assumeno",
        TABLE.replace("Removing:", "Skipping packages with conflicts:"),
        "Operation aborted.\n",
        rc=1,
    )
    assert dnf.tried(["openssl"])[:2] == [
        Step("kernel-core", "", "5.14.0-611.el9", ()),
        Step("openssl", "1:3.2.2-5.el9", "1:3.2.2-6.el9_5.1", ("security",)),
    ]
    assert dnf.size(["openssl"]) == (18 << 20) + int(1.3 * (1 << 20)) + (16 << 10)


LOCKS = """# Added lock on Mon Nov 30 06:00:00 2026
nvidia-open-3:580.95.05-1.el9.*
vim-2:8*
!nvidia-open-0:1-1.*
"""


@pytest.mark.parametrize("how", ["good", "dnf fails", "no room for the lock"])
def test_what_we_keep_is_kept_all_the_time(
    system: Apt, root: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """In the old version until the new one is here: in between another update could move it."""
    files.write(rpm.HELD, LOCKS.encode())
    during: list[str] = []
    new = rpm.Installed("nvidia-open", "3", "580.105", "1", "x86_64")

    def run(argv: tuple[str, ...], *_: Any, **__: Any) -> Result:
        during.append(files.read_text(rpm.HELD))
        assert "--disableplugin=versionlock" in argv
        if how != "dnf fails":
            monkeypatch.setattr(rpm, "everything", lambda: [*HERE[2:], new])
        return Result(argv, int(how == "dnf fails"), "", "Error: no room\n")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shell, "run", run)
    if how == "no room for the lock":
        monkeypatch.setattr(files, "write", full)
    if how == "good":
        dnf.install(["nvidia-open", "openssl"])
    else:
        with pytest.raises(
            NodeError, match="Error: no room" if how == "dnf fails" else "not in the new one: .*No space"
        ):
            dnf.install(["nvidia-open", "openssl"])
    assert during == [LOCKS]
    after = LOCKS.replace("nvidia-open-3:580.95.05-1.el9.*", "nvidia-open-3:580.105-1.*")
    assert files.read_text(rpm.HELD) == (after if how == "good" else LOCKS)


HEAD = "Upgrading:\n"
VIM = " vim               x86_64  2:9-1                           baseos         1.0 M\n"
OPEN = " nvidia-open       x86_64  3:580.105-1                     cuda           1.0 M\n"


@pytest.mark.parametrize(
    ("asked", "table", "why"),
    [
        ("openssl", HEAD + VIM, "would upgrade vim, which versionlock keeps"),
        ("openssl", HEAD + OPEN, "would upgrade nvidia-open, which versionlock keeps"),
        ("nvidia-open", HEAD + OPEN, ""),
        ("openssl", "Downgrading:\n" + VIM.replace("vim", "sed"), "would take sed back to an older version"),
    ],
)
def test_what_is_kept_stays_and_nothing_goes_back(system: Apt, asked: str, table: str, why: str) -> None:
    system.says("--assumeno", table, "Operation aborted.\n", rc=1)
    if why:
        with pytest.raises(NodeError, match=why):
            dnf.tried([asked])
    else:
        assert [step.name for step in dnf.tried([asked])] == ["nvidia-open"]


def test_a_repository_that_does_not_answer(system: Apt) -> None:
    system.says("makecache", "", "Error: Failed to download metadata for repo 'baseos'\n", rc=1)
    with pytest.raises(NodeError, match="Failed to download metadata"):
        dnf.lists()


def test_what_versionlock_keeps_is_said(system: Apt) -> None:
    assert dnf.kept() == ["vim"]
