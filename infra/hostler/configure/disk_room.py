"""Weights that find no room on a host: said before a byte of them is fetched. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hostler.configure import observed
from hostler.configure.types import Notice
from hostler.hosts.types import Absent, Seen
from hostler.manifest.items import Manifest, ModelFile

PART = ".part"


def notices(manifests: Mapping[str, Manifest], seen: Mapping[str, Seen]) -> Iterator[Notice]:
    """A warning, no refusal: models may lie on another disk than the one that was measured, and the host itself looks
    again at each file."""
    for host, manifest in manifests.items():
        found = seen.get(host)
        if found is None or not found.facts:
            continue
        need = sum(file.size for file in manifest.models if _to_come(file, found))
        if need > found.facts.disk_free:
            yield Notice(
                level="warning",
                where=host,
                text=f"weights to come need {need / 2**30:.1f} GiB, and {found.facts.disk_free / 2**30:.1f} GiB are "
                "free below /var/lib/hostler; make room, or place the model elsewhere",
            )


def _to_come(file: ModelFile, seen: Seen) -> bool:
    """What is here needs no room, nor does what has begun to come: how much of it is still to come, the host knows."""
    missing = isinstance(observed.of(seen, f"model:{file.path}"), Absent)
    return (
        missing and not file.url.startswith("file:") and file.path + PART not in seen.ours.get("models", ())
    )
