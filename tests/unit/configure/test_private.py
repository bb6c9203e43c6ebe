"""The folder with secrets: for nobody else, and it does not outlive its run for long."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hostler.configure import private
from hostler.configure.private import private_folder

HELD = """
import sys
from hostler.configure.private import private_folder
with private_folder() as folder:
    (folder / "secret").write_text("hunter2")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "place", lambda: str(tmp_path))


def another(tmp_path: Path) -> tuple[subprocess.Popen[str], Path]:
    """Another run, in the middle of its work, and its folder."""
    code = f"from hostler.configure import private\nprivate.place = lambda: {str(tmp_path)!r}\n{HELD}"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    return child, Path(child.stdout.readline().strip())


def test_it_is_private_and_gone_in_the_end() -> None:
    with private_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(folder.name) < 20
    assert not folder.exists()


def test_it_is_gone_after_an_interruption() -> None:
    with pytest.raises(KeyboardInterrupt), private_folder() as folder:
        raise KeyboardInterrupt
    assert not folder.exists()


def test_one_of_a_killed_run_is_taken_away_by_the_next(tmp_path: Path) -> None:
    child, left = another(tmp_path)
    with child:
        child.kill()
        child.wait()
    assert (left / "secret").exists()
    with private_folder():
        assert not left.exists()


def test_one_of_a_living_run_is_left_alone(tmp_path: Path) -> None:
    child, theirs = another(tmp_path)
    with child:
        with private_folder():
            assert (theirs / "secret").read_text() == "hunter2"
        child.kill()


def test_what_only_looks_like_one_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "hostler-notes").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".lock").touch()
    (tmp_path / "hostler-link").symlink_to(tmp_path / "elsewhere")
    with private_folder():
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "hostler-link", "hostler-notes"]
