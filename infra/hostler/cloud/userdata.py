"""What a rented host is told at its first boot: cloud-config text. Pure but for `host_key`."""

from __future__ import annotations

from dataclasses import dataclass, field

BIRTH_MINUTES = 30  # a host that nobody adopts ends itself after these


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """An ed25519 key in OpenSSH's forms."""

    private: str = field(repr=False)
    public: str  # ssh-ed25519 AAAA...


def host_key() -> HostKey:
    """A fresh key, for the first connection only: whoever may read the instance's user data can read it."""
    raise NotImplementedError


def user_data(*, uid: str, stack: str, slot: str, key: HostKey, public_key: str) -> str:
    """The cloud-config of a slot's host: its first host key, the stack's key for the image's login user, and the lease
    that it is born with: unless `adopt` (node agent) renews it within BIRTH_MINUTES, the host powers off, which ends
    the instance. Nothing else in it is secret. Raises ValueError over EC2's 16 KB."""
    raise NotImplementedError
