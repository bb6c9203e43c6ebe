"""dpkg's status file."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostler.node.packages import dpkg, packages

STATUS = """Package: docker.io
Status: install ok installed
Priority: optional
Section: admin
Architecture: amd64
Version: 20.10.24+dfsg1-1+deb12u1
Depends: adduser, containerd (>= 1.2.6)
Conffiles:
 /etc/default/docker 59ce0cb2d21e6e01e1b7b8ac0ce22d35
Description: Linux container runtime
 Package: not-a-package
 .
 Version: 9

Package: nvidia-open
Status: hold ok installed
Architecture: amd64
Version: 580.95.05-1

Package: haproxy
Status: install ok half-configured
Architecture: amd64
Version: 2.6.12

Package: man-db
Status: install ok triggers-pending
Version: 2.11

Package: nginx
Status: deinstall ok config-files
Version: 1.22

Package: libc6
Status: deinstall ok config-files
Architecture: i386
Version: 2.35

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36

Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1.3

Package: zlib1g
Status: install ok unpacked
Architecture: i386
Version: 1.3

Package: broken
Status: install reinstreq unpacked
Version: 1
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("docker.io", {"version": "20.10.24+dfsg1-1+deb12u1", "hold": False, "state": "installed"}),
        ("nvidia-open", {"version": "580.95.05-1", "hold": True, "state": "installed"}),
        ("haproxy", {"version": "2.6.12", "hold": False, "state": "half"}),
        ("man-db", {"version": "2.11", "hold": False, "state": "installed"}),
        ("libc6", {"version": "2.36", "hold": False, "state": "installed"}),
        ("broken", {"version": "1", "hold": False, "state": "half"}),
        ("zlib1g", {"version": "1.3", "hold": False, "state": "installed"}),
        ("nginx", None),
        ("not-a-package", None),
        ("docker", None),
    ],
)
def test_states(name: str, expected: dict[str, object] | None) -> None:
    assert dpkg.parse(STATUS, [name]) == {name: expected}


def test_names() -> None:
    assert list(dpkg.names(STATUS)) == [
        "docker.io",
        "nvidia-open",
        "haproxy",
        "man-db",
        "libc6",
        "zlib1g",
        "zlib1g",
        "broken",
    ]


def test_no_dpkg(root: Path) -> None:
    assert packages.look(["x"]) is None


def test_interrupted(root: Path) -> None:
    updates = root / "var/lib/dpkg/updates"
    updates.mkdir(parents=True)
    assert dpkg.trouble() == ""
    (updates / "0001").touch()
    assert "dpkg --configure -a" in dpkg.trouble()


def test_somebody_holds_the_lock(root: Path) -> None:
    import subprocess
    import sys

    lock = root / "var/lib/dpkg/lock-frontend"
    lock.parent.mkdir(parents=True)
    lock.touch()
    holding = "import fcntl,sys;f=open(sys.argv[1],'r+');fcntl.lockf(f,fcntl.LOCK_EX);print('held',flush=True);sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", holding, str(lock)], stdin=-1, stdout=-1) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert f"process {holder.pid}" in dpkg.trouble()
        assert holder.stdin is not None
        holder.stdin.close()
    assert dpkg.trouble() == ""
