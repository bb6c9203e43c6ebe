"""From a manifest to the variables of roles. Text from outside is never read as a template."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from hostler.configure import controller, entries, idling, leftovers, nvidia, sharing, systems, watching
from hostler.configure.power import WISH as POWER
from hostler.configure.sharing import CERTIFICATES
from hostler.configure.types import Change
from hostler.manifest.contents import SecretRef
from hostler.manifest.items import Manifest, ModelFile, Package, Part
from hostler.models import mirror
from hostler.models.lying import OPERATOR

DUE = "/etc/hostler/due/"  # marks of changes that are not loaded yet; roles remove them themselves
BESIDE = ".hostler"  # as the node's: ends the name of what is known of a file of weights
GIVER = (
    "HOSTLER_OPERATOR"  # name of the token with which a host asks the operator's machine, made for each run
)
DOORS = (Part.EDGE, Part.GATEWAY)


def host_variables(manifest: Manifest, changes: Sequence[Change] | None = None) -> dict[str, Any]:
    """The variables of one host. With `changes`: only for the parts, images, weights and replicas that differ."""
    parts = differing(manifest, changes)
    found: dict[str, Any] = {"hostler_parts": [part.value for part in parts]}
    for part in parts:
        found |= MAKERS[part](manifest, changes)
    if changes is None or any(change.item.startswith("package:") for change in changes):
        found |= {
            "packages_manager": manifest.facts["manager"],
            "packages_wanted": [_package(item) for item in manifest.packages],
        }
    if not {Part.ENGINE, Part.CONTROLLER, *DOORS}.isdisjoint(parts):
        found |= _all_images(manifest, changes)
    return found


def differing(manifest: Manifest, changes: Sequence[Change] | None) -> tuple[Part, ...]:
    """Parts to run. The toolkit's concerns Docker as well: its daemon looks for it at its start. Certificates are
    made by part base, whoever uses them."""
    if changes is None:
        return tuple(part for part in Part if part in of_manifest(manifest))
    named = {Part(change.part) for change in changes if change.part in tuple(Part)}
    if Part.TOOLKIT in named:
        named.add(Part.DOCKER)
    if any(change.item.startswith("made:") for change in changes):
        named.add(Part.BASE)
    return tuple(part for part in Part if part in named)


def of_manifest(manifest: Manifest) -> set[Part]:
    items = (
        *manifest.packages,
        *manifest.directories,
        *manifest.files,
        *manifest.merged,
        *manifest.images,
        *manifest.models,
        *manifest.containers,
        *manifest.units,
        *manifest.power,
        *manifest.ports,
    )
    return {item.part for item in items}


def _base(manifest: Manifest, changes: Sequence[Change] | None) -> dict[str, Any]:
    claim = {
        "uid": manifest.uid,
        "stack": manifest.facts["stack"],
        "epoch": manifest.epoch,
        "host": manifest.host,
    }
    return {
        "base_claim": claim,
        "base_directories": entries.directories(manifest, Part.BASE),
        "base_files": entries.files(manifest, Part.BASE),
        "base_made": [{"name": m, "cn": manifest.made_for.get(m, manifest.host)} for m in manifest.made],
        "base_power": _power(manifest, changes),
        "base_timers": _timers(manifest, changes),
        "base_remove": _removed(changes, Part.BASE),
    }


def _timers(manifest: Manifest, changes: Sequence[Change] | None) -> list[str]:
    """The agent's commands that start what looks at this host, or stop it where nothing is to be looked at any more."""
    commands = {"watch-timer": watching.concerned, "idle-timer": idling.concerned}
    return [command for command, concerned in commands.items() if concerned(manifest, changes)]


def _power(manifest: Manifest, changes: Sequence[Change] | None) -> bool:
    """Whether cards' limits are to be set, or to be put back where none is wanted any more."""
    return bool(manifest.power) or any(c.item == f"path:{POWER}" for c in changes or ())


def _docker(manifest: Manifest, changes: Sequence[Change] | None) -> dict[str, Any]:
    merged = [
        {"path": m.path, "state": "merged", "values": m.values}
        for m in manifest.merged
        if m.part is Part.DOCKER
    ]
    return {
        "docker_merged": merged,
        "docker_files": entries.files(manifest, Part.DOCKER),
        "docker_keys": entries.keys(manifest, Part.DOCKER),
        "docker_remove": _removed(changes, Part.DOCKER),
    }


def _driver(manifest: Manifest, changes: Sequence[Change] | None) -> dict[str, Any]:
    facts = manifest.facts
    before, kept = nvidia.ways(facts.get("os", ""), facts.get("version", ""), facts["manager"])
    return {
        "driver_files": entries.files(manifest, Part.DRIVER),
        "driver_keys": entries.keys(manifest, Part.DRIVER),
        "driver_before": before,
        "driver_kept": kept,
        "driver_initramfs": list(
            systems.known_or_debian(facts.get("os", ""), facts.get("version", "")).initramfs
        ),
        "driver_remove": _removed(changes, Part.DRIVER),
    }


def _toolkit(manifest: Manifest, changes: Sequence[Change] | None) -> dict[str, Any]:
    return {
        "toolkit_files": entries.files(manifest, Part.TOOLKIT),
        "toolkit_remove": _removed(changes, Part.TOOLKIT),
    }


def _engine(manifest: Manifest, changes: Sequence[Change] | None) -> dict[str, Any]:
    return {
        "engine_models": _models(manifest, changes),
        "engine_files": [*entries.directories(manifest, Part.ENGINE), *entries.files(manifest, Part.ENGINE)],
        "engine_containers": _containers(manifest, changes),
    }


def _edge(manifest: Manifest, changes: Sequence[Change] | None) -> dict[str, Any]:
    return _door(manifest, changes, Part.EDGE)


def _gateway(manifest: Manifest, changes: Sequence[Change] | None) -> dict[str, Any]:
    return _door(manifest, changes, Part.GATEWAY)


def _door(manifest: Manifest, changes: Sequence[Change] | None, part: Part) -> dict[str, Any]:
    """Where nothing of a door is wanted any more, only its removal is left, which is `retire`'s."""
    if part not in of_manifest(manifest):
        return {}
    return {
        f"{part}_directories": entries.directories(manifest, part),
        f"{part}_files": entries.files(manifest, part),
        f"{part}_ports": [item.name for item in manifest.ports if item.part is part],
        f"{part}_remove": _removed(changes, part),
    }


def _controller(manifest: Manifest, changes: Sequence[Change] | None) -> dict[str, Any]:
    """`controller_home`: this is the gateway's host, where it runs. Where nothing of it is wanted any more, what is
    there is taken away."""
    part = Part.CONTROLLER
    own = {item.name for item in manifest.units if item.part is part}
    home = bool(own)
    return {
        **({} if home else {"controller_program": ""}),
        "controller_wanted": part in of_manifest(manifest),
        "controller_home": home,
        "controller_units": {name: name in own for name in controller.STARTED} if home else {},
        "controller_files": [*entries.directories(manifest, part), *entries.files(manifest, part)],
        "controller_remove": _removed(changes, part),
    }


MAKERS = {
    Part.BASE: _base,
    Part.DRIVER: _driver,
    Part.DOCKER: _docker,
    Part.TOOLKIT: _toolkit,
    Part.ENGINE: _engine,
    Part.EDGE: _edge,
    Part.GATEWAY: _gateway,
    Part.CONTROLLER: _controller,
}


def retired(changes: Sequence[Change] | None) -> dict[str, Any]:
    """What is taken away in the end, when nobody is sent there any more; `engine_room` before weights come."""
    gone = [c for c in changes or () if c.action == "remove"]
    ids = [c.item.partition(":")[2] for c in gone if c.item.startswith(("container:", "unit:"))]
    names = dict.fromkeys(name.removeprefix("hostler@").removesuffix(".service") for name in ids)
    images = [c.item.partition(":")[2] for c in gone if c.item.startswith("image:")]
    paths = [
        c.item.partition(":")[2]
        for c in gone
        if c.part in (Part.ENGINE, *DOORS) and c.item.startswith("path:")
    ]
    entries = [_absent(path) for path in paths if not path.startswith(DUE)]
    entries += _files_of_weights(c for c in gone if leftovers.goes_last(c))
    room = _files_of_weights(filter(leftovers.makes_room, gone))
    found = {
        "engine_retire": list(names),
        "engine_remove": entries,
        "engine_room": room,
        "engine_unneeded": images,
    }
    return found if any(found.values()) else {}


def _files_of_weights(gone: Iterable[Change]) -> list[dict[str, Any]]:
    """Each with what lies beside it, and the folder that is empty then."""
    paths = [c.item.partition(":")[2] for c in gone if c.item.startswith("model:")]
    ends = (BESIDE, f".part{BESIDE}", ".part", "")
    return [{**_absent(path + end), "prune": True} for path in paths for end in ends]


def _package(item: Package) -> dict[str, Any]:
    return {"name": item.name, "alternatives": list(item.alternatives), "hold": item.hold}


def _removed(changes: Sequence[Change] | None, part: Part) -> list[dict[str, Any]]:
    """Files that a role removes itself; those of engines and doors are removed in the end. Not so the certificate of a
    host that gets no files any more: an edge that loads what changed must not find it."""
    paths = [c.item.partition(":")[2] for c in changes or () if c.action == "remove" and c.part == part]
    if part in (Part.ENGINE, *DOORS):
        paths = [path for path in paths if path.startswith(CERTIFICATES + "/")]
    return [_absent(path) for path in paths if path.startswith("/") and not path.startswith(DUE)]


def _absent(path: str) -> dict[str, Any]:
    return {"path": path, "state": "absent"}


def _named(changes: Sequence[Change], kind: str) -> set[str]:
    return {
        c.item.partition(":")[2] for c in changes if c.item.startswith(kind + ":") and c.action != "remove"
    }


def _all_images(manifest: Manifest, changes: Sequence[Change] | None) -> dict[str, Any]:
    """`engine_mirrored`: where the mirror has them, by reference."""
    refs = _images(manifest, changes)
    places = {ref: mirror.image(manifest.downloads.images, ref) for ref in refs}
    mirrored = {ref: place for ref, place in places.items() if place}
    return {"engine_images": refs, "engine_mirrored": mirrored, "engine_tags": _tags(changes)}


def _images(manifest: Manifest, changes: Sequence[Change] | None) -> list[str]:
    refs = list(dict.fromkeys(image.ref for image in manifest.images))
    return refs if changes is None else [ref for ref in refs if ref in _named(changes, "image")]


def _tags(changes: Sequence[Change] | None) -> list[dict[str, str]]:
    moved = [c for c in changes or () if c.item.startswith("tag:")]
    return [
        {"tag": (tag := c.item.partition(":")[2]), "ref": f"{tag.rpartition(':')[0]}@{c.then}"} for c in moved
    ]


def _models(manifest: Manifest, changes: Sequence[Change] | None) -> list[dict[str, Any]]:
    wanted = [m for m in manifest.models if changes is None or m.path in _named(changes, "model")]
    return [
        {
            "path": m.path,
            **_origin(manifest, m),
            "sha256": m.sha256,
            "size": m.size,
            "limit": manifest.downloads.limit,
            "peers": [asdict(peer) for peer in m.peers],
        }
        for m in wanted
    ]


def _origin(manifest: Manifest, file: ModelFile) -> dict[str, str]:
    """Where a host asks outside, and with which token. The operator's machine is a port of the host's own, if it gives
    anything to this host in this run; a host that has others to ask is not given a second way to one line."""
    if not sharing.by_operator(manifest.downloads, file):
        return {"url": mirror.hub(manifest.downloads.hub, file.url), "secret": file.secret}
    door = "" if file.peers else str(manifest.downloads.door or "")
    return {"url": f"{OPERATOR}{door}{sharing.place(file)}", "secret": GIVER if door else ""}


def _containers(manifest: Manifest, changes: Sequence[Change] | None) -> list[str]:
    """Ids of replicas to start or exchange."""
    ids = [c.id for c in manifest.containers if c.part is Part.ENGINE]
    if changes is None:
        return ids
    touched = {c.replica for c in changes if c.action != "remove"}
    specs = {path.rpartition("/")[2].removesuffix(".json") for path in _named(changes, "path")}
    return [ident for ident in ids if ident in touched | specs]


def secrets_named(manifests: Mapping[str, Manifest]) -> tuple[str, ...]:
    """Names of all secrets that roles need."""
    files = [
        f.content.name
        for m in manifests.values()
        for f in m.files
        if isinstance(f.content, SecretRef) and f.content.sha256
    ]
    tokens = [
        origin["secret"] for m in manifests.values() for origin in (_origin(m, file) for file in m.models)
    ]
    return tuple(sorted({*files, *tokens} - {""}))
