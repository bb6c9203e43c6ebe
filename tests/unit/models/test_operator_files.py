"""Files beside the stack file: which ones are a model, and their digests, read once."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest

from hostler.errors import StackFileError
from hostler.models import lying
from hostler.models.operator_files import OperatorFiles
from hostler.models.resolve import Weights
from hostler.models.source import OperatorSource, parse
from hostler.models.types import ModelSource

CONFIG = {
    "num_attention_heads": 8,
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "max_position_embeddings": 2048,
}


class Counting(OperatorFiles):
    """Knows which files it has read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), memory=folder / "memory.json")
        self.read: list[str] = []

    def _read(self, path: Path) -> str:
        self.read.append(path.name)
        return super()._read(path)


def put(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(f"content of {name}")


def checkpoint(folder: Path) -> None:
    put(folder, "a-1.safetensors", "a-2.safetensors", "tokenizer.json", "README.md", "other.safetensors")
    index = {"metadata": {"total_size": 9}, "weight_map": {"x": "a-1.safetensors", "y": "a-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps(CONFIG))


def resolved(folder: Path, text: str, sha: str = "") -> ModelSource:
    source = parse(text, sha256=sha, folder=str(folder))
    return Weights(files=Counting(folder)).resolve(source)


def names(found: ModelSource) -> list[str]:
    return [file.file for file in found.files]


def refused(folder: Path, text: str, sha: str = "") -> str:
    with pytest.raises(StackFileError) as error:
        resolved(folder, text, sha)
    assert error.value.problems[0].next_step
    return f"{error.value}; next: {error.value.problems[0].next_step}"


def test_a_file_is_known_by_its_content_wherever_it_lies(tmp_path: Path) -> None:
    put(tmp_path / "one", "m.gguf")
    put(tmp_path / "two", "m.gguf")
    here, there = resolved(tmp_path, "./one/m.gguf"), resolved(tmp_path / "one", "../two/m.gguf")
    assert (here.url, here.sha256) == (there.url, sha256(b"content of m.gguf").hexdigest())
    assert here.url.startswith("operator:")
    assert not here.local
    assert lying.on_host(here).startswith("/var/lib/hostler/models/")
    assert lying.on_operator(here, str(tmp_path)) == str(tmp_path / "one/m.gguf")
    (tmp_path / "two/m.gguf").write_text("content of n.gguf")
    assert lying.on_host(resolved(tmp_path, "./two/m.gguf")) != lying.on_host(here)


def test_all_parts_of_a_split_one(tmp_path: Path) -> None:
    put(tmp_path, "m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "n.gguf")
    found = resolved(tmp_path, "./m-00001-of-00002.gguf")
    assert names(found) == ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
    assert len({lying.on_host(found, file).rpartition("/")[0] for file in found.files}) == 1
    assert lying.on_operator(found, str(tmp_path), found.files[1]) == str(tmp_path / "m-00002-of-00002.gguf")
    (tmp_path / "m-00002-of-00002.gguf").unlink()
    said = refused(tmp_path, "./m-00001-of-00002.gguf")
    assert "all parts of m-00001-of-00002.gguf; got 1 of them at ./m-00001-of-00002.gguf" in said
    assert "no m-00002-of-00002.gguf" in said


def test_another_part_than_the_first_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "w", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
    said = refused(tmp_path, "./w/m-00002-of-00002.gguf")
    assert "expected the first part, m-00001-of-00002.gguf; got ./w/m-00002-of-00002.gguf" in said
    assert "next: write ./w/m-00001-of-00002.gguf" in said


def test_a_folder_with_one_gguf_model(tmp_path: Path) -> None:
    put(tmp_path / "m", "m.gguf", "mmproj-m.gguf", "README.md")
    found = resolved(tmp_path, "./m")
    assert (names(found), found.format) == (["m.gguf"], "gguf")
    assert lying.on_operator(found, str(tmp_path)) == str(tmp_path / "m/m.gguf")
    put(tmp_path / "m", "n.gguf")
    assert "one GGUF model in ./m; got m.gguf, n.gguf; next: name the file itself" in refused(tmp_path, "./m")


def test_a_folder_with_the_name_of_its_file(tmp_path: Path) -> None:
    put(tmp_path / "n.gguf", "n.gguf")
    for text in ("./n.gguf/", "./n.gguf"):
        found = resolved(tmp_path, text)
        assert lying.on_operator(found, str(tmp_path)) == str(tmp_path / "n.gguf/n.gguf")


def test_a_folder_of_safetensors(tmp_path: Path) -> None:
    checkpoint(tmp_path / "llama")
    found = resolved(tmp_path, "./llama/")
    assert found.format == "safetensors"
    assert names(found)[:2] == ["a-1.safetensors", "a-2.safetensors"]
    assert set(names(found)[2:]) == {"config.json", "tokenizer.json", "model.safetensors.index.json"}
    assert all(file.sha256 for file in found.files)
    read = Weights(files=Counting(tmp_path)).read_checkpoint(found)
    assert (read.weights, read.hidden) == (9, 64)


def test_a_folder_that_lacks_something(tmp_path: Path) -> None:
    checkpoint(tmp_path / "llama")
    (tmp_path / "llama/a-2.safetensors").unlink()
    assert "that model.safetensors.index.json names; got no a-2.safetensors" in refused(tmp_path, "./llama")
    (tmp_path / "llama/model.safetensors.index.json").unlink()
    (tmp_path / "llama/config.json").unlink()
    assert "config.json and *.safetensors in ./llama" in refused(tmp_path, "./llama")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("./none.gguf", "the file or folder ./none.gguf on this machine; got nothing at"),
        ("./a.safetensors", "next: write ./"),
        ("./a.bin", "a .gguf file, or a folder"),
        ("./empty", "got an empty folder"),
    ],
)
def test_what_is_no_model(text: str, words: str, tmp_path: Path) -> None:
    put(tmp_path, "a.safetensors", "a.bin")
    put(tmp_path / "empty")
    assert words in refused(tmp_path, text)


def test_a_checksum_of_the_stack_file(tmp_path: Path) -> None:
    put(tmp_path, "m.gguf")
    own = sha256(b"content of m.gguf").hexdigest()
    assert resolved(tmp_path, "./m.gguf", own).sha256 == own
    assert f"got {own}; next: put the right file there, or write `sha256: {own}`" in refused(
        tmp_path, "./m.gguf", "0" * 64
    )


def test_a_digest_is_worked_out_once(tmp_path: Path) -> None:
    put(tmp_path, "m.gguf")
    path = tmp_path / "m.gguf"
    first, second = Counting(tmp_path), Counting(tmp_path)
    assert first.digest(path) == second.digest(path)
    assert (first.read, second.read) == (["m.gguf"], [])
    assert second.remembered(path)
    os.utime(path, ns=(1, 1))
    assert not second.remembered(path), "somebody has written it"
    assert second.was_known(path)
    second.digest(path)
    assert second.read == ["m.gguf"]


def test_another_file_under_the_name_is_read_again(tmp_path: Path) -> None:
    """Even with the same size and time: it is another inode."""
    put(tmp_path, "m.gguf", "n.gguf")
    one, other, mine = tmp_path / "m.gguf", tmp_path / "n.gguf", Counting(tmp_path)
    before = mine.digest(one)
    os.utime(other, ns=(one.stat().st_mtime_ns, one.stat().st_mtime_ns))
    other.rename(one)
    assert mine.digest(one) != before


def test_a_file_that_is_being_written_has_no_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "m.gguf")
    mine = OperatorFiles(str(tmp_path), memory=tmp_path / "memory.json")

    def grows(path: Path) -> str:
        path.write_text("more")
        return "0" * 64

    monkeypatch.setattr(mine, "_read", grows)
    with pytest.raises(StackFileError, match="a file that is being written"):
        mine.digest(tmp_path / "m.gguf")
    assert not mine.remembered(tmp_path / "m.gguf")


def test_a_memory_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    put(tmp_path, "m.gguf")
    (tmp_path / "memory.json").write_text("{")
    assert Counting(tmp_path).digest(tmp_path / "m.gguf")


def test_without_the_file_its_header_comes_from_a_host(tmp_path: Path) -> None:
    """A second operator, who has the release and not the file."""
    checkpoint(tmp_path / "llama")
    found = resolved(tmp_path, "./llama")
    asked: list[str] = []

    def on_host(path: str, offset: int, count: int) -> bytes:
        asked.append(path)
        return (tmp_path / "llama" / path.rpartition("/")[2]).read_bytes()[offset : offset + count]

    elsewhere = Weights(files=OperatorFiles("/nowhere", memory=tmp_path / "m.json"), on_host=on_host)
    assert elsewhere.read_checkpoint(found).weights == 9
    assert set(asked) == {
        lying.on_host(found, file)
        for file in found.files
        if file.file in ("config.json", "model.safetensors.index.json")
    }


def test_a_source_says_the_same_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/bob")
    source = parse("~/models/m.gguf", folder="/home/alice/stacks")
    assert source == OperatorSource("~/models/m.gguf", "/home/bob/models/m.gguf")
    assert str(source) == "~/models/m.gguf"
