"""Where a stack's state is: a folder on this machine, or a bucket that all laptops share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from hostler.provision.locations import Locations
from hostler.provision.locks import BackendLock

ACCOUNT = "s3://"  # the account's own bucket of the stack: another laptop finds it by the stack file alone


class Store(Protocol):
    """One stack's state. Reading raises ProvisionError where it is not to be had; absent is no error."""

    @property
    def url(self) -> str:
        """For PULUMI_BACKEND_URL; empty: the folder of `Locations`."""
        ...

    @property
    def region(self) -> str:
        """Of a bucket, else empty."""
        ...

    def exists(self) -> bool:
        """Whether the stack is in it."""
        ...

    def make(self) -> None:
        """Makes the folder or the bucket where it is not there; refused where the bucket is somebody else's."""
        ...

    def checkpoint(self) -> dict[str, Any]:
        """Pulumi's deployment document (resources, pending_operations, ...), read without the CLI; else empty."""
        ...

    def locks(self) -> tuple[BackendLock, ...]:
        """The locks of Pulumi's backend, of whatever host."""
        ...

    def document(self, name: str) -> dict[str, Any] | None:
        """A small JSON document of ours beside the state."""
        ...

    def keep(self, name: str, data: Mapping[str, Any]) -> None:
        """Writes it."""
        ...

    def remove(self) -> tuple[str, ...]:
        """Takes away all of this stack, with all versions; the bucket too where we made it and nothing else is in
        it. What it could not remove or left on purpose, in words."""
        ...


def store_of(places: Locations, state: str, *, uid: str = "", region: str = "") -> Store:
    """`state` as Fleet takes it. Raises UsageError for what is no bucket."""
    if not state:
        from hostler.provision.folder import Folder

        return Folder(places)
    from hostler.provision.bucket import Bucket

    return Bucket(places, state, uid=uid, region=region)
