"""`hostler` as users have it: from the wheel, outside the checkout, with the dependencies that are here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SITE = "import site; print(site.getsitepackages()[0])"


def built(work: Path) -> Path:
    """The wheel of this checkout, built into `work`."""
    words = ["build", "-q", "--wheel", "--no-build-isolation", "-p", sys.executable]
    subprocess.check_call([uv(), *words, "-o", str(work), str(TOP)])
    return next(work.glob("*.whl"))


def installed(work: Path) -> Path:
    """Builds the wheel and installs it below `work`; the path of its `hostler`."""
    wheel = built(work)
    run = subprocess.check_call
    run([uv(), "venv", "-q", "-p", sys.executable, str(work / "venv")])
    python = work / "venv/bin/python"
    run([uv(), "pip", "install", "-q", "-p", str(python), "--no-deps", "--compile-bytecode", str(wheel)])
    own, dependencies = (
        subprocess.check_output([p, "-c", SITE], text=True).strip() for p in (python, sys.executable)
    )
    (Path(own) / "dependencies.pth").write_text(dependencies + "\n")
    for name in ("ansible-playbook", "ansible"):
        (work / "venv/bin" / name).symlink_to(Path(sys.executable).with_name(name))
    return work / "venv/bin/hostler"


def uv() -> str:
    """The program of this environment."""
    return str(Path(sys.executable).with_name("uv"))
