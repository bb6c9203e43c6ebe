"""Which zones of a region have which instance types, remembered for a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def offered(regions: Sequence[str], instances: Sequence[str]) -> Mapping[str, frozenset[str]]:
    """The asked types that each usable zone offers, all regions side by side; a zone that has none is there, empty.
    Raises ProvisionError."""
    raise NotImplementedError


def zone_of(subnet: str, region: str) -> str:
    """The zone of a subnet of the user's. Raises ProvisionError."""
    raise NotImplementedError
