"""Part engine: images, weights and the complete specification of each replica's container."""

from __future__ import annotations

import json
import posixpath
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from hostler.engines import vllm
from hostler.engines.base import Seat
from hostler.engines.registry import by_name
from hostler.hosts.types import Host
from hostler.manifest.contents import Text
from hostler.manifest.items import Container, Directory, File, Health, Item, ModelFile, Mount
from hostler.models import lying
from hostler.models.denied import HUB_SECRET
from hostler.models.types import Member, ModelSource, Replica, Runs
from hostler.placement.links import matrix_of

if TYPE_CHECKING:
    from hostler.configure.wish import Wish

WANTED = "/etc/hostler/wanted"
WRITABLE = (posixpath.dirname(vllm.CACHE), vllm.CACHE)  # folders that engines may write to
LOAD_BYTES_PER_S = 50 * 2**20  # a slow disk: a load that takes longer has failed


def items(wish: Wish, host: Host) -> tuple[Item, ...]:
    """Images, weights and containers of the replicas that are placed on a host, each once."""
    found: list[Item] = []
    for replica in wish.replicas(host.name):
        runs = wish.release.models[replica.model].runs
        member = next(m for m in replica.members if m.host == host.name)
        made = container(wish, replica, runs, member)
        weights = weights_on(wish, runs.weights, host.name)
        found += [runs.image, *model_files(weights), *_writable(made), made]
    return tuple(dict.fromkeys(found))


def weights_on(wish: Wish, weights: ModelSource, host: str) -> ModelSource:
    """As a host has them: the operator's own machine has the operator's files where they are."""
    local = any(one.name == host and one.ssh.local for one in wish.hosts)
    if not (local and lying.is_operators(weights)):
        return weights
    folder = str(Path(wish.file.path).resolve().parent)
    first, *more = (
        replace(file, url=lying.LOCAL + lying.on_operator(weights, folder, file)) for file in weights.files
    )
    return replace(weights, url=first.url, more=tuple(more), local=True)


def model_files(weights: ModelSource) -> tuple[ModelFile, ...]:
    """All files of a model; the small ones last, so that the large ones begin to come first. The hub's token is the only
    secret that is sent for one, whatever a release names."""
    return tuple(
        ModelFile(
            path=lying.on_host(weights, file),
            url=file.url,
            sha256=file.sha256,
            size=file.size,
            secret=HUB_SECRET if weights.secret else "",
        )
        for file in weights.files
    )


def _writable(made: Container) -> tuple[Directory, ...]:
    """Folders of the host's that a container writes to."""
    folders = [mount.source for mount in made.mounts if not mount.read_only]
    above = [posixpath.dirname(folder) for folder in folders]
    return (
        *(Directory(path=folder, part=made.part) for folder in dict.fromkeys(above)),
        *(
            Directory(path=folder, part=made.part, mode="0750", owner="hostler", group="hostler")
            for folder in folders
        ),
    )


def seat(wish: Wish, runs: Runs, member: Member) -> Seat:
    """Where a replica runs, as far as its host is seen."""
    facts = found.facts if (found := wish.seen.get(member.host)) else None
    cards = [card for card in facts.cards if card.uuid in member.cards] if facts else []
    links = matrix_of(member.cards, facts.links) if facts else ()
    count = len(member.cards)
    return Seat(
        model_path=lying.on_host(weights_on(wish, runs.weights, member.host)),
        port=member.port,
        cards=count,
        card_mib=min((card.memory_mib for card in cards), default=0),
        each_mib=runs.need.per_card(count) if runs.need else 0,
        bridged=bool(links) and all(links[one][other] < 100 for one, other in combinations(range(count), 2)),
    )


def container(wish: Wish, replica: Replica, runs: Runs, member: Member) -> Container:
    """The container of one member of a replica: the release's words, completed with path, address and cards."""
    model = wish.file.stack.models[replica.model]
    engine = by_name(runs.engine)
    place = seat(wish, runs, member)
    body = engine.body(place)
    folder = posixpath.dirname(place.model_path)
    return Container(
        id=replica.id,
        part=runs.image.part,
        image=runs.image,
        argv=engine.command(runs.argv, place),
        uid=wish.record.uid,
        model=replica.model,
        env=body.env,
        mounts=(
            Mount(source=folder, target=folder),
            *(Mount(source=path, target=path, read_only=False) for path in body.writable),
        ),
        cards=member.cards,
        shm_mib=body.shm_mib,
        stop_s=body.stop_s,
        port=member.port,
        context=runs.context,
        slots=runs.slots,
        health=Health(port=member.port, path=engine.health, limit_s=load_limit(runs.weights, body.load_s)),
        drain_s=int(model.drain),
        smoke=(model.smoke.prompt, model.smoke.expect or ""),
        bake_s=int(model.bake),
        memory_mib=replica.need_mib,
        beside=model.exchange == "beside",
    )


def load_limit(weights: ModelSource, least_s: int) -> int:
    """Seconds after which a start has failed, from the files' size."""
    return least_s + weights.total // LOAD_BYTES_PER_S


def wanted_text(container: Container) -> str:
    """What the agent reads: the specification and its digest."""
    return json.dumps({**asdict(container), "spec": container.digest}, indent=1, sort_keys=True) + "\n"


def wanted_file(container: Container) -> File:
    return File(
        path=f"{WANTED}/{container.id}.json",
        part=container.part,
        content=Text(text=wanted_text(container)),
    )
