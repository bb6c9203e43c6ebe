"""Everything that `uv tool install` wants on a machine without an index, for a test host's own Python."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

from lab.cache import home, locked

TOP = Path(__file__).resolve().parents[2]
LOCK = TOP / "requirements.lock"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def wheelhouse(python: str) -> Path:
    """A folder with the wheel of each of hostler's dependencies, as they are pinned. `python`: 3.13. Kept."""
    text = LOCK.read_text() + (TOP / "pyproject.toml").read_text() + python
    folder = home() / f"wheels-{python}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    with locked("wheels"):
        if not (folder / ".complete").exists():
            folder.mkdir(exist_ok=True)
            _download(folder, python)
            (folder / ".complete").touch()
    return folder


def _download(folder: Path, python: str) -> None:
    pins = folder / "pins.txt"
    pins.write_text("\n".join(re.findall(r"^[\w.-]+==\S+", LOCK.read_text(), re.M)) + "\n")
    words = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "-d", str(folder)]
    words += ["--only-binary", ":all:", "--python-version", python, "-c", str(pins)]
    words += [word for platform in PLATFORMS for word in ("--platform", platform)]
    subprocess.check_call([*words, *dependencies()])


def dependencies() -> list[str]:
    import tomllib

    return list(tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["dependencies"])
