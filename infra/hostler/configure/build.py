"""From the wish to the manifests: all that must be true of each host, as data. Pure but for reading the
product's own files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hostler.configure import (
    base,
    controller,
    docker,
    doors,
    engine,
    idling,
    power,
    systems,
    toolkit,
    watching,
    weights,
)
from hostler.configure.wish import Wish
from hostler.hosts.types import Host, Seen
from hostler.manifest.items import Container, Directory, Downloads, Item, Manifest
from hostler.models import mirror
from hostler.models.types import Placement, Release
from hostler.record.types import Record
from hostler.stackfile.sections import Stack, StackFile


def manifests(
    file: StackFile,
    hosts: Sequence[Host],
    seen: Mapping[str, Seen],
    release: Release,
    placement: Placement,
    record: Record,
    secrets: Mapping[str, str] | None = None,
) -> dict[str, Manifest]:
    """One manifest a host, for reachable and unreachable ones alike. `secrets`: SHA-256 of those that the controller
    gets, by name."""
    wish = Wish(
        file=file,
        hosts=hosts,
        seen=seen,
        release=release,
        placement=placement,
        record=record,
        secrets=secrets or {},
    )
    return {host.name: manifest(wish, host) for host in hosts}


def replicas(wish: Wish) -> dict[str, tuple[Container, ...]]:
    """The containers of a release's replicas, by host, as their manifests have them: no secret and no file of this machine's
    is needed for them."""
    return {
        host.name: tuple(item for item in engine.items(wish, host) if isinstance(item, Container))
        for host in wish.hosts
    }


def manifest(wish: Wish, host: Host) -> Manifest:
    """All that must be true of one host."""
    seen = wish.seen.get(host.name)
    made = (*doors.made(wish, host), *controller.made(wish, host))
    items = (
        *base.items(wish.record, host, seen),
        *power.items(wish.file, host, seen),
        *watching.items(wish, host),
        *idling.items(wish, host),
        *docker.items(wish.file, seen),
        *toolkit.items(wish.file, seen),
        *weights.engine_items(wish, host),
        *doors.items(wish, host),
        *controller.items(wish, host),
    )
    return collect(wish, host, _with_wanted(items), made)


def collect(wish: Wish, host: Host, items: Sequence[Item], made: tuple[str, ...]) -> Manifest:
    from hostler.manifest import items as kinds

    def of[T](kind: type[T]) -> tuple[T, ...]:
        return tuple(dict.fromkeys(item for item in items if isinstance(item, kind)))

    return Manifest(
        host=host.name,
        uid=wish.record.uid,
        epoch=wish.record.epoch,
        release=wish.release.number,
        packages=of(kinds.Package),
        directories=_directories(of(kinds.Directory)),
        files=of(kinds.File),
        merged=tuple(item for item in items if isinstance(item, kinds.MergedJson)),
        images=of(kinds.ImagePin),
        models=of(kinds.ModelFile),
        containers=of(Container),
        units=of(kinds.Unit),
        power=of(kinds.PowerLimit),
        ports=of(kinds.Port),
        made=made,
        made_for=doors.made_for(wish, made),
        facts=_facts(wish, host),
        downloads=downloads(wish.file.stack, host),
    )


def downloads(stack: Stack, host: Host) -> Downloads:
    """What the operator's machine is to fetch, it fetches for itself as well, where it is a host."""
    wanted, mirrors = stack.downloads, mirror.of(stack)
    return Downloads(
        images=mirrors.images or "",
        hub=mirrors.hub or "",
        limit=(wanted and wanted.limit) or 0,
        operator=stack.pools[host.pool].downloads == "operator" and not host.ssh.local,
    )


def _directories(found: Sequence[Directory]) -> tuple[Directory, ...]:
    """Each path once (part base decides where others want the same one), parents first."""
    once = {item.path: item for item in reversed(found)}
    return tuple(once[path] for path in sorted(once))


def _facts(wish: Wish, host: Host) -> dict[str, str]:
    facts = seen.facts if (seen := wish.seen.get(host.name)) else None
    found = {"stack": wish.record.stack, "cards": str(len(facts.cards)) if facts else "0"}
    found |= {"manager": systems.of_seen(seen).manager.name}
    if not facts:
        return found
    return {
        **found,
        "os": facts.os_id,
        "version": facts.os_version,
        "codename": facts.codename,
        "python": facts.interpreter,
    }


def _with_wanted(items: Sequence[Item]) -> tuple[Item, ...]:
    wanted = (engine.wanted_file(item) for item in items if isinstance(item, Container))
    return (*items, *wanted)
