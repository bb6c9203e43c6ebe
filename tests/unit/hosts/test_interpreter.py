"""Which Python runs the agent: the first that is new enough, whatever it is called; without one, what brings it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hostler.hosts import agent
from hostler.hosts.calls import no_python

OLD = "#!/bin/sh\nexit 1\n"  # of the check; it must never be told anything else
NEW = f'#!/bin/sh\nexec {sys.executable} "$@"\n'
SAY = "import os; print(os.environ['FOUND'])"


def found(folder: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    for name, text in programs.items():
        program = folder / name.replace("_", ".").replace("python3.", "python3.", 1)
        program.write_text(text.replace("exec ", f"FOUND={program.name} exec ", 1))
        program.chmod(0o755)
    words = ["/bin/sh", "-c", agent.FIND, "sh", "-IS", "-c", SAY]
    return subprocess.run(words, env={"PATH": str(folder)}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("programs", "name"),
    [
        ({"python3": NEW}, "python3"),
        ({"python3": NEW, "python3_12": NEW}, "python3"),
        ({"python3": OLD, "python3_9": NEW, "python3_11": NEW}, "python3.9"),
        ({"python3": OLD, "python3_12": NEW}, "python3.12"),
        ({"python3_11": NEW}, "python3.11"),
    ],
    ids=["the system's", "the system's first", "beside an old one", "beside it, newer", "none of that name"],
)
def test_the_first_that_is_new_enough(tmp_path: Path, programs: dict[str, str], name: str) -> None:
    done = found(tmp_path, **programs)
    assert (done.returncode, done.stdout.strip()) == (0, name), done.stderr


def test_none_is_new_enough(tmp_path: Path) -> None:
    done = found(tmp_path, python3=OLD)
    assert done.returncode == agent.NO_PYTHON
    assert "no python3 that is new enough" in done.stderr


def test_what_it_says_is_not_kept_from_us(tmp_path: Path) -> None:
    (tmp_path / "python3").write_text(NEW)
    (tmp_path / "python3").chmod(0o755)
    words = ["/bin/sh", "-c", agent.FIND, "sh", "-IS", "-c", "import sys; sys.exit('words')"]
    done = subprocess.run(words, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert "words" in done.stderr


@pytest.mark.parametrize(
    ("system", "command"),
    [
        ("rocky 8.10", "sudo dnf install -y python3.12"),
        ("rhel 9.6", "sudo dnf install -y python3"),
        ("debian 12", "sudo apt-get install -y python3"),
        ("arch ", "your distribution's own way"),
    ],
)
def test_the_one_command_that_brings_one(system: str, command: str) -> None:
    error = no_python("gpu-1", f"no python3 that is new enough ({system})")
    assert command in error.problems[0].next_step
