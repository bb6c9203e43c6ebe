"""Why a driver does not work, from files of a host below a directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hostler.node.cards import driver

NOTHING = {"secure_boot": False, "nouveau": False, "runfile": False, "half": []}
EFI = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
SMI = "usr/bin/nvidia-smi"
LIST = "var/lib/dpkg/info/nvidia-utils-580-server.list"
HALF = """Package: nvidia-open
Status: install ok half-configured
Version: 580.95.05-1

Package: libnvidia-compute-580
Status: install ok installed
Version: 580.95.05-1

Package: nginx
Status: install ok half-installed
Version: 1
"""


def put(root: Path, **content: str | bytes) -> None:
    for path, what in content.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(what if isinstance(what, bytes) else what.encode())


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        ({}, {}),
        ({EFI: b"\x06\x00\x00\x00\x01"}, {"secure_boot": True}),
        ({EFI: b"\x06\x00\x00\x00\x00"}, {}),
        ({"sys/module/nouveau/refcnt": "3"}, {"nouveau": True}),
        ({"usr/bin/nvidia-uninstall": ""}, {"runfile": True}),
        ({SMI: "", "var/lib/dpkg/info/bash.list": "/usr/bin/nvidia-smi\n"}, {"runfile": True}),
        ({SMI: "", LIST: "/.\n/usr/bin\n/usr/bin/nvidia-smi\n"}, {}),
        ({SMI: ""}, {}),
        ({"var/lib/dpkg/status": HALF}, {"half": ["nvidia-open"]}),
    ],
    ids=[
        "nothing",
        "secure boot",
        "secure boot off",
        "nouveau",
        "runfile",
        "unowned",
        "owned",
        "no dpkg",
        "half",
    ],
)
def test_signs(root: Path, content: dict[str, str | bytes], seen: dict[str, Any]) -> None:
    put(root, **content)
    assert driver.signs() == NOTHING | seen


def test_an_alternative_is_owned(root: Path) -> None:
    """Debian's own package: nvidia-smi is a link that update-alternatives made."""
    put(root, **{"usr/lib/nvidia/current/nvidia-smi": "", "var/lib/dpkg/info/x.list": ""})
    (root / "usr/bin").mkdir()
    (root / SMI).symlink_to(root / "usr/lib/nvidia/current/nvidia-smi")
    assert not driver.runfile()


@pytest.mark.parametrize(("state", "looked"), [("none", False), ("working", False), ("broken", True)])
def test_a_driver_that_works_is_not_asked_why_not(root: Path, state: str, looked: bool) -> None:
    assert ("nouveau" in driver.explained({"state": state})) is looked
