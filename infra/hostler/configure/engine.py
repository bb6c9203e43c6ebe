"""Part engine: images, weights and the complete specification of each replica's container."""

from __future__ import annotations

import json
import posixpath
from dataclasses import asdict
from typing import TYPE_CHECKING

from hostler.engines.base import Seat
from hostler.engines.registry import by_name
from hostler.hosts.types import Host
from hostler.manifest.items import (
    Container,
    File,
    Health,
    Item,
    ModelFile,
    Mount,
    Text,
    digest_of,
)
from hostler.models.types import Member, ModelSource, Replica, Runs

if TYPE_CHECKING:
    from hostler.configure.wish import Wish

MODELS = "/var/lib/hostler/models"
WANTED = "/etc/hostler/wanted"
LOAD_BYTES_PER_S = 50 * 2**20  # a slow disk: a load that takes longer has failed
LEAST_LOAD_S = 120


def items(wish: Wish, host: Host) -> tuple[Item, ...]:
    """Images, weights and containers of the replicas that are placed on a host, each once."""
    found: list[Item] = []
    for replica in wish.replicas(host.name):
        runs = wish.release.models[replica.model].runs
        member = next(m for m in replica.members if m.host == host.name)
        found += [runs.image, model_file(runs.weights), container(wish, replica, runs, member)]
    return tuple(dict.fromkeys(found))


def model_path(weights: ModelSource) -> str:
    """Where the weights are on a host. The folder is the address's digest, so that two files of one name
    never meet, and a file that is not downloaded yet has its place already."""
    if weights.local:
        return weights.url.removeprefix("file://")
    return f"{MODELS}/{digest_of(weights.url)[:16]}/{posixpath.basename(weights.file)}"


def model_file(weights: ModelSource) -> ModelFile:
    return ModelFile(
        path=model_path(weights),
        url=weights.url,
        sha256=weights.sha256,
        size=weights.size,
        secret=weights.secret,
    )


def container(wish: Wish, replica: Replica, runs: Runs, member: Member) -> Container:
    """The container of one member of a replica: the release's words, completed with path, address and cards."""
    model = wish.file.stack.models[replica.model]
    engine = by_name(runs.engine)
    path = model_path(runs.weights)
    folder = posixpath.dirname(path)
    return Container(
        id=replica.id,
        part=runs.image.part,
        image=runs.image,
        argv=engine.command(runs.argv, Seat(model_path=path, port=member.port, cards=len(member.cards))),
        uid=wish.record.uid,
        model=replica.model,
        mounts=(Mount(source=folder, target=folder),),
        cards=member.cards,
        port=member.port,
        context=runs.context,
        slots=runs.slots,
        health=Health(port=member.port, path=engine.health, limit_s=load_limit(runs.weights)),
        drain_s=int(model.drain),
        smoke=(model.smoke.prompt, model.smoke.expect or ""),
    )


def load_limit(weights: ModelSource) -> int:
    """Seconds after which a start has failed, from the file's size."""
    return LEAST_LOAD_S + weights.size // LOAD_BYTES_PER_S


def wanted_text(container: Container) -> str:
    """What the agent reads: the specification and its digest."""
    return json.dumps({**asdict(container), "spec": container.digest}, indent=1, sort_keys=True) + "\n"


def wanted_file(container: Container) -> File:
    return File(
        path=f"{WANTED}/{container.id}.json",
        part=container.part,
        content=Text(text=wanted_text(container)),
    )
