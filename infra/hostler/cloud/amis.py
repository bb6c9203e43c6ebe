"""`image:` of the stack file as an AMI of a region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a host boots. `disk_gib`: no smaller root disk is possible; `user`: who may log in."""

    ami: str
    name: str
    user: str
    disk_gib: int


def resolve(image: str, regions: Sequence[str]) -> Mapping[str, Image]:
    """The image by region, all regions side by side: `nvidia`, `ubuntu-24.04`, `ubuntu-22.04` or `ami-...` (which is of
    one region; the others are left out). Raises ProvisionError."""
    raise NotImplementedError
