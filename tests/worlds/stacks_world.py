"""A hub with the repositories that stacks/ names, and hosts with stand-in cards: from a stack file to its manifests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import HfApi

from hostler.configure import build
from hostler.hosts.types import Card, Seen
from hostler.manifest.items import Manifest
from hostler.models.fit import Fit, fit
from hostler.models.http import Http
from hostler.models.registry import Registry
from hostler.models.release import next_release, wanted_of
from hostler.models.resolve import Weights
from hostler.models.resolver import Resolver
from hostler.models.rooms import Room, rooms_of
from hostler.models.safetensors import INDEX
from hostler.models.source import parse
from hostler.models.subject import Wanted, read_subject
from hostler.models.types import Placement, Release
from hostler.placement.place import place
from hostler.record.types import Record
from hostler.stackfile.asked import asked_digests
from hostler.stackfile.hosts import hosts_of
from hostler.stackfile.sections import StackFile
from unit.models import headers
from unit.models.web import Web
from worlds import configure_world as world

REPOS: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "models" / "repos.yaml").read_text()
)
DRIVER_MIB = 320  # of each card, kept by the driver
IMAGES = (
    ("ggml-org/llama.cpp", "server-cuda"),
    ("vllm/vllm-openai", "latest"),
    ("library/haproxy", "3.4"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    release: Release
    placement: Placement
    manifests: Mapping[str, Manifest]
    rooms: tuple[Room, ...]
    fitted: Fit  # what `hostler fit chat` says on those hosts


def fill(web: Web) -> None:
    """All repositories and images."""
    files: dict[str, dict[str, bytes]] = {}
    sizes: dict[str, dict[str, int]] = {}
    gated: dict[str, Any] = {}
    for told in REPOS:
        found = gguf(told) if "header" in told else checkpoint(told)
        for name, (data, size) in found.items():
            files.setdefault(told["repo"], {})[name] = data
            sizes.setdefault(told["repo"], {})[name] = size
        gated[told["repo"]] = told.get("gated", False)
    for repo, there in files.items():
        web.repo(repo, there, sizes[repo], gated=gated[repo])
    for path, tag in IMAGES:
        web.image(path, tag)


def gguf(told: Mapping[str, Any]) -> dict[str, tuple[bytes, int]]:
    """Name -> what is served of a file, and its size."""
    made = headers.parts(told["header"], told.get("parts", 1), told.get("all", ""))
    if len(made) == 1:
        return {told["file"]: made[0]}
    stem = told["file"].removesuffix(".gguf")
    names = [f"{stem}-{n:05}-of-{len(made):05}.gguf" for n in range(1, len(made) + 1)]
    return dict(zip(names, made, strict=True))


def checkpoint(told: Mapping[str, Any]) -> dict[str, tuple[bytes, int]]:
    count = len(told["weights"])
    names = [f"model-{n:05}-of-{count:05}.safetensors" for n in range(1, count + 1)]
    index = {
        "metadata": {"total_size": told["total_size"]},
        "weight_map": {f"layer.{n}": name for n, name in enumerate(names)},
    }
    small = {"config.json": json.dumps(told["config"]).encode(), INDEX: json.dumps(index).encode()}
    small |= {name: name.encode() for name in told["beside"]}
    return {name: (b"", size) for name, size in zip(names, told["weights"], strict=True)} | {
        name: (data, len(data)) for name, data in small.items()
    }


def cards(count: int, *, name: str, memory_mib: int, used_mib: int = DRIVER_MIB) -> tuple[Card, ...]:
    return tuple(
        Card(index=n, uuid=f"GPU-{n}", name=name, memory_mib=memory_mib, used_mib=used_mib)
        for n in range(count)
    )


def resolver(web: Web, file: StackFile, rooms: tuple[Room, ...]) -> Resolver:
    http = Http(timeout=5, pause=lambda _: None)
    token = "a-token" if "HF_TOKEN" in file.stack.secrets else ""
    return Resolver(
        rooms,
        weights=Weights(token=token, http=http, api=HfApi(endpoint=web.base, token=token or False)),
        registry=Registry(http, {"ghcr.io": web.base, "docker.io": web.base}),
        where=file.where,
    )


def made(web: Web, file: StackFile, there: tuple[Card, ...]) -> Made:
    """The first `up`, as far as nothing is changed, where each host has those cards."""
    hosts = hosts_of(file)
    seen = {host.name: _seen(host.name, there) for host in hosts}
    rooms = tuple(rooms_of(hosts, seen))
    release = next_release(file.stack, None, asked_digests(file.stack), resolve=resolver(web, file, rooms))
    placement = place(wanted_of(file.stack, release), rooms)
    record = Record(uid=world.UID, stack=file.stack.stack, gateway_host=hosts[0].name, releases=(release,))
    manifests = build.manifests(file, hosts, seen, release, placement, record)
    return Made(
        release=release,
        placement=placement,
        manifests=manifests,
        rooms=rooms,
        fitted=fitted(web, file, rooms),
    )


def fitted(web: Web, file: StackFile, rooms: tuple[Room, ...]) -> Fit:
    model = file.stack.models["chat"]
    source = parse(model.source or "", sha256="")
    wanted = Wanted(engine=model.engine, slots=model.slots or 1, args=model.args)
    return fit(read_subject("chat", source, resolver(web, file, rooms).weights, wanted), rooms)


def _seen(name: str, there: tuple[Card, ...]) -> Seen:
    return replace(world.bare(1), host=name, facts=world.facts(1, cards=there))
