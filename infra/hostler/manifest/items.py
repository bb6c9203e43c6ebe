"""The manifest: all that must be true of one host. Ansible's only input, and what the probe asks for.

Pure types. `as_json`/`from_json` are exact inverses; the JSON is what roles and the node agent read.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from hostler.manifest.contents import Content


class Part(StrEnum):
    """Which role makes an item true; in the order in which roles run."""

    BASE = "base"
    DRIVER = "driver"
    DOCKER = "docker"
    TOOLKIT = "toolkit"
    ENGINE = "engine"
    EDGE = "edge"
    GATEWAY = "gateway"
    CONTROLLER = "controller"


class Effect(StrEnum):
    """What a change of an item does to what is running; the worst last."""

    NONE = "none"
    RELOAD = "reload"
    RESTART = "restart"
    DRAIN = "drain"
    REBOOT = "reboot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package that is there (any version), perhaps held. `alternatives`: also satisfied by one of these."""

    name: str
    part: Part
    present: bool = True
    hold: bool = False
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    path: str
    part: Part
    mode: str = "0755"
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    path: str
    part: Part
    content: Content
    effect: Effect = Effect.NONE
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"
    reload: str = ""  # unit to reload (effect reload) after a change, e.g. hostler@gateway.service


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedJson:
    """Keys that must hold in a JSON file that others own too (daemon.json)."""

    path: str
    part: Part
    values: dict[str, Any]
    effect: Effect = Effect.RELOAD


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePin:
    """A container image that is on the host, by digest: name@sha256:..."""

    name: str  # ghcr.io/ggml-org/llama.cpp
    tag: str  # for people
    digest: str  # sha256:...
    part: Part = Part.ENGINE

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another host of the stack, by its edge."""

    host: str
    address: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file of weights. `url` is an https address, file: for a path on the host that stays where it is, or operator:
    for a file of the operator's machine, by its content.
    `sha256` empty: unknown until the first download, which then is recorded. `peers` are asked before the address,
    the nearest first; who has what decides that, so it is no part of what must be true."""

    path: str  # /var/lib/hostler/models/<sha256 or name>/<file>
    url: str
    sha256: str
    size: int
    secret: str = ""  # name of a token
    part: Part = Part.ENGINE
    peers: tuple[Peer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How readiness is seen, on loopback."""

    port: int
    path: str = "/health"
    limit_s: int = 600
    unix: str = ""  # a socket instead of the port


# fields of a Container that need no exchange
CARE = ("part", "effect", "health", "drain_s", "smoke", "bake_s", "memory_mib", "beside")


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A complete container specification: an instance of hostler@.service.

    Written to /etc/hostler/wanted/<id>.json; the instance runs what stands in
    /var/lib/hostler/applied/<id>.json, which only `hostler-node exchange` replaces.
    """

    id: str  # chat-0, gateway, edge: the instance's name
    part: Part
    image: ImagePin
    argv: tuple[str, ...]
    uid: str  # the stack's, as label hostler.uid
    model: str = ""  # which model this is a replica of
    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    cards: tuple[str, ...] = ()  # GPU UUIDs
    user: str = "hostler"  # account on the host; its numeric ids are used
    shm_mib: int = 64
    tmpfs: tuple[str, ...] = ()
    stop_signal: str = "SIGTERM"
    stop_s: int = 30
    port: int = 0  # loopback port of an engine
    context: int = 0  # tokens a request; read back after the start, less is a failure
    slots: int = 0
    health: Health | None = None
    drain_s: int = 600
    smoke: tuple[str, str] = ("", "")  # prompt, expected text
    bake_s: int = 0  # the first one of a change is watched for so long before it stays
    memory_mib: int = 0  # of its cards, or of main memory, that it was computed to take; 0: not known
    beside: bool = True  # its successor may start beside it, where both fit
    effect: Effect = Effect.DRAIN  # gateway and edge: restart

    @property
    def digest(self) -> str:
        """Identity of the specification: what the running container's label hostler.spec must say. What only
        says how it is looked after (its question, its time to drain) is no part of it."""
        return digest_of({name: value for name, value in asdict(self).items() if name not in CARE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    name: str  # hostler@chat-0.service, docker.service
    part: Part
    enabled: bool = True
    active: bool = True
    effect: Effect = Effect.NONE  # of starting it


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLimit:
    """A card's power limit. The driver forgets it at a reboot: a unit sets it again."""

    card: str  # UUID
    watts: float
    part: Part = Part.BASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A TCP port that others reach: open in the host's own firewall, where one runs."""

    number: int
    part: Part

    @property
    def name(self) -> str:
        return f"{self.number}/tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloads:
    """How what comes from outside gets to a host. Nothing of it must be true of the host, so a change of it
    changes nothing there."""

    images: str = ""  # a registry's address, perhaps with {registry}; empty: each image's own registry
    hub: str = ""  # in place of https://huggingface.co
    limit: int = 0  # bytes a second of weights; 0: as fast as it goes
    operator: bool = False  # weights from outside come through the operator's machine
    door: int = 0  # port on the host's loopback that leads there, while a run goes on; 0: none


Item = Package | Directory | File | MergedJson | ImagePin | ModelFile | Container | Unit | PowerLimit | Port


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that must be true of `host`. Containers imply their wanted file and their unit."""

    host: str
    uid: str
    epoch: int
    release: int
    packages: tuple[Package, ...] = ()
    directories: tuple[Directory, ...] = ()
    files: tuple[File, ...] = ()
    merged: tuple[MergedJson, ...] = ()
    images: tuple[ImagePin, ...] = ()
    models: tuple[ModelFile, ...] = ()
    containers: tuple[Container, ...] = ()
    units: tuple[Unit, ...] = ()
    power: tuple[PowerLimit, ...] = ()
    ports: tuple[Port, ...] = ()
    made: tuple[str, ...] = ()  # certificates to make here, in this order: edge, gateway, ca, server
    made_for: dict[str, str] = field(
        default_factory=dict[str, str]
    )  # whom they name, where that is not the host
    facts: dict[str, str] = field(
        default_factory=dict[str, str]
    )  # what roles may ask: os, codename, manager of packages
    downloads: Downloads = Downloads()

    def as_json(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self), sort_keys=True))

    @property
    def digest(self) -> str:
        return digest_of(self.as_json())


def digest_of(value: Any) -> str:
    """SHA-256 of a value's canonical JSON: sorted keys, no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=list)
    return hashlib.sha256(text.encode()).hexdigest()
