"""Part docker: the container engine. One that is there stays, and its daemon.json is merged, not owned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hostler.configure import observed
from hostler.configure.types import Notice
from hostler.hosts.types import Seen
from hostler.manifest.items import Effect, Item, MergedJson, Package, Part, Unit

LIVE_RESTORE = "live-restore"
TOOLKIT = "nvidia-container-toolkit"
DAEMON = "/etc/docker/daemon.json"
PACKAGE = "docker.io"
ALTERNATIVES = ("docker-ce", "moby-engine")
CLIENT = "docker-cli"  # a package of its own from Debian 13 on: nothing here needs it, people who look do
CLIENT_ALTERNATIVES = ("docker-ce-cli", "moby-cli")
CLIENT_APART = {"trixie"}
RUNTIME = {"path": "nvidia-container-runtime", "args": list[str]()}


def items(seen: Seen | None) -> tuple[Item, ...]:
    return (
        Package(name=PACKAGE, part=Part.DOCKER, alternatives=ALTERNATIVES),
        *_client(seen),
        *_settings(seen),
        Unit(name="docker.service", part=Part.DOCKER),
    )


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
