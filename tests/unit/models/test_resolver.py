"""A model's section to what it runs, with a hub and a registry on loopback."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi

from hostler.engines.base import Seat
from hostler.engines.registry import by_name
from hostler.errors import StackFileError
from hostler.manifest.items import Part
from hostler.models.host_files import SeenFile, SeenFolder
from hostler.models.http import Http
from hostler.models.operator_files import OperatorFiles
from hostler.models.registry import Registry
from hostler.models.resolve import Weights
from hostler.models.resolver import Resolver, host_paths, is_in_memory
from hostler.models.rooms import CardRoom, Room
from hostler.stackfile.sections import Model

from . import builders
from .web import DIGEST, Web

LLAMA = "ggml-org/llama.cpp"


def room(*free: int, pool: str = "rack", memory: int = 60000, gone: str = "") -> Room:
    cards = tuple(
        CardRoom(uuid=f"G{n}", index=n, name="3090", memory_mib=24576, free_mib=mib)
        for n, mib in enumerate(free)
    )
    return Room(host=f"h{len(free)}", pool=pool, cards=cards, memory_mib=memory, gone=gone)


def resolver(web: Web, *rooms: Room, seen: dict[str, SeenFile] | None = None, folder: str = "/") -> Resolver:
    web.image(LLAMA, "server-cuda")
    web.image(LLAMA, "server")
    http = Http(timeout=5, pause=lambda _: None)
    return Resolver(
        rooms,
        weights=Weights(
            http=http,
            api=HfApi(endpoint=web.base, token=False),
            seen=seen,
            files=OperatorFiles(folder, memory=Path(folder) / "memory.json"),
        ),
        registry=Registry(http, {"ghcr.io": web.base}),
        where=lambda path: f"s.yaml:1:1 {path}",
        folder=folder,
    )


@pytest.fixture
def hub(web: Web) -> Web:
    data, size = builders.llama_8b()
    web.repo("org/m-GGUF", {"m-Q4_K_M.gguf": data}, {"m-Q4_K_M.gguf": size})
    return web


def model(source: str = "hf:org/m-GGUF:Q4_K_M", **more: Any) -> Model:
    return Model(source=source, **more)


def test_on_a_card(hub: Web) -> None:
    runs = resolver(hub, room(24000)).model("chat", model(), ("rack",))
    assert (runs.engine, runs.context, runs.slots, runs.in_memory) == ("llama.cpp", 8192, 1, False)
    assert (runs.image.ref, runs.image.tag) == (f"ghcr.io/{LLAMA}@{DIGEST}", "server-cuda")
    assert runs.need
    assert runs.need.how == "header"
    assert runs.need_mib == pytest.approx(5.9 * 1024, rel=0.05)
    line = by_name(runs.engine).command(runs.argv, Seat(model_path="/models/m", port=18080, cards=1))
    assert line[:6] == ("-m", "/models/m", "--host", "127.0.0.1", "--port", "18080")
    assert line[line.index("-c") : line.index("-c") + 2] == ("-c", "8192")


def test_context_that_fits_the_card(hub: Web) -> None:
    assert resolver(hub, room(5600)).model("chat", model(), ("rack",)).context == 4096
    assert resolver(hub, room(5600)).model("chat", model(cache="q8_0"), ("rack",)).context == 8192
    assert resolver(hub, room(5600), room(24000, 24000)).model("chat", model(), ("rack",)).context == 8192
    assert (
        resolver(hub, room(5600), room(24000, pool="other")).model("chat", model(), ("rack",)).context == 4096
    )
    assert resolver(hub, room(3500, 3500)).model("chat", model(), ("rack",)).context == 1024


def test_in_main_memory(hub: Web) -> None:
    runs = resolver(hub, room()).model("chat", model(), ("rack",))
    assert (runs.image.tag, runs.in_memory, runs.argv[runs.argv.index("-ngl") + 1]) == ("server", True, "0")


def test_when_main_memory_is_used() -> None:
    assert is_in_memory(model(cards=0), ("rack",), [room(1)])
    assert is_in_memory(model(), ("rack",), [room(), room(1, pool="other")])
    assert not is_in_memory(model(), ("rack",), [room(), room(1)])
    assert not is_in_memory(model(cards=1), ("rack",), [room()])
    assert not is_in_memory(model(), ("rack",), [room(gone="dead")]), "unknown is not a reason"


def test_when_no_host_answers_it_stays_what_it_was(hub: Web) -> None:
    before = resolver(hub, room()).model("chat", model(), ("rack",))
    after = resolver(hub, room(gone="dead")).model("chat", model(slots=2), ("rack",), before)
    assert (after.in_memory, after.image, after.context) == (True, before.image, 8192)


def test_context_beyond_what_it_was_trained_for(hub: Web) -> None:
    with pytest.raises(StackFileError, match="at most 131072 tokens") as error:
        resolver(hub, room(24000)).model("chat", model(context=200_000), ("rack",))
    assert error.value.problems[0].where == "s.yaml:1:1 models.chat.context"


def test_weights_and_image_stay_while_the_section_names_the_same(hub: Web) -> None:
    before = resolver(hub, room(24000)).model("chat", model(), ("rack",))
    hub.asked.clear()
    after = resolver(hub, room(24000)).model("chat", model(context=4096), ("rack",), before)
    assert (after.weights, after.image, after.context) == (before.weights, before.image, 4096)
    assert {path.split("/")[3] for _, path, _ in hub.asked} == {"resolve"}, "the pinned file's header alone"
    hub.repo("org/m-GGUF", {"m-Q8_0.gguf": b"GGUF"})
    other = resolver(hub, room(24000)).model("chat", model("hf:org/m-GGUF:Q8_0"), ("rack",), before)
    assert other.weights.file == "m-Q8_0.gguf"


def test_a_header_that_cannot_be_read_is_estimated_and_says_so(hub: Web) -> None:
    hub.repo("org/m-GGUF", {"m-Q4_K_M.gguf": b"not one"}, {"m-Q4_K_M.gguf": 5 * 2**30})
    runs = resolver(hub, room(24000)).model("chat", model(), ("rack",))
    assert runs.need
    assert runs.need.how.startswith("estimated from the file's size: the file ends")
    assert runs.need_mib > 5 * 1024


def test_a_path_on_the_operators_own_machine_is_read(hub: Web, tmp_path: Path) -> None:
    data, size = builders.llama(
        layers=2, embedding=64, heads=2, heads_kv=2, vocabulary=9, on_card_gib=0.001, embedding_gib=0.0001
    )
    file = tmp_path / "m.gguf"
    file.write_bytes(data.ljust(size, b"\0"))
    seen = {str(file): SeenFile(size)}
    runs = resolver(hub, room(24000), seen=seen).model("chat", model(str(file)), ("rack",))
    assert (runs.weights.url, runs.need and runs.need.how) == (f"file:{file}", "header")
    far = resolver(hub, room(24000), seen={"/far/m.gguf": SeenFile(size)}).model(
        "chat", model("/far/m.gguf"), ("rack",)
    )
    assert far.need
    assert far.need.how == "estimated from the file's size: the file is on the host"


def test_paths_to_ask_the_probe_for() -> None:
    models = {"a": model(), "b": model("./m.gguf"), "c": model("/srv/m.gguf"), "d": Model(cloud="x/y")}
    assert host_paths(models) == ("/srv/m.gguf",)
    split = {"a": model("/srv/w/m-00001-of-00002.gguf")}
    assert host_paths(split) == ("/srv/w", "/srv/w/m-00001-of-00002.gguf"), (
        "the other parts are in the folder"
    )


def test_all_parts_on_the_hosts_are_counted(hub: Web) -> None:
    """Also where a release took the first part for all of it."""
    path = "/srv/m-00001-of-00003.gguf"
    listing = {f"m-0000{number}-of-00003.gguf": SeenFile(10 * 2**30) for number in (1, 2, 3)}
    one = resolver(hub, room(40000), seen={path: listing["m-00001-of-00003.gguf"]})
    one.weights.folders["/srv"] = SeenFolder(hosts={"h1": listing})
    runs = one.model("chat", model(path), ("rack",))
    assert runs.need_mib > 30 * 1024
    first = replace(runs, weights=replace(runs.weights, more=()))
    assert one.model("chat", model(path), ("rack",), first).weights.total == 30 * 2**30


def test_each_image_is_asked_for_once(hub: Web) -> None:
    one = resolver(hub)
    pins = [one.image(f"ghcr.io/{LLAMA}:server", part) for part in (Part.GATEWAY, Part.EDGE)]
    assert [pin.part for pin in pins] == [Part.GATEWAY, Part.EDGE]
    assert hub.count("HEAD", f"/v2/{LLAMA}/manifests/server") == 1


def test_a_repository_without_gguf(hub: Web) -> None:
    hub.repo("org/plain", {"model.safetensors": b"x"})
    with pytest.raises(StackFileError, match="a GGUF file or safetensors in org/plain; got neither") as error:
        resolver(hub, room(24000)).model("chat", model("hf:org/plain"), ("rack",))
    assert error.value.problems[0].where == "s.yaml:1:1 models.chat.source"


def test_a_model_for_embeddings_wants_its_engine(web: Web) -> None:
    """Its header says what it is for; a chat's weights may make vectors where that is asked for."""
    data, size = builders.llama(
        layers=2, embedding=64, heads=2, heads_kv=2, vocabulary=9, on_card_gib=0.1, embedding_gib=0.01,
        **{"llama.pooling_type": 1},
    )  # fmt: skip
    web.repo("org/e-GGUF", {"e-Q8_0.gguf": data}, {"e-Q8_0.gguf": size})
    embedding = model("hf:org/e-GGUF:Q8_0")
    with pytest.raises(StackFileError, match="made for embeddings") as error:
        resolver(web, room(24000)).model("embed", embedding, ("rack",))
    assert error.value.problems[0].where == "s.yaml:1:1 models.embed.engine"
    assert error.value.problems[0].next_step.startswith("add `engine: embeddings`")
    runs = resolver(web, room(24000)).model(
        "embed", model("hf:org/e-GGUF:Q8_0", engine="embeddings", context=512), ("rack",)
    )
    assert (runs.engine, runs.argv[:5]) == ("embeddings", ("--embeddings", "-b", "512", "-ub", "512"))


def test_vectors_of_a_chat_model_take_a_batch_as_long_as_the_context(hub: Web) -> None:
    chat, vectors = (
        resolver(hub, room(24000)).model("m", model(engine=engine, context=8192), ("rack",))
        for engine in ("llama.cpp", "embeddings")
    )
    assert vectors.need_mib > chat.need_mib + 4096
