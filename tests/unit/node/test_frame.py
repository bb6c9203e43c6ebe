"""The front door, and what all files of the agent must keep to."""

from __future__ import annotations

import ast
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hostler.hosts import agent
from hostler.node import __main__ as front
from hostler.node.base import files, protocol, shell
from hostler.node.base.protocol import NodeError

ROOM = Path(front.__file__).parent
SOURCES = sorted(ROOM.rglob("*.py"))


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        (["exchange", "chat-0", "--force"], {"op": "exchange", "id": "chat-0", "force": True}),
        (["exchange", "--force", "chat-0"], {"op": "exchange", "id": "chat-0", "force": True}),
        (["make-cert", "edge", "--cn", "gpu-1"], {"op": "make-cert", "name": "edge", "cn": "gpu-1"}),
        (["fetch", "-"], {"op": "fetch"}),
    ],
)
def test_arguments(words: list[str], request_: dict[str, Any]) -> None:
    assert front.from_words(words) == request_


@pytest.mark.parametrize(
    "words", [["exchange", "a", "b"], ["exchange", "-x"], ["probe", "--ask"], ["nonsense"]]
)
def test_wrong_arguments(words: list[str]) -> None:
    with pytest.raises(NodeError) as caught:
        front.from_words(words)
    assert (caught.value.kind, caught.value.rc) == ("usage", 2)
    assert caught.value.next_step


class Pipe:
    def __init__(self, data: bytes = b"") -> None:
        self.buffer = io.BytesIO(data)


@pytest.mark.parametrize("data", [b"", b"{", b"[1]\n", b'{"op":"nonsense"}\n', b'{"op":"claim"}\n'])
def test_a_bad_request_is_one_json_line(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Pipe()
    monkeypatch.setattr(sys, "stdin", Pipe(data))
    monkeypatch.setattr(sys, "stdout", out)
    assert front.main([]) == 2
    assert json.loads(out.buffer.getvalue())["error"] == "usage"


def test_a_bug_is_an_answer_with_its_trace(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Pipe()
    monkeypatch.setattr(front, "find", lambda _: {}["gone"])
    monkeypatch.setattr(sys, "stdout", out)
    assert front.main(["probe"]) == 1
    answer = json.loads(out.buffer.getvalue())
    assert (answer["error"], answer["message"]) == ("bug", "KeyError: 'gone'")
    assert "Traceback" in answer["log"]


@pytest.mark.parametrize("name", ["", "-x", ".x", "a/b", "a b", "ä", "a\n", None, 3])
def test_what_is_no_name(name: Any) -> None:
    with pytest.raises(NodeError):
        protocol.identity({"op": "x", "id": name})


def test_commands_end_at_their_limit_with_their_children() -> None:
    assert shell.run(("sh", "-c", "sleep 60 & sleep 60"), timeout=0.2)[1::3] == (shell.TIMED_OUT, 0)
    assert shell.run(("no-such-command",)).rc == shell.MISSING
    assert shell.run(("/etc",)).rc == shell.FORBIDDEN
    assert shell.run(("cat",), stdin=b"x").stdout == "x"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # nobody has waited for it
def test_one_that_stays_behind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    kill = os.killpg
    monkeypatch.setattr(os, "killpg", lambda *_: None)  # pyright: ignore[reportUnknownLambdaType]
    found = shell.run(("sleep", "60"), timeout=0.2)
    assert found.rc == shell.TIMED_OUT
    assert found.left > 0
    kill(found.left, signal.SIGKILL)
    os.waitpid(found.left, 0)


def test_a_file_is_replaced_in_one_step(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write("/a/b", b"one", 0o600)
    assert ((root / "a/b").read_bytes(), (root / "a/b").stat().st_mode & 0o777) == (b"one", 0o600)
    monkeypatch.setattr(files.os, "rename", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        files.write("/a/b", b"two")
    assert [path.name for path in (root / "a").iterdir()] == ["b"]
    with pytest.raises(NodeError, match="no-such-account"):
        files.ids("no-such-account")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOM)))
def test_python_39_and_nothing_but_the_standard_library(source: Path) -> None:
    tree = ast.parse(source.read_text(), feature_version=(3, 9))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in imports if isinstance(node, ast.ImportFrom) and node.level == 0]
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
    assert all(
        node.level <= len(source.relative_to(ROOM).parts)
        for node in imports
        if isinstance(node, ast.ImportFrom)
    )
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Match)]
    assert source.name == "__init__.py" or "annotations" in [
        a.name for n in imports if isinstance(n, ast.ImportFrom) for a in n.names
    ]


@pytest.mark.parametrize("name", front.COMMANDS)
def test_every_command_is_there(name: str) -> None:
    assert callable(front.find(name))


def test_the_archive_has_every_command(tmp_path: Path) -> None:
    """From the one file, as on a host: no hostler beside it, no site-packages."""
    archive = tmp_path / "hostler-node"
    archive.write_bytes(agent.program())
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from hostler_node.__main__ import COMMANDS, find\n"
        "print(*(find(name).__module__ for name in COMMANDS))"
    )
    done = subprocess.run(
        [sys.executable, "-IS", "-c", code, archive], capture_output=True, text=True, timeout=60, check=False
    )
    found = [f"hostler_node.{command.module}" for command in front.COMMANDS.values()]
    assert (done.stderr, done.stdout.split()) == ("", found)
