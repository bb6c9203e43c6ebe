"""What provisioning answers. Pure values: nothing here imports Pulumi."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from hostler.cloud.types import Holding
from hostler.hosts.types import Seen

# an owned host, a rented one, what a rented one needs, the state itself
Kind = Literal["host", "slot", "cloud", "state"]
Op = Literal["create", "update", "replace", "delete", "refresh"]
SeenOf = Callable[[str], Seen]  # host name -> its probe's answer; waits for it
HoldingsOf = Callable[
    [], Sequence[Holding]
]  # all that the account holds of this stack's uid, asked anew each time


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionChange:
    """One resource that differs. `details` are sentences like `cards[1]: delete NVIDIA A10G GPU-1f`."""

    name: str
    urn: str
    op: Op
    details: tuple[str, ...] = ()
    kind: Kind = "host"

    def __str__(self) -> str:
        return f"{self.op} {self.name}" + "".join(f"\n  {detail}" for detail in self.details)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionPreview:
    """What differs between what was accepted and what is there, and how long asking took (seconds)."""

    changes: tuple[ProvisionChange, ...] = ()
    seconds: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionEvent:
    """One live event. `kind`: start and done of a resource, or a diagnostic's severity."""

    kind: Literal["start", "done", "failed", "warning", "error"]
    name: str = ""
    op: str = ""
    message: str = ""


OnEvent = Callable[[ProvisionEvent], None]
Notice = Callable[[str], None]


def silent(_: object) -> None:
    """A callback that nobody listens to."""
