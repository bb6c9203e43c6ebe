"""Hosts, cards, and what a probe answers. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssh:
    """How a host is logged in to; what is None comes from ~/.ssh/config."""

    address: str  # `local`: no SSH at all
    user: str | None = None
    port: int | None = None
    key: str | None = None
    jump: str | None = None
    host_key: str | None = None

    @property
    def local(self) -> bool:
        return self.address == "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One machine. The name is its identity: in Pulumi, the inventory, the record, the edge's certificate."""

    name: str
    pool: str
    ssh: Ssh
    owned: bool = True
    where: str = ""  # file:line:column of the stack file, for errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A rented host's stable place in its pool. wanted: it shall have a host; parked: given back, which is no drift;
    retiring: its host is drained, and goes. `image`, `disk_gib` and `subnet` as its host was asked for; `given_back`: it
    had one, until `sleep` or until it ended itself when it was idle, so that the lower count does not start it again;
    `stopped`: it still has it, stopped, and its disk costs. The rest is of its machine, or of the last one where it is parked: for those who may not ask AWS."""

    name: str
    pool: str = ""
    state: Literal["wanted", "parked", "retiring"] = "wanted"
    image: str = ""
    disk_gib: int = 0
    subnet: str = ""
    given_back: bool = False
    stopped: bool = False
    machine: str = ""  # i-0a1b...; empty: it never had one that was written down
    instance: str = ""  # its type: g5.xlarge
    region: str = ""
    zone: str = ""
    market: str = ""  # spot, on-demand
    price: float | None = None  # USD an hour, without disk and address, as it was rented; None: unknown
    price_source: str = ""  # who said so, or why nobody did
    since: float | None = None  # its launch, in seconds since 1970; None: unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One GPU. Memory in MiB, power in watts, temperature in Celsius; None is unknown, or that the card has no such
    thing. An idle card's PCIe generation is lower than its link can do."""

    index: int
    uuid: str
    name: str
    memory_mib: int
    used_mib: int | None = None
    utilization: int | None = None  # percent
    power_w: float | None = None
    power_limit_w: float | None = None
    temperature_c: int | None = None
    pci: str = ""
    compute: str = ""  # compute capability, 8.6
    power_min_w: float | None = None  # the range of its power limit, and what that is without us
    power_max_w: float | None = None
    power_default_w: float | None = None
    pcie_gen: int | None = None
    pcie_gen_max: int | None = None
    pcie_width: int | None = None  # lanes
    pcie_width_max: int | None = None
    ecc_errors: int | None = None  # uncorrected, since the driver was loaded
    mig: bool | None = None  # divided into instances
    # hardware slowdown, hot, too hot, power brake; not its power limit, which is as it should be
    throttled: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardProcess:
    """A process on a card, ours or not. `used_mib` None: the driver does not tell; `replica`: whose container it
    runs in, by its id, where it is ours."""

    card: str
    pid: int
    name: str
    used_mib: int | None
    ours: bool
    replica: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """NVIDIA's driver. `state`: none (no card), working, broken (there but does not answer), missing
    (cards on the PCI bus, no driver), mismatch (kernel and userspace versions differ: reboot due).
    The rest is looked at where it does not work, to say why."""

    state: Literal["none", "working", "broken", "missing", "mismatch"]
    version: str = ""
    cuda: str = ""
    detail: str = ""
    secure_boot: bool = False  # the firmware lets the kernel load signed modules only
    nouveau: bool = False  # the kernel's own driver has the cards
    runfile: bool = False  # installed by NVIDIA's .run file: no package knows of it
    half: tuple[str, ...] = ()  # packages of it whose installation was interrupted


def is_address(told: str) -> bool:
    """Whether it is one IP address and nothing else. What hosts tell of theirs becomes words of configurations."""
    try:
        return bool(ip_address(told)) and "%" not in told
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a host is. Sizes in bytes."""

    machine_id: str
    hostname: str
    os_id: str  # debian, ubuntu, rhel
    os_version: str  # 12, 24.04
    codename: str  # bookworm
    os_name: str  # Debian GNU/Linux 12 (bookworm)
    arch: str  # x86_64
    kernel: str
    python: str  # 3.11.2
    systemd: str
    cpus: int
    memory: int
    disk_total: int  # of /var/lib/hostler's file system, or the nearest that exists
    disk_free: int
    boot_id: str
    memory_free: int = 0  # that a new program can have; 0: not known
    docker: str = ""  # server version, empty: not installed or not running
    docker_foreign: int = 0  # containers that are not ours
    docker_swarm: str = ""  # active, pending, locked, error, stopped; empty: in no Docker Swarm
    docker_waits: bool = False  # NVIDIA's toolkit came after the daemon's start: it finds it after a restart
    virtualization: str = ""
    driver: Driver = field(default_factory=lambda: Driver(state="none"))
    cards: tuple[Card, ...] = ()
    processes: tuple[CardProcess, ...] = ()
    addresses: tuple[str, ...] = ()  # the machine's own IP addresses
    links: tuple[tuple[str, str, str], ...] = ()  # card, card, NV4 | PIX | ...
    # The newest Xid errors of this boot: PCI bus and device (0000:01:00), number, seconds since 1970
    xids: tuple[tuple[str, int, float], ...] | None = ()
    interpreter: str = "/usr/bin/python3"  # the Python that runs the agent there
    ssh_port: int = 22  # where its SSH server listens, by its own configuration
    selinux: str = ""  # enforcing, permissive; empty: there is none
    package_state: str = ""  # not empty: dpkg was interrupted, or another package manager holds the lock


@dataclass(frozen=True, slots=True)
class Value:
    """What was seen, and when (seconds since 1970 on the operator's clock)."""

    value: Any
    at: float


@dataclass(frozen=True, slots=True)
class Absent:
    at: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """Could not be seen; never the same as absent."""

    reason: str
    at: float


Observed = Value | Absent | Unknown


PARKED = "given back until it is woken"  # the error of a host whose slot is parked


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A host's answer to one probe.

    `observed` maps what was asked to what was seen, by `kind:name`:
      package:docker.io   {"version", "hold", "state": "installed"|"half"}
      path:/etc/x         {"type": "file"|"dir"|"link"|"other", "mode": "0644", "owner", "group", "size", "sha256"}
                          (`text` too for files under 64 KiB that the ask marks as shown)
      folder:/srv/llama   {name: {"size", "sha256" (empty: large, and never checked), "out": a link out of it}}
      json:/etc/docker/daemon.json   the parsed document
      image:name@sha256:..  {"id", "size"}
      tag:name:tag        {"digest"}
      unit:hostler@x.service  {"enabled": bool, "active": "active"|"inactive"|"failed"|..., "sub", "since"}
      container:chat-0    {"spec": label, "image": "sha256:...", "running": bool, "status", "exit_code",
                           "started", "restarts", "name"}
      model:/path         {"size", "sha256"} (from the sidecar written after a checked download)
      applied:chat-0      {"spec": digest}
      made:edge           {"sha256", "pem"}
      port:8443/tcp       {"open": bool, "zone"}, absent where no firewall of the host's own is in the way
      account:hostler     {"uid", "home", "shell", "like_ours": a system account without login, at home where ours is}
      replica:chat-0      {"health": 200, "running": 1, "waiting": 0, "tokens": 123, "context": 8192, "draining": bool,
                           "asleep": null, or the mark of one that sleeps on purpose: {"state", "since", "why", "by"},
                           "start_s": seconds of the longest of its weights' last starts here, "start_of": their path}
      route:chat-0        {"status": "UP", "sessions": 1, "queued": 0, "check": "L7OK ..."}: the word of the gateway on
                          this host; `routes:*` lists those it has, empty where there is no gateway
    `ours` lists everything on the host that carries this product's mark, so that leftovers are seen:
      {"files": [paths below /etc/hostler and unit files], "units": [...], "containers": [ids], "models": [paths],
       "images": [name@sha256:..., those that came through us and that nobody else uses]}
    """

    host: str
    at: float
    seconds: float  # how long the round trip took
    facts: Facts | None = None
    observed: Mapping[str, Observed] = field(default_factory=dict[str, Observed])
    ours: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    uid: str = ""  # of the stack that this host carries, empty: none
    epoch: int = 0
    baseline: Mapping[str, Any] | None = None
    record: Mapping[str, Any] | None = None  # only on the gateway's host
    copy: Mapping[str, Any] | None = None  # a copy of the record
    error: str = ""  # not empty: nothing else is known; one clear line
    # dead, refused, host-key, unknown-key, auth, python, sudo, timeout, disk, protocol; absent: to be rented, or parked;
    # stopped: its instance does not run; unknown: where it is cannot be asked
    error_kind: str = ""
    next_step: str = ""

    @property
    def reached(self) -> bool:
        return not self.error

    @property
    def parked(self) -> bool:
        """Its machine was given back, which is as it should be."""
        return self.error_kind == "absent" and self.error == PARKED
