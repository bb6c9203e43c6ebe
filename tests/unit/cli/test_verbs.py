"""The command line's contract: one file a verb, exit codes, JSON on standard output under failure too."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hostler.cli import main
from hostler.errors import Exit

CLI = Path(main.__file__).parent
ROOT = CLI.parents[2]


def test_a_file_for_each_verb_and_a_verb_for_each_file() -> None:
    files = {p.stem for p in CLI.glob("*.py")} - {"__init__", "main", "options"}
    assert files == set(main.VERBS)


@pytest.mark.parametrize("verb", main.VERBS)
def test_help_of_each_verb(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([verb, "--help"]) == Exit.DONE
    assert capsys.readouterr().out.startswith("Usage: hostler " + verb)


@pytest.mark.parametrize("verb", main.VERBS)
def test_each_verb_is_a_click_command_with_a_docstring(verb: str) -> None:
    command = importlib.import_module(f"hostler.cli.{verb}").command
    assert isinstance(command, click.Command)
    assert command.help


def json_verbs() -> list[str]:
    found = []
    for verb in main.VERBS:
        command = importlib.import_module(f"hostler.cli.{verb}").command
        if any("--json" in p.opts for p in command.params):
            found.append(verb)
    return found


@pytest.mark.parametrize("verb", json_verbs())
def test_json_is_json_under_a_failing_run(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("pools: {home: [a]}\nmodles: {}\n")
    words = ["chat"] if verb in ("roll", "fit", "sleep", "wake") else []
    code = main.run([verb, *words, "-f", str(bad), "--json"])
    out = capsys.readouterr().out
    assert code in (Exit.STACK_FILE, Exit.HOST)
    assert json.loads(out)


def test_wrong_words_are_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["stauts"]) == Exit.USAGE
    assert "Did you mean `status`?" in capsys.readouterr().err
    assert main.run(["up", "--nonsense"]) == Exit.USAGE


def test_a_stack_file_that_is_not_there_is_exit_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["check", "-f", str(tmp_path / "none.yaml")]) == Exit.STACK_FILE
    assert "next:" in capsys.readouterr().err


@pytest.mark.parametrize("stack", sorted((ROOT / "stacks").glob("*.yaml")), ids=lambda p: p.name)
def test_check_takes_every_example(
    stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / ".config" / "hostler" / "toolkit.asc"  # of the lab's mirror
    key.parent.mkdir(parents=True)
    key.write_text("key")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main.run(["check", "-f", str(stack)]) == Exit.DONE
    assert "good" in capsys.readouterr().out


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main.hostler, "main", interrupted)
    assert main.run(["up"]) == Exit.INTERRUPTED
    assert "interrupted" in capsys.readouterr().err


def test_a_bug_is_exit_1_with_a_private_trace(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(main.hostler, "main", broken)
    assert main.run(["up"]) == Exit.BUG
    log = tmp_path / "hostler" / "bug.log"
    assert "ZeroDivisionError" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    assert "a bug in hostler" in capsys.readouterr().err


COMPLETE = """
import sys
from hostler.cli.main import hostler
try: hostler.main(prog_name="hostler", standalone_mode=False)
except SystemExit: pass
heavy = {"pulumi", "grpc", "paramiko", "ansible", "huggingface_hub", "jinja2", "yaml"}
print("HEAVY", *sorted(heavy & {m.split(".")[0] for m in sys.modules}))
"""


@pytest.mark.parametrize(
    ("words", "expected"), [("hostler st", "status"), ("hostler up --allow", "--allow-downtime")]
)
def test_completion_imports_nothing_heavy(words: str, expected: str) -> None:
    env = {
        **os.environ,
        "_HOSTLER_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", COMPLETE], env=env, capture_output=True, text=True, check=True, timeout=60
    )
    lines = done.stdout.splitlines()
    assert f"plain,{expected}" in lines
    assert lines[-1] == "HEAVY"
