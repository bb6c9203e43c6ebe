"""A source word becomes the numbers that memory depends on: from the hub, an address, a file or a folder here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from hostler.errors import StackFileError
from hostler.models.host_files import SeenFile
from hostler.models.http import Http
from hostler.models.resolve import Weights
from hostler.models.safetensors import INDEX
from hostler.models.source import parse
from hostler.models.subject import Wanted, read_subject

from . import headers
from .test_vllm_memory import CASES
from .web import COMMIT, Web

CONFIG = json.dumps(CASES[0]["config"]).encode()
TOTAL = json.dumps({"metadata": {"total_size": CASES[0]["total_size"]}}).encode()


def weights(web: Web, token: str = "") -> Weights:
    return Weights(token=token, http=Http(timeout=5), api=HfApi(endpoint=web.base, token=token or False))


def test_gguf_of_the_hub(web: Web) -> None:
    data, size = headers.made("llama-3-8b")
    web.repo("o/r-GGUF", {"r-Q4_K_M.gguf": data}, {"r-Q4_K_M.gguf": size})
    subject = read_subject("chat", parse("hf:o/r-GGUF"), weights(web))
    assert subject.shape
    assert subject.shape.weights / 2**30 == pytest.approx(4.3, rel=0.02)
    assert (subject.name, subject.source, subject.checkpoint) == ("chat", "hf:o/r-GGUF", None)


def test_other_quantizations_of_the_repository(web: Web) -> None:
    data, size = headers.made("llama-3-8b")
    sizes = {"r-Q4_K_M.gguf": size, "r-Q8_0.gguf": 2 * size, "r-Q2_K.gguf": size // 2,
             "r-F16-00001-of-00002.gguf": size, "mmproj-r-F16.gguf": 9}  # fmt: skip
    web.repo("o/r-GGUF", dict.fromkeys(sizes, data), sizes)
    subject = read_subject("chat", parse("hf:o/r-GGUF"), weights(web))
    assert subject.weights == "Q4_K_M"
    assert [other.weights for other in subject.others] == ["Q2_K", "Q8_0"]
    assert subject.others[1].shape
    assert subject.others[1].shape.weights / 2**30 == pytest.approx(8.6, rel=0.02)
    named = read_subject("chat", parse("hf:o/r-GGUF:Q4_K_M"), weights(web))
    assert (named.weights, named.others) == ("Q4_K_M", ())


def test_safetensors_of_the_hub(web: Web) -> None:
    web.repo("o/r", {"config.json": CONFIG, INDEX: TOTAL, "model-1.safetensors": b"x"})
    subject = read_subject("o/r", parse("hf:o/r"), weights(web))
    assert subject.checkpoint
    assert subject.checkpoint.weights == CASES[0]["total_size"]
    assert subject.weights == "bfloat16"
    assert web.count("GET", f"/o/r/resolve/{COMMIT}/model-1.safetensors") == 0, "weights are not read"


def test_a_gated_repository_is_read_with_the_token(web: Web) -> None:
    web.repo("o/r", {"config.json": CONFIG, INDEX: TOTAL, "model-1.safetensors": b"x"}, gated="manual")
    read_subject("r", parse("hf:o/r"), weights(web, "hf_secret"))
    asked = [sent for _, path, sent in web.asked if path.endswith("config.json")]
    assert [sent["authorization"] for sent in asked] == ["Bearer hf_secret"]
    with pytest.raises(StackFileError, match="gated"):
        read_subject("r", parse("hf:o/r"), weights(web))


def test_a_repository_without_weights(web: Web) -> None:
    web.repo("o/r", {"README.md": b"x"})
    with pytest.raises(StackFileError, match="a GGUF file or safetensors in o/r"):
        read_subject("r", parse("hf:o/r"), weights(web))


def test_a_checkpoint_that_cannot_be_read(web: Web) -> None:
    web.repo("o/r", {"config.json": b"{}", "model-1.safetensors": b"x"})
    with pytest.raises(StackFileError, match="num_attention_heads"):
        read_subject("r", parse("hf:o/r"), weights(web))


def sparse(path: Path, data: bytes, size: int) -> None:
    path.write_bytes(data)
    with path.open("r+b") as file:
        file.truncate(size)


def test_a_file_here(tmp_path: Path) -> None:
    data, size = headers.made("llama-3-8b")
    path = tmp_path / "m.gguf"
    sparse(path, data, size)
    subject = read_subject("m", parse(str(path)), Weights())
    assert subject.shape
    assert subject.shape.how == "header"
    assert subject.shape.cache(1, "f16") == 128 * 1024


def test_all_parts_of_a_split_file_here(tmp_path: Path) -> None:
    made = headers.parts("llama-3-8b", 3, "")
    for number, (data, size) in enumerate(made, 1):
        sparse(tmp_path / f"m-0000{number}-of-00003.gguf", data, size)
    shape = read_subject("m", parse(str(tmp_path / "m-00001-of-00003.gguf")), Weights()).shape
    assert shape
    assert sum(size for _, size in made) * 0.9 < shape.weights <= sum(size for _, size in made)
    with pytest.raises(StackFileError, match=r"the first part, m-00001-of-00003\.gguf"):
        read_subject("m", parse("./m-00003-of-00003.gguf", folder=str(tmp_path)), Weights())
    (tmp_path / "m-00002-of-00003.gguf").unlink()
    with pytest.raises(StackFileError, match=r"no m-00002-of-00003\.gguf"):
        read_subject("m", parse(str(tmp_path / "m-00001-of-00003.gguf")), Weights())


def test_a_folder_here(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(CONFIG)
    (tmp_path / "model.safetensors").write_bytes(b"12345")
    subject = read_subject("m", parse(str(tmp_path)), Weights())
    assert subject.checkpoint
    assert subject.checkpoint.weights == 5


def test_a_file_on_a_host_is_estimated() -> None:
    there = Weights(seen={"/srv/m.gguf": SeenFile(5 * 2**30)})
    subject = read_subject("m", parse("/srv/m.gguf"), there)
    assert subject.shape
    assert subject.shape.how == "estimated from the file's size: the file is on the host"


def test_a_file_nowhere() -> None:
    with pytest.raises(StackFileError, match=r"/srv/m\.gguf"):
        read_subject("m", parse("/srv/m.gguf"), Weights())


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"PK\3\4" + b"\0" * 100)
    subject = read_subject("m", parse(str(tmp_path / "m.gguf")), Weights())
    assert subject.shape
    assert "does not start as a GGUF" in subject.shape.how


def test_a_folder_that_breaks(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to(tmp_path / "config.json")
    (tmp_path / "m.gguf").mkdir()
    with pytest.raises(StackFileError, match=r"config\.json"):
        read_subject("m", parse(str(tmp_path)), Weights())


def test_all_parts_of_a_split_one(web: Web) -> None:
    made = headers.parts("llama-3-8b", 3, "")
    names = [f"r-Q8_0-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    files = dict(zip(names, made, strict=True))
    web.repo("o/r-GGUF", {n: d for n, (d, _) in files.items()}, {n: size for n, (_, size) in files.items()})
    subject = read_subject("chat", parse("hf:o/r-GGUF:Q8_0"), weights(web))
    assert subject.shape
    assert subject.shape.how == "header"
    assert sum(size for _, size in made) * 0.9 < subject.shape.weights <= sum(size for _, size in made)


def test_the_engine_of_the_stack_file(web: Web) -> None:
    """Both formats in one repository: the engine decides; weights of a chat may make vectors."""
    data, size = headers.made("llama-3-8b")
    both = {"config.json": CONFIG, INDEX: TOTAL, "model-1.safetensors": b"x", "r-Q4_K_M.gguf": data}
    web.repo("o/both", both, {"r-Q4_K_M.gguf": size})
    source = parse("hf:o/both")
    assert read_subject("chat", source, weights(web)).by == "llama.cpp"
    args = ("--gpu-memory-utilization", "0.5", "--dtype", "half")
    subject = read_subject("chat", source, weights(web), Wanted(engine="vllm", args=args))
    assert (subject.by, subject.part, subject.weights) == ("vllm", 0.5, "float16")
    vectors = read_subject("e", source, weights(web), Wanted(engine="embeddings", slots=2))
    assert vectors.shape
    assert (vectors.by, vectors.shape.embeds, vectors.slots) == ("embeddings", True, 2)
