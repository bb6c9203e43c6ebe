"""What instance types are, as data; a type that is not listed is asked of EC2."""

from __future__ import annotations

from .types import Kind


def listed(name: str) -> Kind | None:
    """A type of the list; None: it is not in it."""
    raise NotImplementedError


def kind(name: str) -> Kind:
    """A type of the list. Raises ProvisionError that names the nearest one."""
    raise NotImplementedError


def describe(name: str, region: str) -> Kind:
    """As `kind`, and a type that is not listed is asked of EC2 in that region. Raises ProvisionError."""
    raise NotImplementedError
