"""Weights that find no room on a host: said before a byte of them is fetched, and what goes first to make some. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hostler.configure import observed
from hostler.configure.types import Notice
from hostler.hosts.types import Absent, Seen
from hostler.manifest.items import Manifest, ModelFile
from hostler.models.kept import Kept

PART = ".part"


def notices(manifests: Mapping[str, Manifest], seen: Mapping[str, Seen], kept: Kept) -> Iterator[Notice]:
    """A warning, no refusal: models may lie on another disk than the one that was measured, and the host itself looks
    again at each file."""
    for host, manifest in manifests.items():
        found = seen.get(host)
        if found is None or not found.facts or _short(manifest, found) <= 0:
            continue
        need, free = _need(manifest, found), found.facts.disk_free
        text = f"weights to come need {need / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free below /var/lib/hostler"
        gone = given_up(manifest, found, kept)
        lost = [str(number) for number in gone if number in kept.numbers]
        if not gone:
            yield Notice(level="warning", where=host, text=f"{text}; make room, or place the model elsewhere")
        elif lost:
            what = f"those of release{'s' * (len(lost) > 1)} {' and '.join(lost)} go first"
            then = f"rollback to release {' or '.join(lost)} would have to download again"
            yield Notice(level="warning", where=host, text=f"{text}; {what}: {then}")


def given_up(manifest: Manifest, seen: Seen, kept: Kept) -> tuple[int, ...]:
    """The releases whose weights go before others come: the oldest of those that are neither live nor coming, as few
    as make room enough. None where all of them would not do."""
    short = _short(manifest, seen)
    if short <= 0:
        return ()
    for count in range(1, len(kept.idle) + 1):
        gone = kept.idle[:count]
        if sum(_size(seen, path) for path in freed(seen, kept, gone)) >= short:
            return gone
    return ()


def freed(seen: Seen, kept: Kept, gone: tuple[int, ...]) -> tuple[str, ...]:
    """The files on a host that only those releases name: nothing runs them, and nothing goes back to them by itself."""
    there = seen.ours.get("models", ())
    return tuple(path for path in there if (named := kept.files.get(path)) and named <= set(gone))


def _size(seen: Seen, path: str) -> int:
    found = observed.value(seen, f"model:{path}")
    return int(found["size"]) if found else 0


def _short(manifest: Manifest, seen: Seen) -> int:
    """Bytes that are lacking; where there is room enough, less than one."""
    return _need(manifest, seen) - seen.facts.disk_free if seen.facts else 0


def _need(manifest: Manifest, seen: Seen) -> int:
    return sum(file.size for file in manifest.models if _to_come(file, seen))


def _to_come(file: ModelFile, seen: Seen) -> bool:
    """What is here needs no room, nor does what has begun to come: how much of it is still to come, the host knows."""
    missing = isinstance(observed.of(seen, f"model:{file.path}"), Absent)
    return (
        missing and not file.url.startswith("file:") and file.path + PART not in seen.ours.get("models", ())
    )
