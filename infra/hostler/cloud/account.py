"""What an account holds with this product's tags, what of it is stray, and its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .types import Holding


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    account: str  # 123456789012
    arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What became of a holding; `why` it is not gone."""

    holding: Holding
    gone: bool
    why: str = ""


def identity() -> Identity:
    """Who the credentials are. Raises ProvisionError."""
    raise NotImplementedError


def holdings(regions: Sequence[str], uid: str | None = None) -> tuple[Holding, ...]:
    """Everything with our tags in the regions, of one stack by its uid, in the order in which it can be removed.
    Raises ProvisionError: what cannot be listed is not absent."""
    raise NotImplementedError


def strays(held: Iterable[Holding], uid: str, known: Iterable[str], now: float) -> tuple[Holding, ...]:
    """Of this uid, not in the state (`known`: ids there), and with its lease over, or without one and older than
    half an hour. Never a bucket. Pure."""
    raise NotImplementedError


def remove(held: Sequence[Holding]) -> tuple[Removed, ...]:
    """Ends them in the right order, waits, and reads back. An error is a reason, not an exception."""
    raise NotImplementedError


def regions_used(held: Iterable[Holding]) -> tuple[str, ...]:
    """Sorted, each once."""
    raise NotImplementedError
