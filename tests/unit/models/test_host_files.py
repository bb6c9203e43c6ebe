"""Folders of weights that lie on the hosts: the same on each of them, or named."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hostler.errors import StackFileError
from hostler.models import lying
from hostler.models.host_files import SeenFile, SeenFiles, SeenFolder
from hostler.models.resolve import Weights
from hostler.models.source import PathSource
from hostler.models.types import ModelSource

LLAMA = {
    "model.safetensors": SeenFile(9000),
    "config.json": SeenFile(400, "c" * 64),
    "tokenizer.json": SeenFile(50, "d" * 64),
    "README.md": SeenFile(60, "e" * 64),
}
SMALL = {"config.json": json.dumps({"num_attention_heads": 8, "num_hidden_layers": 2, "hidden_size": 64})}


def on_host(path: str, offset: int, count: int) -> bytes:
    text = SMALL.get(path.removeprefix("/srv/llama/"))
    if text is None:
        raise OSError(0, "no host has it")
    return text.encode()[offset : offset + count]


def resolved(hosts: dict[str, SeenFiles | None], only: tuple[str, ...] | None = None) -> ModelSource:
    folders = {"/srv/llama": SeenFolder(hosts=hosts)}
    return Weights(folders=folders, on_host=on_host).resolve(PathSource("/srv/llama/"), hosts=only)


def refused(hosts: dict[str, SeenFiles | None]) -> str:
    with pytest.raises(StackFileError) as error:
        resolved(hosts)
    return f"{error.value}; next: {error.value.problems[0].next_step}"


def test_the_files_of_a_checkpoint_where_they_are() -> None:
    found = resolved({"a": LLAMA, "b": {**LLAMA, "model.safetensors": SeenFile(9000, "f" * 64)}})
    assert (found.format, found.local) == ("safetensors", True)
    assert [lying.on_host(found, file) for file in found.files] == [
        "/srv/llama/model.safetensors",
        "/srv/llama/config.json",
        "/srv/llama/tokenizer.json",
    ]
    assert [file.sha256 for file in found.files] == ["f" * 64, "c" * 64, "d" * 64], (
        "as the host knows that does"
    )
    read = Weights(on_host=on_host).read_checkpoint(found)
    assert (read.weights, read.hidden) == (9000, 64)


def test_hosts_of_other_pools_need_not_have_it() -> None:
    assert resolved({"a": LLAMA, "z": None}, ("a",)).size == 9000


def test_a_host_without_it_is_named() -> None:
    said = refused({"a": LLAMA, "b": None, "c": {name: LLAMA[name] for name in ("config.json", "README.md")}})
    assert "the same files in /srv/llama on each host of the model's pools, as on a" in said
    assert "b has no such folder; c has not the same model.safetensors, tokenizer.json" in said
    assert "rsync -aP /srv/llama/ HOST:/srv/llama/` for b c" in said


@pytest.mark.parametrize("other", [SeenFile(9001), SeenFile(9000, "0" * 64)], ids=["size", "content"])
def test_a_host_with_something_else_is_named(other: SeenFile) -> None:
    known = {**LLAMA, "model.safetensors": SeenFile(9000, "f" * 64)}
    assert "b has not the same model.safetensors" in refused(
        {"a": known, "b": {**LLAMA, "model.safetensors": other}}
    )


def test_links_out_of_it_are_refused() -> None:
    """A cache of the hub's client holds such."""
    out = {name: replace(file, out=True) for name, file in LLAMA.items()}
    assert "links out of it, which a container does not see: model.safetensors" in refused({"a": out})
    assert resolved({"a": {**LLAMA, "README.md": replace(LLAMA["README.md"], out=True)}})


def test_a_header_that_no_host_gives() -> None:
    found = resolved({"a": LLAMA})
    with pytest.raises(ValueError, match=r"config\.json could not be read"):
        Weights().read_checkpoint(found)


PARTS: SeenFiles = {
    **{f"m-0000{number}-of-00003.gguf": SeenFile(10 * 2**30) for number in (1, 2, 3)},
    "n.gguf": SeenFile(5),
}
FIRST = "/srv/m-00001-of-00003.gguf"


def of_parts(hosts: dict[str, SeenFiles | None], path: str = FIRST, sha: str = "") -> ModelSource:
    """As they are seen: the named file, and the folder that it is in."""
    seen = {path: SeenFile(10 * 2**30)}
    return Weights(seen=seen, folders={"/srv": SeenFolder(hosts=hosts)}).resolve(PathSource(path, sha))


def parts_refused(hosts: dict[str, SeenFiles | None], path: str = FIRST) -> str:
    with pytest.raises(StackFileError) as error:
        of_parts(hosts, path)
    return f"{error.value}; next: {error.value.problems[0].next_step}"


def test_all_parts_of_a_split_file() -> None:
    found = of_parts({"a": PARTS, "b": {**PARTS, "o.gguf": SeenFile(7)}}, sha="a" * 64)
    assert (found.total, found.local, found.format) == (30 * 2**30, True, "gguf")
    assert [lying.on_host(found, file) for file in found.files] == [
        f"/srv/m-0000{number}-of-00003.gguf" for number in (1, 2, 3)
    ]
    assert (found.source, found.sha256, found.more[0].sha256) == (FIRST, "a" * 64, "")


def test_parts_that_are_not_there_are_named() -> None:
    some = {name: file for name, file in PARTS.items() if "00002" not in name}
    assert "got 2 of them at /srv/m-00001-of-00003.gguf, no m-00002-of-00003.gguf" in parts_refused(
        {"a": some}
    )
    said = parts_refused({"a": PARTS, "b": some})
    assert "b has not the same m-00002-of-00003.gguf" in said
    assert "rsync -aP /srv/m-*-of-00003.gguf HOST:/srv/` for b" in said
    assert "/srv/m-00001-of-00003.gguf on a host" in parts_refused({"a": {"n.gguf": SeenFile(5)}, "b": None})


def test_the_first_part_is_to_be_named() -> None:
    said = parts_refused({"a": PARTS}, "/srv/m-00003-of-00003.gguf")
    assert "the first part, m-00001-of-00003.gguf" in said
    assert f"next: write {FIRST}" in said
