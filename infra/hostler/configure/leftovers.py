"""What is ours on a host and no manifest names any more: a removed model's container, files, weights, images. What a
release needs that can be gone back to stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hostler.configure import base, controller, disk_room, engine, sharing
from hostler.configure.types import Change
from hostler.hosts.types import Seen
from hostler.manifest.items import Effect, Manifest, Part
from hostler.models.kept import Kept, Numbers

WHY = "ours, and nothing in the stack file needs it any more"
ROOM = "room for weights to come"  # what becomes of weights that go before others come
NOBODY: Numbers = frozenset()
TLS = "/etc/hostler/tls"
CONTROLLERS = (
    f"{TLS}/{controller.MADE}.",
    controller.FOLDER,
    controller.HOME,
    controller.SUDO,
    f"{controller.UNIT_FOLDER}/hostler-updates.",
    f"{controller.UNIT_FOLDER}/{controller.RENTING}",
    f"{controller.UNIT_FOLDER}/{controller.SERVICE}",
)
DUE = "/etc/hostler/due/"  # <part>: a change was written, and the run ended before it was loaded


def leftovers(manifest: Manifest, seen: Seen, kept: Kept) -> Iterator[Change]:
    gone = tuple(i for i in seen.ours.get("containers", ()) if i not in wanted_containers(manifest))
    for name in gone:
        yield _remove(manifest, part_of(name), f"container:{name}", "running or stopped", Effect.DRAIN, name)
    for name in seen.ours.get("units", ()):
        ident = name.removeprefix("hostler@").removesuffix(".service")
        if name != "hostler@.service" and ident not in wanted_containers(manifest) and ident not in gone:
            yield _remove(manifest, part_of(ident), f"unit:{name}", "there", Effect.DRAIN, ident)
    yield from _weights(manifest, seen, kept)
    yield from _images(manifest, seen, kept)
    for path in seen.ours.get("files", ()):
        if path.startswith(DUE):
            yield _due(manifest, path)
        elif path not in wanted_paths(manifest) and not _follows(path, gone) and ".wants/" not in path:
            yield _remove(manifest, part_of_path(path), f"path:{path}", "there", Effect.NONE)


def replicas(seen: Seen) -> set[str]:
    """Those that the host says it runs."""
    return {name for name in seen.ours.get("containers", ()) if part_of(name) is Part.ENGINE}


def goes_last(change: Change) -> bool:
    """Weights and images that nothing needs any more go last of all: as long as the new release has not answered, the
    old one may have to come back."""
    return (
        change.action == "remove" and change.item.startswith(("model:", "image:")) and not makes_room(change)
    )


def makes_room(change: Change) -> bool:
    """Weights that go first: others would find no room beside them."""
    return change.action == "remove" and change.then == ROOM


def _weights(manifest: Manifest, seen: Seen, kept: Kept) -> Iterator[Change]:
    wanted = {item.path for item in manifest.models}
    gone = disk_room.given_up(manifest, seen, kept)
    first, stay = disk_room.freed(seen, kept, gone), kept.without(gone)
    for path in seen.ours.get("models", ()):
        if path.removesuffix(".part") in wanted or stay.needs(path):
            continue
        why = _why(kept.files.get(path, NOBODY), stay)
        change = replace(_remove(manifest, Part.ENGINE, f"model:{path}", "there", Effect.NONE), why=why)
        yield replace(change, then=ROOM, why=f"{why}; first, as room is needed") if path in first else change


def _images(manifest: Manifest, seen: Seen, kept: Kept) -> Iterator[Change]:
    """Of those that came through us, and that nobody else uses."""
    wanted = {item.digest for item in manifest.images}
    for ref in seen.ours.get("images", ()):
        digest = ref.partition("@")[2]
        if digest not in wanted and not kept.names(digest):
            why = _why(kept.images.get(digest, NOBODY), kept)
            yield replace(_remove(manifest, Part.ENGINE, f"image:{ref}", "there", Effect.NONE), why=why)


def _why(named: Numbers, kept: Kept) -> str:
    """Whose it was, and which releases can be gone back to without it."""
    if not kept.numbers or named & set(kept.numbers[:1]):
        return "ours, and no replica here needs it any more"
    whose = f"of release {max(named)}" if named else "of no release that is known"
    newest = sorted(kept.numbers, reverse=True)
    return f"{whose}; kept for a rollback: {', '.join(map(str, newest))}"


def _due(manifest: Manifest, path: str) -> Change:
    part = Part(path.removeprefix(DUE))
    return Change(
        host=manifest.host,
        part=part,
        item=f"path:{path}",
        action="remove",
        now="a change that is not loaded yet",
        then="loaded",
        why="an earlier run was interrupted",
        effect=Effect.RELOAD,
    )


def wanted_containers(manifest: Manifest) -> set[str]:
    return {item.id for item in manifest.containers}


def wanted_paths(manifest: Manifest) -> set[str]:
    """Every path below our folders that may be there."""
    made = {f"{TLS}/{name}{end}" for name in manifest.made for end in (".crt", ".key", ".pub")}
    specs = {f"{engine.WANTED}/{ident}.json" for ident in wanted_containers(manifest)}
    paths = {item.path for item in (*manifest.files, *manifest.directories)}
    return paths | made | specs | {base.STACK, base.UNIT, base.NODE}


def _follows(path: str, gone: tuple[str, ...]) -> bool:
    """The specification goes with its container: one change, not two."""
    return path in {f"{engine.WANTED}/{ident}.json" for ident in gone}


def part_of(ident: str) -> Part:
    return {"gateway": Part.GATEWAY, "edge": Part.EDGE}.get(ident, Part.ENGINE)


def part_of_path(path: str) -> Part:
    for part in (Part.GATEWAY, Part.EDGE):
        if path.startswith((f"/etc/hostler/{part}/", f"{engine.WANTED}/{part}.json", f"{TLS}/{part}.")):
            return part
    if path.startswith(CONTROLLERS):
        return Part.CONTROLLER
    if path.startswith((f"{TLS}/peers/", f"{TLS}/sharing/")) or path.rpartition("/")[2] in sharing.UNITS:
        return Part.EDGE
    if path.startswith(
        (f"{TLS}/ca.", f"{TLS}/server.")
    ):  # in use until the gateway has loaded what comes instead
        return Part.GATEWAY
    return Part.ENGINE if path.startswith(engine.WANTED) else Part.BASE


def _remove(manifest: Manifest, part: Part, item: str, now: str, effect: Effect, replica: str = "") -> Change:
    return Change(
        host=manifest.host,
        part=part,
        item=item,
        action="remove",
        now=now,
        then="",
        why=WHY,
        effect=effect,
        replica=replica if part is Part.ENGINE else "",
    )
