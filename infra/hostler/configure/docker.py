"""Part docker: the container engine. One that is there stays, and its daemon.json is merged, not owned."""

from __future__ import annotations

from typing import Any

from hostler.hosts.types import Seen
from hostler.manifest.items import Effect, Item, MergedJson, Package, Part, Unit

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
        MergedJson(path=DAEMON, part=Part.DOCKER, values=daemon(seen), effect=Effect.RELOAD),
        Unit(name="docker.service", part=Part.DOCKER),
    )


def _client(seen: Seen | None) -> tuple[Package, ...]:
    if seen and seen.facts and seen.facts.codename in CLIENT_APART:
        return (Package(name=CLIENT, part=Part.DOCKER, alternatives=CLIENT_ALTERNATIVES),)
    return ()


def daemon(seen: Seen | None) -> dict[str, Any]:
    """The keys that must hold; everything else in the file is its owner's."""
    values: dict[str, Any] = {"live-restore": True}
    if has_cards(seen):
        values["runtimes"] = {"nvidia": RUNTIME}
    return values


def has_cards(seen: Seen | None) -> bool:
    """Whether cards answer, or are at least on the bus."""
    return bool(seen and seen.facts and (seen.facts.cards or seen.facts.driver.state != "none"))
