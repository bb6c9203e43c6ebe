"""What a probe is asked for. One list for every host, so that one round trip is enough even at the first contact."""

from __future__ import annotations

from collections.abc import Iterator

from hostler.configure import (
    base,
    controller,
    docker,
    engine,
    idling,
    nvidia,
    power,
    sharing,
    systems,
    toolkit,
    watching,
)
from hostler.hosts.types import Seen
from hostler.leases import view
from hostler.manifest.contents import Text
from hostler.manifest.items import Manifest, Package

DOORS = tuple(f"{top}/{part}" for top in ("/etc/hostler", "/run/hostler") for part in ("gateway", "edge"))
EVERYTHING = "ours:*"  # all that carries this product's mark: files, units, containers, weights, certificates


def generic() -> tuple[str, ...]:
    """Asked of every host, known or not: what of other people's things concerns a manifest, and all of ours."""
    packages = (
        *systems.DEBIAN.packages,
        *docker.ENGINES,
        *systems.IN_THE_WAY,
        docker.CLIENT,
        *docker.CLIENT_ALTERNATIVES,
        toolkit.PACKAGE,
        controller.SUDO_PACKAGE,
    )
    paths = (
        *DOORS,
        base.NODE,
        base.UNIT,
        base.BOOT,
        base.NEEDRESTART,
        base.SPARED,
        power.FILE,
        *watching.FILES,
        *idling.FILES,
        *controller.ASKED,
        sharing.CERTIFICATES,
        *(f"{sharing.FOLDER}/{name}" for name in sharing.UNITS),
        *docker.PATHS,
        *toolkit.PATHS,
        *(path for path, _, _ in base.DIRECTORIES),
        *engine.WRITABLE,
    )
    return (
        *(f"package:{name}" for name in packages),
        *(f"path:{path}" for path in paths),
        f"json:{docker.DAEMON}",
        "unit:docker.service",
        "unit:firewalld.service",
        f"unit:{power.UNIT}",
        f"unit:{watching.UNITS[0]}",
        f"unit:{idling.UNITS[0]}",
        f"unit:{sharing.SOCKET}",
        *(f"unit:{name}" for name in controller.STARTED),
        f"json:{view.STATE}",
        f"account:{base.ACCOUNT}",
        *(
            f"text:{path}"
            for path in (*controller.HOST_KEYS, controller.STATUS, controller.KEYS, controller.SPENT)
        ),
        f"text:{nvidia.MARK}",
        EVERYTHING,
    )


def ask(manifest: Manifest) -> tuple[str, ...]:
    """All that decides whether a manifest holds, by `kind:name`."""
    return tuple(dict.fromkeys((*generic(), *_named(manifest))))


def _named(manifest: Manifest) -> Iterator[str]:
    for package in manifest.packages:
        yield from (f"package:{name}" for name in names(package))
    yield from (f"path:{item.path}" for item in manifest.directories)
    yield from (
        f"{'text' if isinstance(item.content, Text) else 'path'}:{item.path}" for item in manifest.files
    )
    yield from (f"json:{item.path}" for item in manifest.merged)
    for image in manifest.images:
        yield from (f"image:{image.ref}", f"tag:{image.name}:{image.tag}")
    yield from (f"model:{item.path}" for item in manifest.models)
    yield from (f"unit:{item.name}" for item in manifest.units)
    yield from (f"port:{item.name}" for item in manifest.ports)
    yield from (f"made:{name}" for name in manifest.made)
    for container in manifest.containers:
        yield from (
            f"container:{container.id}",
            f"applied:{container.id}",
            f"unit:hostler@{container.id}.service",
        )
        if container.model:
            yield f"replica:{container.id}"


def names(package: Package) -> tuple[str, ...]:
    return (package.name, *package.alternatives)


def unasked(manifest: Manifest, seen: Seen) -> tuple[str, ...]:
    """What a manifest needs to know that a probe did not answer: ask again for these."""
    from hostler.configure.observed import known

    names = {name: name.replace("text:", "path:", 1) for name in _named(manifest)}
    return tuple(name for name, answer in names.items() if not known(seen, answer))
