"""Where clients connect, and with what."""

from __future__ import annotations

from dataclasses import dataclass

from hostler.configure.doors import client_address
from hostler.hosts.types import Value
from hostler.rollout import keys
from hostler.rollout.observe import Observation, observe
from hostler.stackfile.sections import StackFile

UNKNOWN_KEY = "<a key: `hostler key add NAME` makes one>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    address: str  # scheme://name:port, without /v1
    key: str
    models: tuple[str, ...]
    ca: str  # PEM that clients must trust; empty: nothing special
    chats: tuple[str, ...] = ()  # those of the models that answer with words


def connection(file: StackFile, key_name: str | None) -> Connection:
    """Address, key and models of a running stack; the key only where this machine knows it."""
    observation = observe(file, pulumi=False)
    known = keys.mine(file.stack.stack)
    key = known.get(key_name, UNKNOWN_KEY) if key_name else next(iter(known.values()), UNKNOWN_KEY)
    return Connection(
        address=address_of(file, observation),
        key=key,
        models=tuple(file.stack.models),
        ca=_ca(file, observation),
        chats=tuple(name for name, model in file.stack.models.items() if model.engine != "embeddings"),
    )


def address_of(file: StackFile, observation: Observation) -> str:
    gateway = file.stack.gateway
    scheme = "http" if gateway.tls in (None, "none") else "https"
    name = client_address(file, observation.gateway)
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{gateway.port}"


def _ca(file: StackFile, observation: Observation) -> str:
    if file.stack.gateway.tls != "private-ca":
        return ""
    seen = observation.seen[observation.gateway.name].observed.get("made:ca")
    return str(seen.value.get("pem", "")) if isinstance(seen, Value) else ""
