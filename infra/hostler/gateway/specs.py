"""What a gateway and an edge are made from. Frozen values; every word is checked when a spec is made,
because each lands in a configuration file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from hostler.errors import HostlerError
from hostler.manifest.contents import SecretRef
from hostler.manifest.items import ImagePin

EDGE_PORT = 8443
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*|[0-9A-Fa-f:]+")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_HASH = re.compile(r"[0-9a-f]{64}")
_PATH = re.compile(r"/[A-Za-z0-9/._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where things are on a host. Only tests differ from the defaults."""

    etc: str  # configuration; read-only in the container
    run: str  # sockets; writable
    tls: str = "/etc/hostler/tls"
    drain: str = "/run/hostler/drain"

    def __post_init__(self) -> None:
        _check("path", _PATH, (self.etc, self.run, self.tls, self.drain))

    @property
    def internal(self) -> str:
        """Socket of the gateway itself for who is on its host: no key is asked for."""
        return f"{self.run}/internal.sock"

    @property
    def holder(self) -> str:
        """Socket of the controller: requests for models that sleep, and those that others stand in for."""
        return f"{self.run}/holder.sock"

    @property
    def page(self) -> str:
        """Socket of the controller: its page."""
        return f"{self.run}/page.sock"

    @property
    def states(self) -> str:
        """File of the controller: what /v1/models says of models that sleep or wake."""
        return f"{self.run}/states.json"

    @property
    def spent(self) -> str:
        """Map of the controller: keys whose budget is used up. It may be missing."""
        return f"{self.run}/spent.map"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One replica as the gateway sees it. `edge_address` is empty for a replica on the gateway's own host."""

    id: str
    host: str
    port: int  # the engine's, on its host's loopback
    edge_address: str = ""  # IP address (or a name that the gateway's host resolves) of the replica's host
    edge_port: int = EDGE_PORT
    slots: int = 0  # requests served at once; more wait in the gateway. 0: no limit
    health_path: str = "/health"
    keep_alive: bool = (
        False  # the engine keeps connections open after a streamed answer (llama-server does not)
    )

    def __post_init__(self) -> None:
        _check("replica", _LABEL, (self.id,))
        _check("name", _WORD, (self.host,))
        _check("path", _PATH, (self.health_path,))
        if self.edge_address:
            _check("address", _ADDRESS, (self.edge_address,))

    @property
    def server_name(self) -> str:
        """What the edge is asked for (SNI). HAProxy checks certificates against it: edge.crt names *.HOST too."""
        return f"{self.id}.{self.host}"

    @property
    def local(self) -> bool:
        return not self.edge_address

    @property
    def named(self) -> bool:
        """Whether the edge's address must be resolved."""
        return bool(self.edge_address) and not re.fullmatch(r"[0-9.]+|.*:.*", self.edge_address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """How many requests may wait while all replicas of a model are away, and for how long."""

    queue: int = 64
    seconds: float = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model that clients ask for by name, and where it is served. No replicas: answered with 503."""

    name: str
    replicas: tuple[Route, ...]
    context: int = 0  # tokens a request, shown in /v1/models; 0: not shown
    created: int = 0  # seconds since 1970 of its release
    waiting: int = 256  # requests that may wait for a free replica; the next is answered with 429
    hold: Holding | None = field(
        default_factory=Holding
    )  # None: while all are away for an exchange, the answer is 503 at once
    sleeps: bool = False  # with no replica left, requests go to the controller's holder, which wakes one
    others: bool = False  # other models stand in for it: requests that it cannot answer go there, too
    wait: Holding = field(default_factory=lambda: Holding(seconds=300))  # there

    def __post_init__(self) -> None:
        _check("name", _WORD, (self.name,))

    @property
    def holding(self) -> Holding | None:
        """How requests wait while replicas drain: on their way to sleep as for an exchange."""
        return self.hold or (self.wait if self.to_holder else None)

    @property
    def to_holder(self) -> bool:
        """Whether requests go to the controller's holder when nothing serves it."""
        return self.sleeps or self.others

    @property
    def patience_s(self) -> int | None:
        """How long replicas may drain with none that serves until others are asked, a little less than a request waits.
        None: there are no others."""
        if not self.others:
            return None
        return max(0, int(self.holding.seconds) - 3) if self.holding and (self.hold or self.sleeps) else 0

    @property
    def closes(self) -> bool:
        """Whether an engine that the gateway itself asks may close a connection without saying so."""
        return any(route.local and not route.keep_alive for route in self.replicas)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTls:
    """The user's certificate (with its chain) and where its key comes from."""

    certificate: str
    key: SecretRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Loopback ports; only tests differ from the defaults."""

    gateway_metrics: int = 9404
    edge_metrics: int = 9405
    health: int = 9410


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySpec:
    """`keys`, `admins`: rows of (SHA-256 of the key in hexadecimal, the key's name). `page`: /hostler is the
    controller's, for admins' keys. `refuses`: the controller says of which keys the budget is used up. `pins`: host ->
    SHA-256 of its edge.crt as the probe saw it, left out as long as it is not made."""

    uid: str
    host: str
    image: ImagePin
    models: tuple[ServedModel, ...]
    keys: tuple[tuple[str, str], ...] = ()
    page: bool = False
    refuses: bool = False
    admins: tuple[tuple[str, str], ...] = ()
    port: int = 8000
    bind: str = "0.0.0.0"  # noqa: S104  the whole point of a gateway
    tls: Literal["none", "private-ca"] | OwnTls = "none"
    pins: Mapping[str, str] = field(default_factory=dict[str, str])
    account: str = "hostler"
    paths: Paths = field(default_factory=lambda: GATEWAY)
    ports: Ports = field(default_factory=Ports)

    def __post_init__(self) -> None:
        rows = (*self.keys, *self.admins)
        _check("name", _WORD, (self.host, self.account, *(name for _, name in rows)))
        _check("SHA-256", _HASH, (digest for digest, _ in rows))
        _check("address", _ADDRESS, (self.bind,))
        _unique("model", (model.name for model in self.models))
        _unique("replica", (route.id for route in self.routes))
        _unprivileged(self.port)

    @property
    def routes(self) -> tuple[Route, ...]:
        return tuple(route for model in self.models for route in model.replicas)

    @property
    def to_holder(self) -> bool:
        return any(model.to_holder for model in self.models)

    @property
    def longest_wait_s(self) -> int:
        return max((int(model.wait.seconds) for model in self.models if model.to_holder), default=0)

    @property
    def local(self) -> tuple[Route, ...]:
        return tuple(route for route in self.routes if route.local)

    @property
    def remote_hosts(self) -> tuple[str, ...]:
        return tuple(sorted({route.host for route in self.routes if not route.local}))


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSpec:
    """The door of one host. `gateway_pin`: SHA-256 of gateway.crt on `gateway_host`, None until it is made.
    `neighbours`: hosts that get files of weights here, with the SHA-256 of their edge.crt. The gateway's own host has
    an edge for these alone."""

    uid: str
    host: str
    image: ImagePin
    replicas: tuple[Route, ...]
    gateway_host: str
    gateway_pin: str | None = None
    neighbours: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    port: int = EDGE_PORT
    bind: str = "0.0.0.0"  # noqa: S104  only the holder of the gateway's key gets past the handshake
    account: str = "hostler"
    paths: Paths = field(default_factory=lambda: Paths(etc="/etc/hostler/edge", run="/run/hostler/edge"))
    ports: Ports = field(default_factory=Ports)

    def __post_init__(self) -> None:
        _check("name", _WORD, (self.host, self.gateway_host, self.account, *self.neighbours))
        _check("address", _ADDRESS, (self.bind,))
        _unique("replica", (route.id for route in self.replicas))
        _unprivileged(self.port)

    @property
    def server_names(self) -> tuple[str, ...]:
        """What may be asked for (SNI)."""
        return (
            *(route.server_name for route in self.replicas),
            *((self.files_name,) if self.neighbours else ()),
        )

    @property
    def files_name(self) -> str:
        """What other hosts ask for files of weights."""
        return f"files.{self.host}"

    @property
    def sharing(self) -> str:
        """Folder of the certificates of all that may come in, where those are not the gateway alone."""
        return f"{self.paths.tls}/sharing"


def _check(kind: str, pattern: re.Pattern[str], words: Iterable[str]) -> None:
    for word in words:
        if not pattern.fullmatch(word):
            raise HostlerError.of("gateway", expected=f"a {kind} ({pattern.pattern})", got=repr(word))


def _unique(kind: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise HostlerError.of("gateway", expected=f"each {kind} once", got=f"{name} twice")
        seen.add(name)


def _unprivileged(port: int) -> None:
    if not 1024 <= port <= 65535:
        raise HostlerError.of(
            "gateway.port",
            expected="1024-65535: HAProxy runs without privileges",
            got=str(port),
            next_step="choose 8000 or 8443, and forward 443 to it on your router if clients need that",
        )


GATEWAY = Paths(etc="/etc/hostler/gateway", run="/run/hostler/gateway")
