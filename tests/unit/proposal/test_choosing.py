"""What `init` proposes: whatever the machines are, the file loads, resolves, and everything in it has its place."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import pytest
from huggingface_hub import HfApi

from hostler.hosts.types import Card
from hostler.models import memory
from hostler.models.gguf import bytes_reader, read_header
from hostler.models.http import Http
from hostler.models.registry import Registry
from hostler.models.release import pools_of, wanted_of
from hostler.models.resolve import Weights
from hostler.models.resolver import Resolver
from hostler.models.rooms import rooms_of
from hostler.models.source import HubSource, format_of, label, parse
from hostler.models.types import Release, ReleasedModel
from hostler.placement.place import place
from hostler.proposal.catalogue import CATALOGUE, USES, Entry, Use, entries
from hostler.proposal.choosing import Choice, choose
from hostler.proposal.proposal import Found, stack_text, summary, there
from hostler.stackfile.hosts import hosts_of
from hostler.stackfile.load import loads
from unit.models import builders
from unit.models.web import Web

from .machines import cards, found

H100 = "NVIDIA H100 80GB HBM3"
CARDS = ((8192, "NVIDIA GeForce RTX 3070"), (12288, "NVIDIA GeForce RTX 3060"), (16376, "NVIDIA GeForce RTX 4080"),
         (24576, "NVIDIA GeForce RTX 3090"), (23028, "NVIDIA A10G"), (49140, "NVIDIA RTX A6000"), (81559, H100))  # fmt: skip


def header(entry: Entry) -> bytes:
    """As the file's would be: input and output matrix, and layers that share the rest."""
    name = "gpt-oss" if entry.window else "qwen3"
    numbers: dict[str, Any] = {
        "block_count": entry.layers, "embedding_length": entry.width, "context_length": entry.trained,
        "attention.head_count": entry.heads, "attention.head_count_kv": entry.kv_heads,
        "attention.key_length": entry.head, "attention.value_length": entry.head, "vocab_size": entry.vocabulary,
    }  # fmt: skip
    numbers |= {"attention.sliding_window": entry.window} if entry.window else {}
    numbers |= {"pooling_type": 1} if entry.use == "embeddings" else {}
    numbers |= {} if entry.kept else {"attention.causal": False}
    metadata = {"general.architecture": name, **{f"{name}.{key}": value for key, value in numbers.items()}}
    matrix = entry.width * entry.vocabulary // 2
    each = (entry.size - 2 * matrix - 100_000) // entry.layers
    sizes = [
        ("token_embd", matrix),
        ("output", matrix),
        *((f"blk.{n}.ffn_up", each) for n in range(entry.layers)),
    ]
    offsets = [0, *accumulate(-(-size // 32) * 32 for _, size in sizes)]
    tensors = [
        (f"{tensor}.weight", (entry.width, entry.vocabulary), at)
        for (tensor, _), at in zip(sizes, offsets, strict=False)
    ]
    return builders.header(metadata, tensors)


@pytest.fixture
def hub(web: Web) -> Web:
    for tag in ("server", "server-cuda"):
        web.image("ggml-org/llama.cpp", tag)
    for entry in CATALOGUE:
        file = f"model-{entry.quantization or 'Q8_0'}.gguf"
        web.repo(entry.repo, {file: header(entry)}, {file: entry.size})
    return web


def first_up(hub: Web, text: str, hosts: Sequence[Found]) -> list[str]:
    """The replicas of the first `up` of a file; raises where it would be refused."""
    file = loads(text.encode(), "home.yaml")
    seen = {host.name: one.seen for host, one in zip(hosts_of(file), hosts, strict=True)}
    rooms = rooms_of(hosts_of(file), seen)
    http = Http(timeout=5, pause=lambda _: None)
    resolver = Resolver(
        rooms,
        weights=Weights(http=http, api=HfApi(endpoint=hub.base, token=False)),
        registry=Registry(http, {"ghcr.io": hub.base}),
    )
    runs = {
        name: resolver.model(name, model, pools_of(file.stack, model))
        for name, model in file.stack.models.items()
    }
    assert {name: one.engine == "embeddings" for name, one in runs.items()} == {
        name: name == "embeddings" for name in runs
    }
    assert {name: one.context for name, one in runs.items()} == {
        name: model.context for name, model in file.stack.models.items()
    }
    models = {name: ReleasedModel(asked="", runs=one) for name, one in runs.items()}
    placed = place(wanted_of(file.stack, Release(number=1, models=models, parts={})), rooms)
    assert not placed.missing, (placed.missing, placed.rejected, text)
    return [replica.id for replica in placed.replicas]


NAMED = {
    "little memory": [found("a", ram=4)],
    "main memory": [found("a", ram=64)],
    "two processors": [found("a", ram=64, cpus=2)],
    "8 GB": [found("a", *cards(1, 8192))],
    "12 GB": [found("a", *cards(1, 12288))],
    "16 GB": [found("a", *cards(1, 16376))],
    "24 GB": [found("a", *cards(1))],
    "a desktop": [found("a", *cards(1, used=1800))],
    "2 x 24 GB": [found("a", *cards(2))],
    "4 x 24 GB": [found("a", *cards(4))],
    "8 x 24 GB": [found("a", *cards(8))],
    "80 GB": [found("a", *cards(1, 81559, name=H100))],
    "two hosts": [found("a", *cards(1)), found("b", *cards(1, 8192))],
    "mixed": [found("a", *cards(1, 8192), *cards(2)), found("b")],
    "no room on the card": [found("a", *cards(1, used=24000))],
    "a small disk": [found("a", *cards(1), disk=20)],
}  # fmt: skip


def worlds() -> Iterator[list[Found]]:
    dice = random.Random(20)
    for _ in range(40):
        yield [
            found(
                f"h{n}",
                *_any_cards(dice),
                ram=dice.choice((2, 8, 16, 64, 256)),
                disk=dice.choice((25, 60, 500)),
            )
            for n in range(dice.randint(1, 4))
        ]


def _any_cards(dice: random.Random) -> Iterator[Card]:
    memory_mib, name = dice.choice(CARDS)
    for _ in range(dice.choice((0, 1, 1, 2, 4, 8))):
        if dice.random() < 0.2:
            memory_mib, name = dice.choice(CARDS)
        yield from cards(1, memory_mib, used=dice.choice((0, 0, 0, 500, memory_mib // 2)), name=name)


@pytest.mark.parametrize("hosts", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("uses", [(), ("code",), USES], ids=["as it comes", "code", "all"])
def test_the_first_up_is_never_refused(hub: Web, hosts: list[Found], uses: tuple[Use, ...]) -> None:
    choice = choose(there(hosts), uses, beside=not uses)
    text = stack_text("home", hosts, choice)
    if choice.stands:
        assert first_up(hub, text, hosts) == sorted(f"{pick.entry.use}-0" for pick in choice.picks)
    assert set(uses or ("chat",)) == {pick.entry.use for pick in choice.picks} - {"embeddings", "code"} | (
        {pick.entry.use for pick in choice.picks} & set(uses)
    ) | set(choice.lacking)


def test_nor_on_any_other_machines(hub: Web) -> None:
    served = 0
    for hosts in worlds():
        choice = choose(there(hosts))
        text = stack_text("home", hosts, choice)
        assert loads(text.encode(), "home.yaml").stack.models
        if choice.stands:
            served += 1
            first_up(hub, text, hosts)
            again = text.replace("    # replicas: 2 ", "    replicas: 2 ", 1)
            first_up(hub, again, hosts)
    assert served > 30


def titles(choice: Choice) -> list[str]:
    return [pick.entry.title for pick in choice.picks]


@pytest.mark.parametrize(
    ("hosts", "wanted"),
    [
        ("little memory", ["Qwen2.5 1.5B", "Qwen3 Embedding 0.6B"]),
        ("main memory", ["Qwen3 30B A3B", "Qwen3 Embedding 0.6B"]),
        ("two processors", ["Qwen2.5 1.5B", "Qwen3 Embedding 0.6B"]),
        ("8 GB", ["Qwen3 8B", "Nomic Embed 1.5"]),
        ("12 GB", ["Qwen3 14B", "Nomic Embed 1.5"]),
        ("16 GB", ["gpt-oss 20B", "Qwen3 Embedding 0.6B"]),
        ("24 GB", ["Qwen3 30B A3B", "Qwen3 Embedding 0.6B"]),
        ("2 x 24 GB", ["Qwen3 30B A3B", "Qwen3 Coder 30B A3B", "Qwen3 Embedding 0.6B"]),
        ("4 x 24 GB", ["gpt-oss 120B", "Qwen3 Coder 30B A3B", "Qwen3 Embedding 0.6B"]),
        ("80 GB", ["gpt-oss 120B", "Qwen2.5 Coder 14B", "Qwen3 Embedding 0.6B"]),
        ("two hosts", ["Qwen3 30B A3B", "Qwen2.5 Coder 7B", "Qwen3 Embedding 0.6B"]),
        ("a small disk", ["Qwen3 14B", "Qwen3 Embedding 0.6B"]),
    ],
)
def test_what_fits_well(hosts: str, wanted: list[str]) -> None:
    assert titles(choose(there(NAMED[hosts]))) == wanted


def test_all_that_is_asked_for_shares_one_card() -> None:
    """The worst of them is as good as it can be."""
    choice = choose(there(NAMED["24 GB"]), USES, beside=False)
    assert titles(choice) == ["gpt-oss 20B", "Qwen2.5 Coder 14B", "Nomic Embed 1.5"]
    assert not choice.lacking


def test_what_has_no_room_says_so() -> None:
    choice = choose(there([found("a", ram=2)]), ("chat", "code"), beside=False)
    assert list(choice.lacking) == ["code"]
    assert "which is not free beside" in choice.lacking["code"]
    assert summary(choice, host=False)[-1].startswith("code: none; Qwen2.5 Coder 1.5B needs")


def test_vectors_go_to_main_memory_where_cards_are_full() -> None:
    choice = choose(there([found("a", *cards(1, 6144))]), ("chat", "embeddings"), beside=False)
    full = choose(there([found("a", *cards(1, 24576, used=24000))]), ("embeddings",), beside=False)
    assert all(pick.in_memory and pick.aside for pick in full.picks)
    assert titles(choice)[0] == "Qwen3 4B"


def test_nothing_fits() -> None:
    assert choose(there([found("a", ram=1)])).stands == ()
    assert choose(there([])).stands == ()


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.title)
def test_entries(entry: Entry) -> None:
    """A source that is read as GGUF, by the quantization that it names; what is counted is never less than what the
    header will say."""
    parsed = parse(entry.source)
    assert isinstance(parsed, HubSource)
    assert format_of(entry.source) == "gguf"
    assert label(f"x-{parsed.quantization}.gguf") == entry.quantization
    read = memory.shape_of(read_header(bytes_reader(header(entry)), entry.size))
    for context in (entry.context, min(entry.trained, 32768)):
        counted, real = (memory.need(shape, context=context) for shape in (entry.shape, read))
        several = (2, 3, 4, 8) if entry.size_gb > 12 else ()  # small ones stand on one card
        assert all(counted.per_card(n) >= real.per_card(n) for n in (0, 1, *several))
        assert counted.per_card(1) <= 1.2 * real.per_card(1) + 512


@pytest.mark.parametrize("use", USES)
def test_the_best_first(use: Use) -> None:
    sizes = [entry.size_gb for entry in entries(use)]
    assert sizes == sorted(sizes, reverse=True)
