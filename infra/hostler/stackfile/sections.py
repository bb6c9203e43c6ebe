"""The stack file's sections as frozen types: the loader, the JSON Schema, the commented sample
and the reference page are all made from these classes and nothing else.

Each field's metadata comes from `entry(...)`: one line of help, an example, and whether the work
behind it is built yet. Values are in base units: bytes, seconds, watts, tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .fields import (
    Address,
    Argument,
    Bytes,
    HostKey,
    HostName,
    Image,
    Jump,
    ModelName,
    Name,
    Path,
    Price,
    Range,
    Seconds,
    SecretName,
    Sha256,
    Source,
    Text,
    Tokens,
    User,
    Word,
    entry,
)
from .outside import Downloads, Mirror, Notify, Secret, State, Updates
from .saving import Budget, Controller, Idle, Money, Power, Start, Wake


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEntry:
    """One machine of an owned pool. Short form: its address, `user@address` or `user@address:port`."""

    address: Address = entry("DNS name, IP address, a name of ~/.ssh/config, or `local`", example="gpu1.lan")
    name: HostName | None = entry(
        "the host's identity in plans and records; from the address if not given", None, example="gpu1"
    )
    user: User | None = entry(
        "user to log in as; ~/.ssh/config or your own name if not given", None, example="ops"
    )
    port: int | None = entry(
        "SSH port; from ~/.ssh/config or 22 if not given", None, example="22", least=1, most=65535
    )
    key: Path | None = entry("private key to log in with", None, example="~/.ssh/id_ed25519")
    jump: Jump | None = entry("host to jump through, as in ssh -J", None, example="bastion")
    host_key: HostKey | None = entry("the only SSH host key to trust", None, example="ssh-ed25519 AAAA...")
    wake: Wake | None = entry("how it is woken; needed where its pool says `do: suspend`", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aws:
    """Rented instances of a pool."""

    regions: tuple[Word, ...] = entry("regions, tried in this order", example="[eu-central-1]")
    instances: tuple[Word, ...] = entry(
        "instance types, tried in this order", example="[g5.2xlarge, g6.2xlarge]"
    )
    spot: Literal["never", "prefer", "only"] = entry("spot market", "never")
    max_price: Price | None = entry("refuse candidates above this price an hour", None, example="1.20 USD")
    disk: Bytes = entry("size of the encrypted root disk", 200 * 2**30, example="200 GiB")
    image: Word = entry("what it boots: nvidia (driver baked in), ubuntu-24.04, or an AMI id", "nvidia")
    ssh_from: tuple[Word, ...] = entry("`auto` or the networks that may reach SSH", ("auto",), example="auto")
    gateway_from: tuple[Word, ...] = entry("networks that may reach the edge", ("auto",), example="auto")
    subnet: Word | None = entry(
        "an existing subnet; else a network of its own is made", None, example="subnet-0a1b2c3d"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Machines of one kind under one name. Short form of an owned pool: the list of its hosts,
    or its only one."""

    hosts: tuple[HostEntry, ...] = entry("owned machines", (), example="[gpu1.lan, gpu2.lan]")
    aws: Aws | None = entry("rented machines", None)
    count: Range | None = entry(
        "how many rented machines, 1 if not given; a range starts the lower number and parks the rest",
        None,
        example="0-2",
    )
    start: Start | None = entry(
        "when a machine that was given back is rented again beside those that serve, as their requests queue; it needs "
        "controller.rents",
        None,
    )
    idle: Idle | None = entry(
        "what happens to idle machines; rented ones are ended after 30m if not given, but where the gateway is, or may be",
        None,
        example="20m",
    )
    power: Power | None = entry("electrical power", None)
    downloads: Literal["hosts", "operator"] = entry(
        "who fetches weights from the hub and from https addresses. hosts: one of them, and the others copy it. operator: "
        "the machine that runs Hostler, over whose SSH connection one host gets them; HF_TOKEN stays there",
        "hosts",
    )
    driver: Literal["keep", "install"] = entry(
        "NVIDIA's driver. keep: one that works stays, and where none is there `up` installs branch 580 and reboots the host",
        "keep",
        unbuilt=("install",),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoke:
    """A question that a changed model must answer through the gateway. Short form: the question."""

    prompt: Text = entry("the question", "What is the capital of France? Answer in one short sentence.")
    expect: Text | None = entry("text that the answer must contain, in any case", None, example="Paris")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Requests that wait at the gateway while a model's only replica is exchanged; one over a limit is answered with 503.
    How many wait for one that sleeps says `idle`."""

    queue: int = entry("how many may wait", 64, least=1, most=1000)
    duration: Seconds = entry("for how long each", 120.0, name="for", example="2m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What clients ask for by name. Short form: its source."""

    source: Source | None = entry(
        "where the weights come from", None, example='"hf:bartowski/Meta-Llama-3-8B-Instruct-GGUF:Q4_K_M"'
    )
    pool: tuple[Name, ...] = entry("pools it may run in; the only pool if not given", (), example="[rack]")
    engine: Literal["llama.cpp", "vllm", "embeddings", "images", "container"] | None = entry(
        "by the source's format if not given; embeddings, also of GGUF, only where it is named",
        None,
        example="llama.cpp",
        unbuilt=("images", "container"),
    )
    image: Image | None = entry(
        "the engine's image instead of the published one",
        None,
        example="ghcr.io/ggml-org/llama.cpp:server-cuda",
    )
    args: tuple[Argument, ...] = entry(
        "further words for the engine's command line", (), example='["--threads", "8"]'
    )
    replicas: int = entry("how many engines serve it", 1, least=1, most=256)
    cards: int | None = entry(
        "cards a replica; as many as it needs if not given, 0: none", None, example="1", least=0, most=64
    )
    context: Tokens | None = entry(
        "tokens of context a request; if not given 8k or what fits, in vLLM all that fits",
        None,
        example="16k",
    )
    slots: int | None = entry(
        "requests served at once by a replica: 1 in llama.cpp if not given, each slot with the whole context; "
        "64 in vLLM, where they share the cache",
        None,
        example="4",
        least=1,
        most=1024,
    )
    cache: Literal["f16", "q8_0", "q4_0"] = entry("type of the key-value cache", "f16", example="q8_0")
    sha256: Sha256 | None = entry("checksum of a file from an https address", None, example="0" * 64)
    private: bool = entry("never sent to a cloud API", False)
    smoke: Smoke = entry("what it must answer after a change", Smoke)
    drain: Seconds = entry(
        "how long a change waits for requests in flight before it stops and says so", 600.0, example="10m"
    )
    exchange: Literal["beside", "in-place"] = entry(
        "beside: a new container starts beside the one that serves where both fit, and nothing waits; in-place: never",
        "beside",
    )
    hold: Literal["none"] | Hold = entry(
        "requests that wait while all replicas are away for an exchange; none: such a change asks for --allow-downtime",
        Hold,
        example="{queue: 64, for: 2m}",
    )
    cloud: Word | None = entry(
        "a cloud API's model instead of one of your own", None, example="anthropic/claude-sonnet", built=False
    )
    key: SecretName | None = entry(
        "the cloud API's key, a name under `secrets`", None, example="ANTHROPIC_API_KEY", built=False
    )
    otherwise: tuple[ModelName, ...] = entry(
        "models that answer when this one cannot: none of its replicas is ready and it does not wake, or its line is full. The "
        "first that is ready, else the first that wakes. Their names are in the answers; it needs the controller",
        (),
        example="[small]",
        name="else",
    )
    idle: Idle | None = entry(
        "what happens to idle replicas; as its pool's `do: sleep` says if not given", None, example="20m"
    )
    bake: Seconds = entry(
        "how long the first replica of a change serves real requests, watched, while the one before it can still come back",
        0.0,
        example="5m",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """A certificate of your own."""

    cert: Path = entry("PEM certificate with its chain", example="llm.pem")
    key: Path = entry("PEM private key", example="llm.key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The one OpenAI-compatible address."""

    host: HostName | None = entry(
        "the host it runs on; the first owned one if not given", None, example="gpu1"
    )
    address: Address | None = entry(
        "the name or IP that clients use; the host's address if not given", None, example="llm.office.example"
    )
    port: int = entry("TCP port", 8000, least=1024, most=65535)
    clients_from: tuple[Word, ...] = entry(
        "networks that may reach a gateway on a rented host; auto: this machine. An owned one is your network's to guard",
        ("auto",),
        example="[203.0.113.0/24]",
    )
    tls: Literal["none", "private-ca"] | TlsFiles | None = entry(
        "encryption; private addresses default to none", None, example="private-ca"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A whole stack file."""

    stack: Name = entry("the stack's name; the file's name if not given", example="office", filled=True)
    state: State | None = entry(
        "where Pulumi keeps the state of rented machines; a bucket of the AWS account, made at the first `up`, if not given",
        None,
    )
    pools: Mapping[Name, Pool] = entry("machines", example="{home: [basement]}")
    models: Mapping[ModelName, Model] = entry(
        "what clients can ask for", example='{chat: "hf:ORG/REPO-GGUF:Q4_K_M"}'
    )
    gateway: Gateway = entry("the address in front", Gateway)
    updates: Updates | None = entry("what `hostler update` looks for, and takes", None)
    budget: Budget | None = entry("what may be spent", None, example="300 USD")
    money: Money | None = entry("currencies and their rates", None)
    alarms: tuple[Notify, ...] = entry(
        "who is told when something changes: an idle machine or replica is put away, a wake failed, a machine is rented for a request, or is nobody's, "
        "money reaches a limit, an engine hangs, a card is gone, a certificate runs out, an update is taken or taken back. "
        "Once for each, not as long as it lasts",
        (),
        example="[https://chat.office.example/hook]",
    )
    controller: Literal["none"] | Controller | None = entry(
        "what runs on the gateway's host all the time; there, if not given, where the file names `idle`, `else`, `budget` or "
        "`alarms` and the gateway is on a machine of your own. none: each host ends itself when it is idle, and nothing wakes by "
        "itself; `updates` go on without it",
        None,
        example="{page: true}",
    )
    secrets: Mapping[SecretName, Secret] = entry("where secrets come from", dict, example="{HF_TOKEN: env}")
    mirror: Mirror | None = entry("for networks without internet", None)
    downloads: Downloads | None = entry("how weights come to the hosts", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFile:
    """A loaded stack file: the wish, and where each part of it stands.

    `positions` maps a path such as `models.chat.context` to (line, column), both from 1.
    `digest` is the SHA-256 of the file's bytes; `given` the paths that the file itself names,
    everything else in `stack` is a default. `text` is the file itself, kept with what was made of it. `foreign`: paths of
    which only the record on a host says what they are (foreign.py), with what is here instead.
    """

    path: str
    digest: str
    stack: Stack
    positions: Mapping[str, tuple[int, int]]
    given: frozenset[str]
    text: str = field(default="", repr=False)
    foreign: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def where(self, path: str) -> str:
        """`file:line:column path`, of the nearest part that the file names."""
        probe = path
        while probe and probe not in self.positions:
            probe = probe.rpartition(".")[0]
        line, column = self.positions.get(probe, (1, 1))
        return f"{self.path}:{line}:{column} {path}"
