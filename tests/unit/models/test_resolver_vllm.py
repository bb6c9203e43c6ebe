"""Repositories of safetensors to what vLLM runs, with a hub and a registry on loopback."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostler.errors import StackFileError
from hostler.models.host_files import SeenFile
from hostler.models.safetensors import INDEX
from hostler.models.types import Runs
from hostler.stackfile.sections import Model

from . import builders
from .test_resolver import resolver, room
from .web import COMMIT, DIGEST, Web

CONFIG = {
    "model_type": "llama",
    "torch_dtype": "bfloat16",
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
TOTAL = 16060522496
PARTS = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
BESIDE = ["config.json", "generation_config.json", INDEX, "tokenizer.json", "tokenizer_config.json"]
OTHER_FORMS = ["consolidated.safetensors", "model-extra.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json",
               "onnx/model.onnx", "onnx/config.json", "original/consolidated.00.pth", "README.md", "LICENSE"]  # fmt: skip


def files(**config: Any) -> dict[str, bytes]:
    index = {"metadata": {"total_size": TOTAL}, "weight_map": {"a": PARTS[0], "b": PARTS[1], "c": PARTS[0]}}
    known = {
        "config.json": json.dumps({**CONFIG, **config}).encode(),
        INDEX: json.dumps(index).encode(),
        "chat_template.jinja": b"{{ messages }}",
    }
    return {name: known.get(name, name.encode()) for name in (*PARTS, *BESIDE, *OTHER_FORMS, *known)}


@pytest.fixture
def hub(web: Web) -> Web:
    web.repo("org/llama-3.1-8b", files(), dict.fromkeys(PARTS, TOTAL // 2))
    web.image("vllm/vllm-openai", "latest")
    data, size = builders.llama_8b()
    web.repo("org/both", {**files(), "m-Q4_K_M.gguf": data}, {"m-Q4_K_M.gguf": size})
    return web


def model(source: str = "hf:org/llama-3.1-8b", **more: Any) -> Model:
    return Model(source=source, **more)


def runs(web: Web, wanted: Model, *rooms: Any, live: Runs | None = None) -> Runs:
    mine = resolver(web, *(rooms or (room(24256),)), seen={"/srv/m": SeenFile(9)})
    mine.registry.bases["docker.io"] = web.base
    return mine.model("chat", wanted, ("rack",), live)


def problem(web: Web, wanted: Model, *rooms: Any) -> tuple[str, str]:
    with pytest.raises(StackFileError) as error:
        runs(web, wanted, *rooms)
    (found,) = error.value.problems
    return found.where, f"{error.value}; {found.next_step}"


def test_what_its_files_decide(hub: Web) -> None:
    found = runs(hub, model())
    assert (found.engine, found.context, found.slots, found.cards) == ("vllm", 32768, 64, 1)
    assert (found.parallel, found.counts, found.in_memory) == ("tensor", (1, 2, 4, 8, 16), False)
    assert (found.image.ref, found.image.tag) == (f"docker.io/vllm/vllm-openai@{DIGEST}", "latest")
    assert found.need_mib == 22225
    assert found.argv[:4] == ("--served-model-name", "chat", "--max-model-len", "32768")
    assert found.argv[-2:] == ("--tool-call-parser", "llama3_json"), "its family, by name and model_type"


def test_only_what_vllm_loads_is_fetched(hub: Web) -> None:
    weights = runs(hub, model()).weights
    assert [file.file for file in weights.files] == [
        *PARTS,
        "chat_template.jinja",
        *(name for name in BESIDE if name != "chat_template.jinja"),
    ]
    assert weights.format == "safetensors"
    assert weights.revision == COMMIT
    assert {file.url.rpartition("/")[0] for file in weights.files} == {
        f"{hub.base}/org/llama-3.1-8b/resolve/{COMMIT}"
    }


def test_no_weights_are_read(hub: Web) -> None:
    runs(hub, model())
    read = {path.rpartition("/")[2].partition("?")[0] for _, path, _ in hub.asked if "/resolve/" in path}
    assert read == {"config.json", INDEX}


def test_without_an_index_the_whole_file_and_not_another_form(hub: Web) -> None:
    there = {name: data for name, data in files().items() if name != INDEX and name not in PARTS}
    hub.repo("org/one", {**there, "model.safetensors": b"x"}, {"model.safetensors": TOTAL})
    found = runs(hub, model("hf:org/one"))
    weights = [f.file for f in found.weights.files if f.file.endswith(".safetensors")]
    assert weights == ["model.safetensors"]
    assert found.context == 32768, "its size is the file's"


@pytest.mark.parametrize(
    ("engine", "source", "form", "name"),
    [
        (None, "hf:org/both", "gguf", "llama.cpp"),
        ("vllm", "hf:org/both", "safetensors", "vllm"),
        ("llama.cpp", "hf:org/both", "gguf", "llama.cpp"),
        (None, "hf:org/both:Q4_K_M", "gguf", "llama.cpp"),
        (None, "hf:org/llama-3.1-8b", "safetensors", "vllm"),
        ("vllm", "hf:org/llama-3.1-8b", "safetensors", "vllm"),
    ],
)
def test_the_engine_by_format_and_the_format_by_engine(
    hub: Web, engine: Any, source: str, form: str, name: str
) -> None:
    found = runs(hub, model(source, engine=engine))
    assert (found.weights.format, found.engine) == (form, name)


@pytest.mark.parametrize(
    ("wanted", "key", "words"),
    [
        (model("/srv/m", engine="vllm"), "source", "a repository of the hub, or a folder: safetensors are many files; got /srv/m"),
        (model("https://x.test/m", engine="vllm"), "source", "got https://x.test/m"),
        (model("hf:org/both:Q4_K_M", engine="vllm"), "source", "a source that vllm reads (safetensors); got gguf"),
        (model("hf:org/llama-3.1-8b", engine="llama.cpp"), "source", "only safetensors, which vLLM reads"),
        (model(cards=0), "source", "a model in GGUF for hosts without cards"),
        (model(context=200_000), "context", "at most 131072 tokens"),
        (model(cache="q8_0"), "cache", "the only kind that is the same in vLLM"),
        (model(args=("--max-model-len", "9")), "args", "--max-model-len"),
        (model(args=("--gpu-memory-utilization", "2")), "args", "a number from 0.05 to 1"),
        (model(args=("--gpu-memory-utilization", "half")), "args", "a number from 0.05 to 1"),
        (model(args=("--gpu-memory-utilization",)), "args", "a number from 0.05 to 1"),
    ],
)  # fmt: skip
def test_what_is_refused(hub: Web, wanted: Model, key: str, words: str) -> None:
    where, text = problem(hub, wanted)
    assert where == f"s.yaml:1:1 models.chat.{key}"
    assert words in text


def test_what_the_words_say_is_refused_before_anybody_is_asked(hub: Web) -> None:
    hub.asked.clear()
    problem(hub, model("hf:org/both:Q4_K_M", engine="vllm"))
    assert hub.asked == []


def test_hosts_without_cards(hub: Web) -> None:
    where, text = problem(hub, model(), room())
    assert where.endswith("models.chat.source")
    assert "safetensors, which vLLM runs on cards" in text
    assert "their names usually end in -GGUF" in text


def test_cards_that_know_no_bfloat16(hub: Web) -> None:
    from hostler.models.rooms import CardRoom, Room

    cards = tuple(
        CardRoom(uuid=f"T{n}", index=n, name="Tesla T4", memory_mib=15360, free_mib=15040) for n in range(2)
    )
    old = Room(host="old", pool="rack", cards=cards, memory_mib=60000)
    _, text = problem(hub, model(), old)
    assert "bfloat16 needs compute capability 8.0, this card has 7.5" in text
    assert "--dtype half in `args`" in text
    half = runs(hub, model(args=("--dtype", "half")), old)
    assert (half.cards, half.argv[-2:]) == (2, ("--dtype", "half"))


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ({"config.json"}, "a GGUF file or safetensors in org/broken; got neither"),
        (set(PARTS) | {"consolidated.safetensors", "model-extra.safetensors"}, "got neither"),
    ],
)
def test_a_repository_that_lacks_something(hub: Web, lacking: set[str], words: str) -> None:
    hub.repo("org/broken", {name: data for name, data in files().items() if name not in lacking})
    assert words in problem(hub, model("hf:org/broken", engine="vllm"))[1]


def test_a_config_that_says_too_little(hub: Web) -> None:
    hub.repo("org/odd", files(num_hidden_layers=None))
    _, text = problem(hub, model("hf:org/odd"))
    assert "a model that vLLM loads at hf:org/odd; got its config.json has no num_hidden_layers" in text


def test_a_part_that_is_asked_for_is_no_further_word(hub: Web) -> None:
    found = runs(hub, model(args=("--gpu-memory-utilization=0.8", "--seed", "1")))
    assert found.need_mib == 19326
    assert found.argv[-2:] == ("--seed", "1")
    assert not any("utilization" in word for word in found.argv)


def test_what_runs_stays_while_the_section_names_the_same(hub: Web) -> None:
    """Another context reads the small files that are pinned, and asks neither hub nor registry what is new."""
    before = runs(hub, model())
    hub.asked.clear()
    hub.pages["/api/models/org/llama-3.1-8b"] = (500, {}, b"")
    after = runs(hub, model(context=8192, engine="vllm"), live=before)
    assert (after.weights, after.image, after.context) == (before.weights, before.image, 8192)
    assert all(f"/resolve/{COMMIT}/" in path for _, path, _ in hub.asked)


def test_the_other_format_is_resolved_anew(hub: Web) -> None:
    before = runs(hub, model("hf:org/both"))
    after = runs(hub, model("hf:org/both", engine="vllm"), live=before)
    assert (before.weights.format, after.weights.format) == ("gguf", "safetensors")
    assert after.image.name.endswith("vllm-openai")


def test_files_behind_terms_are_read_with_the_token_alone(hub: Web) -> None:
    hub.repo("org/gated", files(), gated="manual")
    assert "a gated one, and no token" in problem(hub, model("hf:org/gated"))[1]


def test_parts_of_a_gguf_are_one_model(hub: Web) -> None:
    from . import headers

    made = headers.parts("llama-3-8b", 3)
    names = [f"Q4_K_M/m-Q4_K_M-{n:05}-of-00003.gguf" for n in (1, 2, 3)]
    hub.repo(
        "org/split",
        {name: data for name, (data, _) in zip(names, made, strict=True)},
        {name: size for name, (_, size) in zip(names, made, strict=True)},
    )
    found = runs(hub, model("hf:org/split"))
    assert [file.file for file in found.weights.files] == [name.rpartition("/")[2] for name in names]
    assert found.need
    assert (found.need.how, found.weights.total) == ("header", sum(size for _, size in made))
    assert found.need_mib == pytest.approx(5.9 * 1024, rel=0.01), "as of the whole file"
