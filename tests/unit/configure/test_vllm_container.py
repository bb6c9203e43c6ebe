"""The container of a model that vLLM serves: what it has besides its words, and what its host gets for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.configure import ask, doors, variables
from hostler.configure.wish import Wish
from hostler.engines.base import ContextAnswer
from hostler.engines.registry import by_name
from hostler.engines.vllm import CACHE
from hostler.hosts.types import Card, Seen
from hostler.manifest.items import Container, Directory, Manifest, Part
from hostler.models import lying
from hostler.models.types import Member, ModelSource, Need, Placement, Replica, WeightsFile
from worlds import configure_world as world

URL = "https://huggingface.co/acme/tiny/resolve/0f"
GIB = 2**30


def weights() -> ModelSource:
    more = [("model-00002-of-00002.safetensors", 6 * GIB), ("config.json", 700), ("tokenizer.json", 9000)]
    return ModelSource(
        source="hf:acme/tiny",
        url=f"{URL}/model-00001-of-00002.safetensors",
        file="model-00001-of-00002.safetensors",
        size=10 * GIB,
        sha256=world.digest("weights"),
        secret="HF_TOKEN",
        more=tuple(WeightsFile(url=f"{URL}/{name}", file=name, size=size) for name, size in more),
        format="safetensors",
    )


def runs(each_mib: int = 22225) -> dict[str, Any]:
    return {
        "engine": "vllm",
        "image": world.pin("docker.io/vllm/vllm-openai", "latest"),
        "weights": weights(),
        "argv": ("--served-model-name", "chat"),
        "slots": 64,
        "need": Need(divided_mib=each_mib, card_mib=0, fullest_mib=(each_mib,) * 15),
        "parallel": "tensor",
        "counts": (1, 2, 4),
    }


def seen(
    count: int, memory_mib: int = 24576, links: tuple[tuple[str, str, str], ...] = ()
) -> dict[str, Seen]:
    cards = tuple(
        Card(index=n, uuid=f"GPU-1{n}", name="RTX 3090", memory_mib=memory_mib) for n in range(count)
    )
    found = world.seen_hosts()
    return {**found, "gpu-1": replace(found["gpu-1"], facts=world.facts(1, cards=cards, links=links))}


def placed(count: int) -> Placement:
    member = Member(host="gpu-1", cards=tuple(f"GPU-1{n}" for n in range(count)), port=18080)
    return Placement(
        replicas=(Replica(id="chat-0", model="chat", members=(member,), need_mib=22225 * count),)
    )


def manifest(count: int = 1, each_mib: int = 22225, **there: Any) -> Manifest:
    return world.manifests(seen(count, **there), placed=placed(count), **runs(each_mib))["gpu-1"]


def chat(found: Manifest) -> Container:
    (container,) = (one for one in found.containers if one.model == "chat")
    return container


@pytest.mark.parametrize("local", [True, False], ids=["on the hosts", "of the operator"])
def test_a_folder_of_ones_own(local: bool) -> None:
    """One on the hosts is served where it lies; one of the operator's machine from a folder by its content."""
    url = "file:/srv/llama" if local else "operator:0123"
    source = "/srv/llama" if local else "./llama"
    first, *more = (replace(file, url=f"{url}/{file.file}") for file in weights().files)
    own = replace(weights(), source=source, url=first.url, more=tuple(more), local=local, secret="")
    found = world.manifests(seen(1), placed=placed(1), **{**runs(), "weights": own})["gpu-1"]
    folder = "/srv/llama" if local else lying.on_host(own).rpartition("/")[0]
    assert [model.path for model in found.models] == [f"{folder}/{file.file}" for file in own.files]
    assert [model.url for model in found.models] == [file.url for file in own.files]
    container = chat(found)
    assert container.argv[0] == folder
    assert (folder, folder, True) in [(m.source, m.target, m.read_only) for m in container.mounts]
    assert folder.startswith("/srv" if local else "/var/lib/hostler/models/")


def test_all_its_files_lie_in_one_folder_that_it_cannot_write() -> None:
    found = manifest()
    folder = lying.on_host(weights()).rpartition("/")[0]
    assert {model.path.rpartition("/")[0] for model in found.models} == {folder}
    assert [model.path.rpartition("/")[2] for model in found.models] == [f.file for f in weights().files]
    assert {model.secret for model in found.models} == {"HF_TOKEN"}
    container = chat(found)
    assert container.argv[0] == folder
    assert [(m.source, m.target, m.read_only) for m in container.mounts] == [
        (folder, folder, True),
        (CACHE, CACHE, False),
    ]


def test_its_cache_stays_on_the_host_and_is_its_accounts() -> None:
    found = {item.path: item for item in manifest().directories}
    assert found[CACHE] == Directory(
        path=CACHE, part=Part.ENGINE, mode="0750", owner="hostler", group="hostler"
    )
    above = found[CACHE.rpartition("/")[0]]
    assert (above.owner, above.mode) == ("root", "0755")
    paths = list(found)
    assert paths.index(above.path) < paths.index(CACHE), "parents come first"
    llama = world.manifests()["gpu-1"]
    assert not [item for item in llama.directories if "cache" in item.path]


def test_it_asks_no_hub_and_has_a_home() -> None:
    env = dict(chat(manifest()).env)
    assert (env["HF_HUB_OFFLINE"], env["HOME"], env["VLLM_NO_USAGE_STATS"]) == ("1", CACHE, "1")
    assert not [name for name in env if "TOKEN" in name]


@pytest.mark.parametrize(
    ("count", "links", "shm", "level"),
    [
        (1, (), 1024, None),
        (2, (), 8192, "NVL"),
        (2, (("GPU-10", "GPU-11", "PIX"),), 8192, "NVL"),
        (2, (("GPU-10", "GPU-11", "NV4"),), 8192, None),
        (4, (("GPU-10", "GPU-11", "NV4"), ("GPU-12", "GPU-13", "NV4")), 8192, "NVL"),
    ],
)
def test_cards_without_bridges(
    count: int, links: tuple[tuple[str, str, str], ...], shm: int, level: str | None
) -> None:
    container = chat(manifest(count, links=links))
    assert container.shm_mib == shm
    assert dict(container.env).get("NCCL_P2P_LEVEL") == level
    parallel = ("--tensor-parallel-size", str(count))
    assert (parallel == container.argv[5:7]) == (count > 1)


@pytest.mark.parametrize(
    ("each_mib", "memory_mib", "said"),
    [(22225, 24576, "0.92"), (19809, 24576, "0.82"), (22225, 81920, "0.276")],
)
def test_the_part_of_its_card(each_mib: int, memory_mib: int, said: str) -> None:
    argv = chat(manifest(each_mib=each_mib, memory_mib=memory_mib)).argv
    assert argv[argv.index("--gpu-memory-utilization") + 1] == said


def test_time_to_stop_and_to_start() -> None:
    """16 GiB at 50 MiB a second, and what is compiled."""
    container = chat(manifest())
    assert container.stop_s == 40
    assert container.health
    assert (container.health.path, container.health.limit_s) == ("/health", 420 + 16 * 1024 // 50)
    assert (container.context, container.slots) == (8192, 64)


def test_what_is_read_back_of_it() -> None:
    assert by_name("vllm").loaded == ContextAnswer(path="/v1/models", context=("data", "0", "max_model_len"))


@pytest.mark.parametrize(("as_runs", "kept"), [(runs(), True), ({}, False)], ids=["vllm", "llama.cpp"])
def test_the_gateway_keeps_connections_that_can_be_used_again(as_runs: dict[str, Any], kept: bool) -> None:
    release, record = world.release(**as_runs), world.record()
    wish = Wish(
        file=world.stack(),
        hosts=world.hosts(),
        seen=seen(1),
        release=release,
        placement=placed(1),
        record=record,
    )
    assert doors.route(wish, placed(1).replicas[0]).keep_alive is kept


def test_the_folders_it_writes_to_are_made() -> None:
    made = manifest()
    folders = [
        entry["path"] for entry in variables.host_variables(made)["engine_files"] if entry.get("state")
    ]
    assert folders == ["/var/lib/hostler/cache", CACHE]
    assert {f"path:{path}" for path in folders} <= set(ask.generic())
