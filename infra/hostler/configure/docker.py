"""Part docker: the container engine. One that is there stays, and its daemon.json is merged, not owned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hostler.configure import observed, systems
from hostler.configure.repositories import Repository, files
from hostler.configure.types import Notice
from hostler.hosts.types import Seen
from hostler.manifest.items import Effect, File, Item, MergedJson, Package, Part, Unit
from hostler.stackfile.sections import StackFile

LIVE_RESTORE = "live-restore"
TOOLKIT = "nvidia-container-toolkit"
DAEMON = "/etc/docker/daemon.json"
ENGINES = ("docker.io", "docker-ce", "moby-engine")
NAME = "docker"  # of its repository's files
PATHS = (systems.DNF.source.format(name=NAME), systems.DNF.key.format(name=NAME))
CLIENT = "docker-cli"  # a package of its own from Debian 13 on: nothing here needs it, people who look do
CLIENT_ALTERNATIVES = ("docker-ce-cli", "moby-cli")
CLIENT_APART = {"trixie"}
RUNTIME = {"path": "nvidia-container-runtime", "args": list[str]()}


def items(file: StackFile, seen: Seen | None) -> tuple[Item, ...]:
    system = systems.of_seen(seen)
    return (
        *_source(file, seen, system),
        Package(name=system.docker, part=Part.DOCKER, alternatives=system.docker_alternatives),
        *_client(seen),
        *_settings(seen),
        Unit(name="docker.service", part=Part.DOCKER),
    )


def _source(file: StackFile, seen: Seen | None, system: systems.System) -> tuple[File, ...]:
    """Where the distribution has none. One that was there before keeps the source that it came from."""
    from hostler.configure.toolkit import was_there

    if not system.docker_repository or was_there(seen, *ENGINES):
        return ()
    found = Repository(
        name=NAME,
        address=system.docker_repository,
        key=system.docker_key,
        fingerprint=systems.DOCKER_KEY,
        own="docker_key",
    )
    return files(file, system.manager, Part.DOCKER, found)


CONFINED = (
    "SELinux is enforcing and Docker confines containers by it: those of this stack run without its labels"
)


def notices(seen: Seen) -> Iterator[Notice]:
    """Packages in the way of Docker's own, which are somebody's: they are named, and stay. And what SELinux means."""
    document: Any = observed.value(seen, f"json:{DAEMON}")
    confined = isinstance(document, dict) and bool(document.get("selinux-enabled"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    if confined and seen.facts and seen.facts.selinux == "enforcing":
        yield Notice(level="note", where=seen.host, text=CONFINED)
    yield from _in_the_way(seen)


def _in_the_way(seen: Seen) -> Iterator[Notice]:
    system = systems.of_seen(seen)
    if any(_there(seen, name) for name in ENGINES):
        return
    found = [name for name in system.conflicts if _there(seen, name)]
    if found:
        names = " and ".join(found)
        text = f"{names} cannot be there beside {system.docker}; where nobody needs it: sudo dnf remove {' '.join(found)}"
        yield Notice(level="refuse", where=seen.host, text=text)


def _there(seen: Seen, name: str) -> bool:
    return observed.value(seen, f"package:{name}") is not None


def _client(seen: Seen | None) -> tuple[Package, ...]:
    if seen and seen.facts and seen.facts.codename in CLIENT_APART:
        return (Package(name=CLIENT, part=Part.DOCKER, alternatives=CLIENT_ALTERNATIVES),)
    return ()


def _settings(seen: Seen | None) -> tuple[MergedJson, ...]:
    values = daemon(seen)
    return (MergedJson(path=DAEMON, part=Part.DOCKER, values=values, effect=Effect.RELOAD),) if values else ()


def daemon(seen: Seen | None) -> dict[str, Any]:
    """The keys that must hold; everything else in the file is its owner's. Docker does not start with
    live-restore in a swarm."""
    values: dict[str, Any] = {} if in_swarm(seen) else {LIVE_RESTORE: True}
    if has_cards(seen):
        values["runtimes"] = {"nvidia": RUNTIME}
    return values


def in_swarm(seen: Seen | None) -> bool:
    return bool(seen and seen.facts and seen.facts.docker_swarm)


def swarm_notices(seen: Seen) -> Iterator[Notice]:
    """What a swarm's owner must know: without live-restore, a restart of Docker stops all containers."""
    if not in_swarm(seen):
        return
    document = observed.value(seen, f"json:{DAEMON}")
    if isinstance(document, dict) and document.get(LIVE_RESTORE):  # pyright: ignore[reportUnknownMemberType]
        text = (
            f"{DAEMON} has {LIVE_RESTORE}, with which Docker does not start in a swarm; take it out of there"
        )
        yield Notice(level="refuse", where=seen.host, text=text)
        return
    restart = _restart(seen)
    text = (
        f"Docker is in a swarm here, so {LIVE_RESTORE} is left out: a restart of Docker stops its containers"
    )
    if restart:
        yield Notice(level="warning", where=seen.host, text=f"{text}, and it is {restart}")
    else:
        yield Notice(level="note", where=seen.host, text=text)


def _restart(seen: Seen) -> str:
    """When Docker restarts because of the toolkit; empty: not at all."""
    if not has_cards(seen) or not seen.facts or not seen.facts.docker:
        return ""
    toolkit = observed.value(seen, f"package:{TOOLKIT}")
    if not toolkit or toolkit["state"] != "installed":
        return "restarted once, so that it finds the toolkit"
    waits = seen.facts.docker_waits
    return "restarted with the next change of its settings, so that it finds the toolkit" if waits else ""


def has_cards(seen: Seen | None) -> bool:
    """Whether cards answer, or are at least on the bus."""
    return bool(seen and seen.facts and (seen.facts.cards or seen.facts.driver.state != "none"))
