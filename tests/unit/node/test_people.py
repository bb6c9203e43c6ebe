"""Who is on a host, by its table of processes; and what must not be cut there."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hostler.node.base import clock, files
from hostler.node.doors import away
from hostler.node.idle import people, tasks
from hostler.node.packages import dpkg
from hostler.node.replica import journal

OLD = 60.0
PTS, TTY = 136 << 8, (4 << 8) | 1


class Table:
    """/proc below a directory."""

    def __init__(self, root: Path) -> None:
        self.proc = root / "proc"
        self.proc.mkdir()

    def has(
        self,
        pid: int,
        title: str,
        parent: int = 1,
        name: str = "",
        tty: int = 0,
        age: float = OLD,
        env: str = "",
    ) -> None:
        folder = self.proc / str(pid)
        folder.mkdir()
        born = int((clock.boottime() - age) * os.sysconf("SC_CLK_TCK"))
        rest = " ".join(["S", str(parent), "1", "1", str(tty), *["0"] * 14, str(born), "0"])
        (folder / "stat").write_text(f"{pid} ({name or title.split(':')[0]}) {rest}")
        (folder / "cmdline").write_bytes(
            title.replace(" ", "\0").encode() if title.startswith("/") else title.encode()
        )
        (folder / "environ").write_bytes(env.encode())


@pytest.fixture
def table(root: Path) -> Table:
    return Table(root)


LISTENER = (1, "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups")
SESSIONS: list[tuple[str, list[tuple[int, str, int, str]], list[str]]] = [
    ("nobody", [(9, "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", 1, "sshd")], []),
    ("a shell", [(10, "sshd: alice [priv]", 9, "sshd"), (11, "sshd: alice@pts/0", 10, "sshd"), (12, "-bash", 11, "bash")], ["alice at pts/0"]),
    ("as root", [(11, "sshd: root@pts/3", 9, "sshd")], ["root at pts/3"]),
    ("OpenSSH 9.8", [(10, "sshd-session: bob [priv]", 9, "sshd-session"), (11, "sshd-session: bob@pts/1", 10, "sshd-session")], ["bob at pts/1"]),
    ("two shells on a connection", [(11, "sshd: alice@pts/0,pts/1", 10, "sshd")], ["alice at pts/0,pts/1"]),
    ("a copy", [(11, "sshd: alice@notty", 10, "sshd"), (12, "scp -t /srv", 11, "scp")], ["alice by SSH"]),
    ("a tunnel", [(11, "sshd: alice", 10, "sshd")], ["alice by SSH"]),
    ("a name with an at", [(11, "sshd: corp\\eve@office@pts/0", 10, "sshd")], ["corp\\eve@office at pts/0"]),
    ("nobody yet", [(11, "sshd: [accepted]", 9, "sshd"), (12, "sshd: unknown [net]", 9, "sshd"), (13, "sshd: alice [preauth]", 9, "sshd")], []),
    ("the controller", [(11, "sshd: hostler-updates@notty", 10, "sshd")], []),
    ("an operator who looks", [(11, "sshd: ops@notty", 10, "sshd"), (12, "sudo", 11, "sudo"), (13, "python3 -IS -c", 12, "hostler-node")], []),
    ("an operator with a terminal", [(11, "sshd: ops@pts/0", 10, "sshd"), (13, "python3 -IS -c", 11, "hostler-node")], ["ops at pts/0"]),
    ("no process of sshd", [(11, "vim sshd: alice@pts/0", 10, "vim")], []),
    ("mosh", [(11, "mosh-server new", 1, "mosh-server")], ["mosh of user id 0"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "expected"), [row[1:] for row in SESSIONS], ids=[row[0] for row in SESSIONS]
)
def test_sessions(
    table: Table, rows: list[tuple[int, str, int, str]], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "_process", as_root(people._process))  # pyright: ignore[reportPrivateUsage]
    for pid, title, parent, name in rows:
        table.has(pid, title, parent, name)
    assert people.sessions(people.table()) == expected


def as_root(function: Callable[..., people.Process | None]) -> Callable[..., people.Process | None]:
    def read(*words: object) -> people.Process | None:
        found = function(*words)
        return found and found._replace(user=0)

    return read


def test_a_call_from_afar_that_has_just_begun_is_not_taken_for_a_person(table: Table) -> None:
    table.has(11, "sshd: ops@notty", name="sshd", age=1.0)
    table.has(12, "sshd: ops@pts/1", name="sshd", age=1.0)
    assert people.sessions(people.table()) == ["ops at pts/1"]


@pytest.mark.parametrize(
    ("name", "tty", "user", "there"),
    [
        ("bash", TTY, 1000, True),
        ("bash", TTY, 0, True),
        ("bash", (204 << 8) | 64, 0, True),
        ("agetty", TTY, 0, False),
        ("login", TTY, 0, False),
        ("Xorg", TTY, 0, False),
        ("gnome-shell", TTY, 120, False),  # a display manager's greeter
        ("bash", PTS, 1000, False),
    ],
)
def test_consoles(name: str, tty: int, user: int, there: bool) -> None:
    one = people.Process(11, 1, name, tty >> 8, OLD, user, name)
    assert people.sessions([one]) == ([f"a console of user id {user}"] if there else [])


def test_terminals_are_told_apart(table: Table) -> None:
    table.has(11, "bash", tty=TTY)
    table.has(12, "bash", tty=PTS)
    assert [one.tty for one in people.table()] == [4, 136]


def test_a_table_that_cannot_be_read_is_no_proof(root: Path) -> None:
    with pytest.raises(OSError, match="proc"):
        people.table()


# what must not be cut


def look(run: str = "") -> list[str]:
    return tasks.look(people.table(), run)


AGENT = "/usr/bin/python3 " + files.PROGRAM


def test_nothing_goes_on(table: Table) -> None:
    for pid, command in enumerate(
        ("run chat-0", "watch", "idle-look", "idle-keep -", "sleep chat-0", "lock", "controller-serve"), 20
    ):
        table.has(pid, f"{AGENT} {command}", name=files.AGENT)
    table.has(40, "env", env="HOSTLER_RUN=\0PATH=/bin")
    assert look() == []


def test_what_goes_on(table: Table) -> None:
    table.has(20, f"{AGENT} exchange chat-0", name=files.AGENT)
    table.has(21, f"{AGENT} serve", name=files.AGENT)
    table.has(22, "python3 -IS -c", name=files.AGENT, env="HOSTLER_RUN=r1\0A=b")
    table.has(23, "python3 -IS -c", name=files.AGENT, env="HOSTLER_RUN=r9", age=2.0)  # it looks, perhaps
    journal.step({"id": "chat-1"}, "drain")
    away.write({"run": "r2", "at": time.time(), "replicas": {}})
    assert look() == [
        "an exchange of chat-1",
        "its replicas are set aside",
        "exchange of hostler",
        "serve of hostler",
        "run r1 of hostler",
    ]
    away.write({"run": "r2", "at": time.time() - 4000, "replicas": {}})  # whoever it was is gone
    assert "its replicas are set aside" not in look()
    assert look("r1")[-1] == "serve of hostler"


def test_packages(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dpkg, "is_here", lambda: True)
    monkeypatch.setattr(dpkg, "trouble", lambda: "apt-get (process 7) holds dpkg's lock")
    assert look() == ["apt-get (process 7) holds dpkg's lock"]
    monkeypatch.setattr(dpkg, "trouble", lambda: "dpkg was interrupted: `dpkg --configure -a`")
    assert look() == []  # it waits for a person, and does nothing


def test_the_stacks_lock(table: Table, root: Path) -> None:
    """The kernel's own table says whether somebody holds it: asking must not take it."""
    path = root / files.LOCK.lstrip("/")
    path.parent.mkdir(parents=True)
    with path.open("w") as handle:
        handle.write('{"run": "r7", "who": "anna"}')
        handle.flush()
        assert look() == []
        fcntl.flock(handle, fcntl.LOCK_EX)
        (table.proc / "locks").write_text(Path("/proc/locks").read_text())
        assert look() == ["somebody changes the stack"]
        assert look("r7") == []
