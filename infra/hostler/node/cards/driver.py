"""Why NVIDIA's driver does not work: what the firmware, the kernel and the package manager say of it."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List

from ..base import files
from ..packages import packages

SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
NOUVEAU = "/sys/module/nouveau"
UNINSTALL = ("/usr/bin/nvidia-uninstall", "/usr/bin/nvidia-installer")
PROGRAM = "/usr/bin/nvidia-smi"
NAMES = re.compile(r"nvidia|libcuda")

Json = Dict[str, Any]


def explained(driver: Json) -> Json:
    """The driver as `gpus.look` has it, and where it does not work what may be the reason."""
    return driver if driver["state"] in ("none", "working") else {**driver, **signs()}


def signs() -> Json:
    return {
        "secure_boot": secure_boot(),
        "nouveau": os.path.isdir(files.at(NOUVEAU)),
        "runfile": runfile(),
        "half": half(),
    }


def secure_boot() -> bool:
    """Four bytes of attributes, then one that says whether it is on."""
    try:
        content = files.read(SECURE_BOOT)
    except OSError:
        return False
    return bool(content) and content[4:5] == b"\x01"


def runfile() -> bool:
    """The .run file leaves a program that takes it away."""
    return any(os.path.exists(files.at(path)) for path in UNINSTALL) or _unowned()


def _unowned() -> bool:
    """Whether nvidia-smi, where it is a file and no alternative, is of no package."""
    program = files.at(PROGRAM)
    if not os.path.isfile(program) or os.path.islink(program):
        return False
    return not packages.owns(PROGRAM, NAMES)


def half() -> List[str]:
    """Packages of the driver that are neither there nor gone."""
    return packages.half(NAMES)
