"""rpm and dnf: what is there, what came through us by dnf's own books, and what of it goes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import files, shell
from hostler.node.base.protocol import NodeError
from hostler.node.base.shell import Result
from hostler.node.base.told import Told
from hostler.node.cards import driver
from hostler.node.leaving import leave_packages
from hostler.node.owning import baseline
from hostler.node.packages import installed, locks, packages, rpm
from hostler.node.probe import probe

from .fakes import Heard

Run = Callable[..., Result]
KERNEL = ("kernel-devel", "0", "5.14.0", "570.el9", "x86_64")
BASH = ("bash", "0", "5.1.8", "9.el9", "x86_64")
OPEN = ("nvidia-open", "3", "580.95.05", "1.el9", "x86_64")
TRUSTED = ("gpg-pubkey", "0", "f796ecb0", "5ab21cd9", "(none)")
HELD = f"# theirs\nvim-2:8.2.*\n\n{rpm.ADDED} Sun Nov 29\nnvidia-open-3:580.95.05-1.el9.*\n!bash-0:5.2-1.*\n"
# as libdnf makes them, the columns that are asked for
TABLES = """
CREATE TABLE trans (id INTEGER PRIMARY KEY, dt_end INTEGER, state INTEGER, comment TEXT);
CREATE TABLE trans_item (trans_id INTEGER, item_id INTEGER, action INTEGER, state INTEGER);
CREATE TABLE rpm (item_id INTEGER, name TEXT, epoch INTEGER, version TEXT, release TEXT, arch TEXT);
"""


class System:
    """rpm's answers over a list of what is installed; each other command is kept, and `answers` says what of it."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, ...]] = [BASH]
        self.ran: list[tuple[str, ...]] = []
        self.answers: dict[tuple[str, ...], Result] = {}

    def run(self, argv: tuple[str, ...], *_rest: Any, **_more: Any) -> Result:
        self.ran.append(tuple(argv))
        if argv[:2] == ("rpm", "-qa"):
            return Result(argv, 0, "".join("\t".join(row) + "\n" for row in self.rows), "")
        for beginning, answer in self.answers.items():
            if argv[: len(beginning)] == beginning:
                return answer
        return Result(argv, 0, "", "")

    def history(self, *transactions: tuple[int, int | None, int, str, list[tuple[str, ...]]]) -> None:
        """(number, when it ended, state, comment, what it installs)."""
        place = Path(files.at(rpm.HISTORY))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        books = sqlite3.connect(place)
        books.executescript(TABLES)
        item = 0
        for number, ended, state, comment, rows in transactions:
            books.execute("INSERT INTO trans VALUES (?, ?, ?, ?)", (number, ended, state, comment))
            for row in rows:
                item += 1
                books.execute("INSERT INTO trans_item VALUES (?, ?, 1, ?)", (number, item, state))
                books.execute("INSERT INTO rpm VALUES (?, ?, ?, ?, ?, ?)", (item, *row))
        books.commit()
        books.close()


@pytest.fixture
def system(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    (short_root / "var/lib/rpm").mkdir(parents=True)
    made = System()
    monkeypatch.setattr(shell, "run", made.run)
    return made


def before(*wanted: dict[str, Any], **more: Any) -> dict[str, Any]:
    heard = Heard()
    installed.packages_before({"op": "packages-before", "wanted": wanted, **more}, heard)
    return heard.last


def came() -> dict[str, Any]:
    heard = Heard()
    installed.packages_came({"op": "packages-came"}, heard)
    return heard.last


def test_dpkg_goes_first_where_both_are(system: System) -> None:
    assert packages.manager() is rpm
    files.write("/var/lib/dpkg/status", b"")
    assert packages.look(["bash"]) == {"bash": None}


def test_what_is_there(system: System) -> None:
    system.rows += [OPEN, KERNEL, TRUSTED]
    files.write(rpm.HELD, HELD.encode())
    one = "kernel-devel-5.14.0-570.el9.x86_64"
    found = packages.look(["bash", "nvidia-open", one, "kernel-devel-5.14.0-1.el9.x86_64"])
    assert found == {
        "bash": {"version": "0:5.1.8-9.el9", "hold": False, "state": "installed"},
        "nvidia-open": {"version": "3:580.95.05-1.el9", "hold": True, "state": "installed"},
        one: {"version": "0:5.14.0-570.el9", "hold": False, "state": "installed"},
        "kernel-devel-5.14.0-1.el9.x86_64": None,
    }
    assert packages.listed() == ["bash", one, "nvidia-open"]


def test_an_rpm_that_does_not_answer_is_unknown(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "run", lambda argv, *_rest: Result(argv, 1, "", "error: rpmdb is damaged"))
    found = probe.observe_packages(["bash"])
    assert found == {"package:bash": {"unknown": "the list of packages: rpm: error: rpmdb is damaged"}}


def test_what_our_transactions_bring(system: System) -> None:
    """What somebody installed before, between and after is theirs; a comment of ours from an older stack, too."""
    system.history((1, 9, 1, rpm.COMMENT, [BASH]))
    files.write_json(files.BASELINE, baseline.take())
    assert files.read_json(files.BASELINE)["history"] == 1
    docker = {"name": "docker-ce", "alternatives": ["moby-engine"]}
    assert before(docker)["missing"] == ["docker-ce"]
    theirs, ours = ("vim", "2", "8", "1", "x86_64"), ("docker-ce", "3", "28", "1", "x86_64")
    system.rows += [theirs, ours]
    system.history(
        (1, 9, 1, rpm.COMMENT, [BASH]), (2, 9, 1, "", [theirs]), (3, 9, 1, rpm.COMMENT, [ours, KERNEL])
    )
    assert came() == {"changed": True, "new": ["docker-ce"], "why": "1 new"}
    assert installed.brought() == ["docker-ce"]
    assert came()["new"] == []


def test_a_transaction_that_was_killed(system: System) -> None:
    system.history((1, 0, 0, rpm.COMMENT, [OPEN, ("dkms", "0", "3", "1", "noarch")]))
    assert packages.trouble() == "dnf was interrupted: `dnf reinstall dkms nvidia-open`"
    assert driver.half() == ["nvidia-open"]
    system.rows.append(OPEN)
    assert (packages.look(["nvidia-open"]) or {})["nvidia-open"]["state"] == "half"
    assert installed.brought() == ["dkms", "nvidia-open"]
    said = before({"name": "docker-ce"}, dry=True)
    assert (said["missing"], said["broken"]) == (["docker-ce"], ["nvidia-open"])
    system.history((1, 0, 0, "", [OPEN, BASH]))
    assert before({"name": "bash"}, dry=True)["broken"] == ["bash"]
    system.history((1, 0, 0, rpm.COMMENT, [OPEN]), (2, 9, 1, "", []))
    assert (packages.trouble(), driver.half()) == ("", [])


def test_one_that_runs_is_not_broken(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    system.history((1, None, 0, "", [OPEN]))
    monkeypatch.setattr(locks, "holder", lambda path: 42 if path.endswith("/.rpm.lock") else 0)
    assert "process 42" in packages.trouble()
    assert driver.half() == []


def test_a_driver_of_no_package(system: System, short_root: Path) -> None:
    files.write("/usr/bin/nvidia-smi", b"")
    assert not driver.runfile()
    said = "file /usr/bin/nvidia-smi is not owned by any package"
    system.answers["rpm", "-qf"] = Result((), 1, said, "")
    assert driver.runfile()


def test_updates_are_kept_from_what_we_brought(system: System) -> None:
    files.write_json(installed.INSTALLED, {"packages": ["nvidia-open", "docker-ce"]})
    system.rows.append(OPEN)
    heard = Heard()
    installed.packages_keep({"begin": ["nvidia-"]}, heard)
    assert heard.last == {"changed": True, "held": ["nvidia-open"]}
    assert system.ran[-1][-3:] == ("versionlock", "add", "nvidia-open")
    files.write(rpm.HELD, HELD.encode())
    installed.packages_keep({"begin": ["nvidia-"]}, heard)
    assert heard.last == {"changed": False, "held": []}
    files.remove(rpm.HELD)
    system.answers["dnf",] = Result((), 1, "", "No such command: versionlock")
    with pytest.raises(NodeError, match="No such command: versionlock"):
        installed.packages_keep({"begin": ["nvidia-"]}, heard)


def test_our_locks_go_and_theirs_stay(short_root: Path) -> None:
    files.write(rpm.HELD, HELD.encode())
    assert rpm.unhold(["nvidia-open", "bash"]) == ["nvidia-open"]
    assert files.read_text(rpm.HELD) == "# theirs\nvim-2:8.2.*\n!bash-0:5.2-1.*\n"


@pytest.mark.parametrize(
    ("name", "several"),
    [(name, True) for name in (
        "kernel", "kernel-core", "kernel-modules", "kernel-modules-extra", "kernel-devel", "kernel-devel-matched",
        "kernel-rt-core", "kernel-64k-devel", "kernel-uek-devel", "kernel-uki-virt",
    )]
    + [(name, False) for name in (
        "kernel-headers", "kernel-tools", "kernel-tools-libs", "kernel-srpm-macros", "kernelshark", "kernel-doc",
    )],
)  # fmt: skip
def test_what_is_there_in_several_versions(name: str, several: bool) -> None:
    one = rpm.Installed(name, "0", "5.14.0", "570.el9_6", "x86_64")
    assert one.identity == (f"{name}-5.14.0-570.el9_6.x86_64" if several else name)
    assert rpm.known_as(one.full) == one.identity
    assert rpm.known_as(name) == name


@pytest.mark.parametrize("kept", ["kernel-headers", "kernel-headers-5.14.0-570.el9.x86_64"])
def test_what_the_admin_upgraded_since_is_still_ours(system: System, kept: str) -> None:
    """And theirs still theirs: in the forms of this agent and of older ones."""
    system.rows.append(("kernel-headers", "0", "5.14.0", "611.el9", "x86_64"))
    files.write_json(installed.INSTALLED, {"packages": [kept]})
    told = Told(dry=True)
    leave_packages.packages_as_found({"packages": ["bash"]}, told, "")
    assert told.would["packages"] == ["kernel-headers"]
    told = Told(dry=True)
    leave_packages.packages_as_found({"packages": [kept]}, told, "")
    assert told.would["packages"] == []


def test_what_others_need_stays(system: System) -> None:
    """rpm names what would be lacking; what provides it stays, and what that needs in turn."""
    ours = ["container-selinux", "dkms", "libfoo"]
    files.write_json(installed.INSTALLED, {"packages": ours})
    system.rows += [(name, "0", "1", "1", "x86_64") for name in ours]
    lacks = "error: Failed dependencies:\n\tlibfoo.so.1()(64bit) is needed by (installed) theirs-1-1.x86_64\n"
    system.answers["rpm", "-e", "--test", *ours] = Result((), 1, "", lacks)
    row = "libfoo\t0\t1\t1\tx86_64\n"
    system.answers["rpm", "-q", "--whatprovides", "libfoo.so.1()(64bit)"] = Result((), 0, row, "")
    told = Told()
    erased: list[tuple[str, ...]] = []

    def erase(argv: tuple[str, ...], *rest: Any, **more: Any) -> Result:
        if "remove" in argv:
            erased.append(argv)
            system.rows = [one for one in system.rows if one[0] not in argv]
        return System.run(system, argv, *rest, **more)

    shell.run = erase  # the fixture puts it back
    leave_packages.packages_as_found({"packages": ["bash"]}, told, "")
    assert erased == [(*leave_packages.DNF, "remove", "--noautoremove", "container-selinux", "dkms")]
    assert told.removed == ["package container-selinux", "package dkms"]
    assert told.kept == [{"what": "package libfoo", "why": "another package needs it"}]


def test_nobody_who_provides_it_is_known(system: System) -> None:
    lacks = "\t(a if b) is needed by (installed) theirs-1-1.x86_64\n"
    system.answers["rpm", "-e"] = Result((), 1, "", lacks)
    system.answers["rpm", "-q"] = Result((), 1, "", "")
    assert leave_packages.free_of_others(["a", "c"]) == []


def test_trust_and_streams_go(system: System) -> None:
    """The key that rpm trusts because of our file, and no other; the stream that nobody had chosen before."""
    other = ("gpg-pubkey", "0", "3228467c", "613798eb", "(none)")
    system.rows += [TRUSTED, other]
    pinned = Path(__file__).parents[3] / "infra/hostler/configure/keys/nvidia-container-toolkit.asc"
    files.write("/etc/pki/rpm-gpg/hostler-x.asc", pinned.read_bytes())
    stream = "/etc/dnf/modules.d/nvidia-driver.module"
    files.write(stream, b"[nvidia-driver]\n")
    told = Told()
    leave_packages.trust_as_found({"keys": [], "apt": {}}, told)
    assert told.removed == ["trusted key gpg-pubkey-f796ecb0-5ab21cd9", stream]
    assert system.ran[-1] == ("rpm", "-e", "--allmatches", "gpg-pubkey-f796ecb0-5ab21cd9")
    files.write(stream, b"[nvidia-driver]\n")
    told = Told()
    leave_packages.trust_as_found({"keys": ["gpg-pubkey-f796ecb0-5ab21cd9"], "apt": {stream: ""}}, told)
    assert (told.removed, told.left) == ([], [])
