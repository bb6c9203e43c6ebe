"""The named stack files, from the file to the containers of a host with stand-in cards: nothing else is needed to
know what they would do. Hub and registry are on loopback, with the numbers that the real ones publish.

The table of stacks/README.md is renewed by `PYTHONPATH=infra:tests python tests/unit/test_stacks.py`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostler.console.fit import speed, tokens
from hostler.manifest.items import Container
from hostler.models.fit import Works
from hostler.models.safetensors import Checkpoint, checkpoint_of
from hostler.models.vllm_memory import cache_room, token_bytes
from hostler.stackfile.load import load, loads
from hostler.stackfile.sections import StackFile
from unit.models.web import Web, serve
from worlds import stacks_world as world

ROOT = Path(__file__).resolve().parents[2]
CASES: list[dict[str, Any]] = yaml.safe_load((ROOT / "tests" / "cases" / "stacks.yaml").read_text())
VLLM = [case for case in CASES if "tokens" in case]
WEIGHTS = (".gguf", ".safetensors")
STACKS = ROOT / "stacks"
BEGIN, END = "<!-- stacks -->\n", "<!-- /stacks -->"


def names(case: dict[str, Any]) -> str:
    return case["file"]


each = pytest.mark.parametrize("case", CASES, ids=names)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_TOKEN"):
            patch.delenv(name, raising=False)
            patch.delenv(name.lower(), raising=False)
        with serve() as running:
            world.fill(running)
            yield running


def stack(case: dict[str, Any]) -> StackFile:
    return load(STACKS / f"{case['file']}.yaml")


Stacks = Mapping[str, world.Made]


@pytest.fixture(scope="module")
def stacks(web: Web) -> Stacks:
    return all_made(web)


def all_made(web: Web) -> Stacks:
    return {case["file"]: world.made(web, stack(case), world.cards(**case["card"])) for case in CASES}


def engine_of(made: world.Made) -> Container:
    (container,) = (c for m in made.manifests.values() for c in m.containers if c.model)
    return container


def told(case: dict[str, Any]) -> dict[str, Any]:
    """What the hub has of a case's model."""
    repo, _, quantization = str(stack(case).stack.models["chat"].source).removeprefix("hf:").partition(":")
    return next(
        one for one in world.REPOS if one["repo"] == repo and quantization in one.get("file", quantization)
    )


def checkpoint(case: dict[str, Any]) -> Checkpoint:
    return checkpoint_of(told(case)["config"], told(case)["total_size"])


def test_there_is_a_case_for_each_named_stack() -> None:
    named = {p.stem for p in STACKS.glob("*.yaml") if re.match(r"(llama|mistral)-", p.stem)}
    assert named == {case["file"] for case in CASES}


@pytest.mark.parametrize(
    "one", [r for r in world.REPOS if "header" in r], ids=lambda r: r["file"].rpartition("/")[2]
)
def test_files_are_as_large_as_the_published_ones(one: dict[str, Any]) -> None:
    assert sum(size for _, size in world.gguf(one).values()) / 1e9 == pytest.approx(one["file_gb"], rel=0.005)


@pytest.mark.parametrize("one", [r for r in world.REPOS if "weights" in r], ids=lambda r: r["repo"])
def test_an_index_counts_what_its_files_hold(one: dict[str, Any]) -> None:
    assert sum(one["weights"]) == pytest.approx(one["total_size"], rel=0.001)


@each
def test_all_its_cards_are_taken(stacks: Stacks, case: dict[str, Any]) -> None:
    found = stacks[case["file"]]
    assert not found.placement.missing
    (replica,) = found.placement.replicas
    assert replica.members[0].cards == tuple(f"GPU-{n}" for n in range(case["card"]["count"]))
    assert engine_of(found).cards == replica.members[0].cards


@each
def test_the_containers_words(stacks: Stacks, case: dict[str, Any]) -> None:
    container = engine_of(stacks[case["file"]])
    folder = container.mounts[0].source
    line = shlex.join(container.argv).replace(folder, "DIGEST")
    assert line == case["line"]
    assert re.fullmatch("/var/lib/hostler/models/[0-9a-f]{16}", folder)
    context = int(case["line"].partition("--max-model-len ")[2].split()[0]) if case in VLLM else 0
    assert container.context == stack(case).stack.models["chat"].context == (context or container.context)


@each
def test_memory_of_each_card(stacks: Stacks, case: dict[str, Any]) -> None:
    taken = gib(stacks[case["file"]])
    assert taken == pytest.approx(case["gib"], rel=0.05)
    assert taken * 1024 <= case["card"]["memory_mib"] - world.DRIVER_MIB


@pytest.mark.parametrize("case", VLLM, ids=names)
def test_the_cache_holds_what_it_should(stacks: Stacks, case: dict[str, Any]) -> None:
    """Worked cases among them; and one whole request at least, or vLLM would not start."""
    model, card, container = checkpoint(case), case["card"], engine_of(stacks[case["file"]])
    part = float(container.argv[container.argv.index("--gpu-memory-utilization") + 1])
    bytes_each = token_bytes(model, card["count"])
    held = cache_room(model, card["count"], card["memory_mib"], part) // bytes_each
    assert bytes_each == case["token_kib"] * 1024
    assert case["tokens"][0] <= held <= case["tokens"][1]
    assert held >= container.context


@each
def test_all_files_are_fetched_with_the_secret_that_they_need(stacks: Stacks, case: dict[str, Any]) -> None:
    (manifest,) = stacks[case["file"]].manifests.values()
    weights = [model for model in manifest.models if model.path.endswith(WEIGHTS)]
    beside = {Path(model.path).name for model in manifest.models} - {Path(m.path).name for m in weights}
    assert len(weights) == case["files"]
    assert {model.secret for model in manifest.models} == {case.get("secret", "")}
    assert set(stack(case).stack.secrets) == {name for name in [case.get("secret")] if name}
    assert len({Path(model.path).parent for model in manifest.models}) == 1
    assert "config.json" in beside if case in VLLM else not beside


@each
def test_its_comments_say_what_fit_says(stacks: Stacks, case: dict[str, Any]) -> None:
    """The speed, and what it takes of each card."""
    text = (STACKS / f"{case['file']}.yaml").read_text(encoding="utf-8")
    said = re.search(r"Expect (\d+) tokens a second for one request", text)
    assert said
    assert int(said[1]) == pytest.approx(row_of(case, stacks[case["file"]]).tokens_s, rel=0.03)
    assert f"{gib(stacks[case['file']]):.1f} " in text


def row_of(case: dict[str, Any], made: world.Made) -> Works:
    """What `fit` says of all its cards with the cache that the file asks for."""
    wanted = (case["card"]["count"], stack(case).stack.models["chat"].cache)
    return next(row for row in made.fitted.works if (row.cards, row.cache) == wanted)


@each
def test_fit_says_what_up_does(stacks: Stacks, case: dict[str, Any]) -> None:
    """The context of the file fits, and not on fewer cards; vLLM takes as much of each."""
    made = stacks[case["file"]]
    row, runs = row_of(case, made), made.release.models["chat"].runs
    assert (row.engine, row.context >= runs.context) == (runs.engine, True)
    fewer = [one for one in made.fitted.works if one.cards < row.cards and one.context >= runs.context]
    assert fewer == []
    if case in VLLM:
        assert row.card_mib == runs.need.per_card(row.cards) if runs.need else False


def gib(made: world.Made) -> float:
    """What it takes of each card."""
    (replica,) = made.placement.replicas
    return replica.need_mib / len(replica.members[0].cards) / 1024


# -- what does not fit is refused, with the reason

RTX3090 = {"name": "NVIDIA GeForce RTX 3090", "memory_mib": 24576}
AWQ = "hf:hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4"
Q4 = "hf:bartowski/Meta-Llama-3.1-70B-Instruct-GGUF:Q4_K_M"


def refused(web: Web, model: str, there: int, **card: Any) -> str:
    text = f'stack: s\npools: {{home: [basement]}}\nmodels: {{chat: {{source: "{model}}}}}\n'
    found = world.made(web, loads(text.encode(), "s.yaml"), world.cards(there, **{**RTX3090, **card}))
    assert found.placement.missing == ("chat-0",)
    assert not found.placement.replicas
    return "; ".join(line.reason for line in found.placement.rejected)


@pytest.mark.parametrize(
    ("model", "there", "reason"),
    [
        (f'{AWQ}", cards: 1', 1, r"^needs 4\d{4} MiB \(4\d\.\d GiB\); 24256 of 24576 MiB may be used"),
        (f'{AWQ}"', 1, r"^needs 4\d{4} MiB \(4\d\.\d GiB\); 24256 of 24576 MiB may be used"),
        (f'{AWQ}", cards: 3', 3, r"^3 cards are asked for; the model can be divided among 1, 2, 4, 8 or 16$"),
        (f'{AWQ}", cards: 4', 2, r"^has 2 cards; 4 are asked for$"),
        (f'{Q4}", context: 32k', 2, r"^needs 2\d{4} MiB \(2\d\.\d GiB\) on each of 2 cards; 24256 of 24576"),
    ],
)  # fmt: skip
def test_what_does_not_fit(web: Web, model: str, there: int, reason: str) -> None:
    assert re.search(reason, refused(web, model, there))


def test_a_desktop_on_a_card_of_a_full_pair(web: Web) -> None:
    assert "2000 MiB taken by others" in refused(web, f'{Q4}", context: 24k, cache: q8_0', 2, used_mib=2000)


# -- the table


def table(stacks: Stacks) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows(stacks))


def rows(stacks: Stacks) -> Iterator[list[str]]:
    yield ["file", "engine", "source", "context", "at once", "GiB of each card", "tokens/s"]
    yield ["---"] * 7
    for case in CASES:
        runs = stacks[case["file"]].release.models["chat"].runs
        taken, size = gib(stacks[case["file"]]), case["card"]["memory_mib"] / 1024
        link = f"[{case['file']}]({case['file']}.yaml)"
        source = runs.weights.source.removeprefix("hf:")
        memory = f"{taken:.1f} of {size:.1f}"
        yield [
            link,
            runs.engine,
            source,
            tokens(runs.context),
            str(runs.slots),
            memory,
            speed(row_of(case, stacks[case["file"]]).tokens_s),
        ]


def test_the_table_is_what_they_become(stacks: Stacks) -> None:
    text = (STACKS / "README.md").read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0] == table(stacks)


def write() -> None:
    page = STACKS / "README.md"
    with serve() as running:
        world.fill(running)
        made = all_made(running)
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    page.write_text(f"{before}{BEGIN}{table(made)}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    write()
