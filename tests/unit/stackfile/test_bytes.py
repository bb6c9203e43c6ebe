"""Files that are no text, too big, or made to cost time."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hostler.errors import StackFileError
from hostler.stackfile.load import load

from .cases import STACKS, problems

GOOD = "pools: {home: [local]}\nmodels: {chat: 'hf:a/b'}\n"


@pytest.mark.parametrize(
    ("data", "where", "got"),
    [
        (GOOD.encode("utf-16"), "1:1", "UTF-16"),
        (GOOD.encode("utf-16-le"), "1:1", "UTF-16"),
        (GOOD.encode("utf-16-be"), "1:1", "UTF-16"),
        (GOOD.encode("utf-32"), "1:1", "UTF-32"),
        (GOOD.encode() + "# Grüße\n".encode("latin-1"), "3:5", "0xfc, which is not UTF-8 (Latin-1"),
        (b"stack: a\x00b\n", "1:9", "U+0000"),
        (b"stack: a\x1b[31mb\n", "1:9", "U+001B"),
        ("stack: a\u202eb\n".encode(), "1:9", "U+202E"),
    ],
)
def test_encodings(data: bytes, where: str, got: str) -> None:
    (problem,) = problems(data)
    assert problem.where == f"case.yaml:{where}"
    assert got in problem.got
    assert problem.next_step


def test_several_control_characters_are_all_shown_but_not_a_flood() -> None:
    assert [problem.where for problem in problems(b"a\x01\nb\x02\n")] == ["case.yaml:1:2", "case.yaml:2:2"]
    assert len(problems(b"\x01" * 1000)) == 5


BOMBS = {
    "5 MB": b"# " + b"x" * 5_000_000,
    "5 MB of pools": b"pools: {a: [b]}\n" * 330_000,
    "a million brackets": b"[" * 1_000_000,
    "a million braces": b"{" * 1_000_000,
    "a million dashes": b"- " * 500_000,
    "a long word": b"stack: " + b"a" * 1_000_000,
    "many keys": b"".join(b"k%d: 1\n" % number for number in range(100_000)),
    "many aliases": b"a: &a [x]\nb: [" + b"*a," * 300_000 + b"]\n",
    "a billion laughs": b"a0: &a0 x\n"
    + b"".join(b"a%d: &a%d [*a%d,*a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 64)),
    "spaces in a prompt": b"pools: {a: [b]}\nmodels: {c: {source: 'hf:a/b', smoke: '"
    + b" " * 60_000
    + b"'}}\n",
    "dots in an address": b"pools: {a: [" + b"a." * 100_000 + b"!]}\nmodels: {c: 'hf:a/b'}\n",
    "many documents": b"---\n" * 200_000,
    "unknown keys": b"".join(b"k%d: 1\n" % number for number in range(9_000)),
    "models without a pool": b"pools: {a: [b], c: [d]}\nmodels:\n"
    + b"".join(b"  m%d: hf:a/b\n" % n for n in range(9_000)),
    "models in a wrong pool": b"pools: {a: [b]}\nmodels:\n"
    + b"".join(b"  m%d: {source: 'hf:a/b', pool: c}\n" % n for n in range(3_000)),
    "one host many times": b"pools: {a: [" + b"b," * 19_000 + b"]}\nmodels: {c: 'hf:a/b'}\n",
    "merged and merged": b"m0: &m0 {a: 1}\n"
    + b"".join(b"m%d: &m%d {<<: [*m%d,*m%d]}\n" % (n, n, n - 1, n - 1) for n in range(1, 64)),
    "question marks": b"? " * 400_000,
}


@contextmanager
def processor_seconds(limit: float) -> Iterator[None]:
    """Ends what never would: a bomb that goes off takes minutes, or for ever; one that does not, tenths of a second."""

    def over(number: int, frame: object) -> None:
        raise TimeoutError(f"still at it after {limit} s of processor time")

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_bytes(data)
    with processor_seconds(20), pytest.raises(StackFileError) as raised:
        load(path)
    assert len(raised.value.problems) <= 101
    assert all(len(str(problem)) < 1000 for problem in raised.value.problems)


def test_a_file_that_never_ends() -> None:
    with pytest.raises(StackFileError, match="at most 1024 KiB"):
        load("/dev/zero")


@pytest.mark.parametrize(
    ("name", "got"), [("offic.yaml", "no such file"), (".", "is a directory"), ("a\x00b", "null")]
)
def test_unreadable(name: str, got: str, tmp_path: Path) -> None:
    (tmp_path / "office.yaml").write_text(GOOD)
    with pytest.raises(StackFileError) as raised:
        load(tmp_path / name)
    assert got in raised.value.problems[0].got
    if name == "offic.yaml":
        assert "office.yaml" in raised.value.problems[0].next_step


def test_check_imports_nothing_heavy() -> None:
    code = (
        "import sys; from hostler.stackfile.load import load; load(sys.argv[1]);"
        "heavy = {'pulumi', 'paramiko', 'rich', 'jinja2', 'huggingface_hub', 'ansible_runner', 'jsonschema'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(STACKS / "rack-3090.yaml")],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(STACKS.parent / "infra")},
    )
