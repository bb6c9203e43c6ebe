"""Rented machines as values. Nothing here imports boto3 or Pulumi.

A slot is a rented host's stable place in its pool (burst-0). A candidate is one way to fill it. What was rented is
read from Pulumi's state (`Rented`), what an account holds by tags (`Holding`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Market = Literal["spot", "on-demand"]

TAG = "hostler:"  # tags: hostler:uid, :stack, :slot, :owner, :lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """An instance type: its cards (all alike) and what else it has. Memory in MiB."""

    name: str  # g5.2xlarge
    card: str  # NVIDIA A10G, as its driver says it; empty: none
    cards: int
    card_mib: int
    cpus: int
    memory_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """USD an hour; `amount` None: nobody told, and unknown is never 0."""

    amount: float | None
    source: str  # "AWS price list", "spot price history of eu-central-1a, 14:05 UTC", or why it is unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to fill a slot. `ami` as resolved for the region and pinned."""

    region: str
    zone: str
    instance: str
    market: Market
    ami: str = ""

    def __str__(self) -> str:
        return f"{self.instance} {self.market} in {self.zone}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a candidate was not had: the cloud's own code and words."""

    slot: str
    candidate: Candidate
    code: str  # InsufficientInstanceCapacity, VcpuLimitExceeded, ...; timeout
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotWish:
    """A slot that shall be filled. `candidates` in the order in which they are tried; where the slot is filled
    already, the one that it has comes first. `user_data` is used at the launch only: a later one changes nothing."""

    slot: str
    pool: str
    candidates: tuple[Candidate, ...]
    disk_gib: int
    user_data: str = field(repr=False)  # holds the first host key
    subnet: str = ""  # the user's own; empty: the stack's network of the region
    max_price: float | None = None  # USD an hour, of the spot market
    lease: float = 0.0  # until when, in seconds since 1970
    shutdown: Literal["terminate", "stop"] = "terminate"  # what a shutdown from inside does


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudWish:
    """All that is rented for one stack. Slots that stand in the state and not here are deleted: name the retiring
    ones as long as they are not drained."""

    uid: str
    stack: str
    owner: str  # user@machine
    slots: tuple[SlotWish, ...] = ()
    public_key: str = ""  # OpenSSH, of the stack's own key pair
    # CIDRs by pool
    ssh_from: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    edge_from: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    edge_port: int = 8443
    # the slot that has the gateway or will have it, whose public address may reach all edges; while it moves, the one
    # that still has it comes after that
    gateway_slots: tuple[str, ...] = ()
    gateway_port: int = 8000
    clients_from: tuple[str, ...] = ()  # CIDRs that may reach the gateway, where it is rented


@dataclass(frozen=True, slots=True, kw_only=True)
class Rented:
    """An instance in the state."""

    slot: str
    pool: str
    id: str  # i-0a1b...
    candidate: Candidate
    public_ip: str
    private_ip: str
    uid: str
    lease: float = 0.0  # of its tag, in seconds since 1970
    state: str = ""  # as last refreshed: running, stopped, ...
    since: float | None = None  # its last start, in seconds since 1970; None: it was not asked
    owner: str = ""  # who rented it, as the state has it: user@machine
    stopped_by: str = ""  # AWS's code of why it does not run; empty: it runs, or was not asked

    @property
    def stopped(self) -> bool:
        return self.state in ("stopping", "stopped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One thing in an account that carries this product's tags."""

    region: str
    kind: str  # instance, volume, address, key pair, security group, network, subnet, gateway, route table, bucket
    id: str
    uid: str
    stack: str = ""
    slot: str = ""
    owner: str = ""
    lease: float | None = None  # seconds since 1970; None: it says none, or nonsense
    state: str = ""  # of an instance
    since: float | None = None  # when it was made
    part_of: str = ""  # the instance to which a disk is attached
    what: str = ""  # of an instance its type, of a disk its GiB
    market: str = ""  # of an instance: spot, on-demand


@dataclass(frozen=True, slots=True, kw_only=True)
class RentResult:
    """What an attempt came to: `refusals` in the order in which they came, `unfilled` slots that got nothing."""

    rented: tuple[Rented, ...]
    refusals: tuple[Refusal, ...] = ()
    unfilled: tuple[str, ...] = ()
