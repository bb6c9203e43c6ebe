"""Where clients connect, and with what."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hostler.configure.doors import client_address
from hostler.errors import RefusedError
from hostler.hosts.types import Unknown, Value
from hostler.rollout import home, keys, lastknown
from hostler.rollout.lastknown import Tell
from hostler.rollout.observe import Observation, observe
from hostler.stackfile import idling
from hostler.stackfile.sections import StackFile

UNKNOWN_KEY = "<a key: `hostler key add NAME` makes one>"
UNKNOWN_ADMIN = "<a key: `hostler key add NAME --admin` makes one>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    address: str  # scheme://name:port, without /v1
    key: str
    models: tuple[str, ...]
    ca: str  # PEM that clients must trust; empty: nothing special
    chats: tuple[str, ...] = ()  # those of the models that answer with words
    cloud: Mapping[str, Any] | None = None  # whether it is known what is rented, as lastknown.row says it
    page: str = ""  # the controller's page; empty: there is none
    admin: str = ""  # the key for it


def connection(file: StackFile, key_name: str | None, without: Tell | None = None) -> Connection:
    """Address, key and models of a stack that is up; the key only where this machine knows it and it is valid. `without`
    hears of it where AWS cannot be asked; what is rented is of no matter to clients of a gateway that answers. Raises
    HostError where the gateway's host does not answer, RefusedError where the stack is not up, or clients would have to
    trust an authority whose certificate is not there."""
    observation = observe(file, pulumi=False, without=without)
    address = address_of(file, observation)
    if not observation.home_known:
        raise home.silent(observation, f"once it answers, clients reach it at {address}/v1")
    record = home.running(observation)
    key = _key(keys.valid(record), key_name, UNKNOWN_KEY)
    page = f"{address}/hostler" if idling.has_page(file.stack) else ""
    return Connection(
        address=address,
        key=key,
        models=tuple(file.stack.models),
        ca=_ca(file, observation),
        chats=tuple(name for name, model in file.stack.models.items() if model.engine != "embeddings"),
        cloud=lastknown.row(observation.cloud, time.time()),
        page=page,
        admin=_key(keys.valid(record, admin=True), key_name, UNKNOWN_ADMIN) if page else "",
    )


def _key(known: Mapping[str, str], name: str | None, none: str) -> str:
    return known.get(name, none) if name else next(iter(known.values()), none)


def address_of(file: StackFile, observation: Observation) -> str:
    gateway = file.stack.gateway
    scheme = "http" if gateway.tls in (None, "none") else "https"
    name = client_address(file, observation.gateway)
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{gateway.port}"


def _ca(file: StackFile, observation: Observation) -> str:
    if file.stack.gateway.tls != "private-ca":
        return ""
    gateway = observation.gateway.name
    seen = observation.seen[gateway].observed.get("made:ca")
    pem = str(seen.value.get("pem", "")) if isinstance(seen, Value) else ""
    if not pem:
        raise RefusedError.of(
            gateway,
            expected="the certificate of the stack's own authority, which clients have to trust",
            got=f"no look at it: {seen.reason}" if isinstance(seen, Unknown) else "none there",
            next_step="`hostler doctor` says what is wrong; `hostler up` makes it where it is missing",
        )
    return pem
