"""Which releases can be gone back to, and which files of weights and images they need. Pure.

Releases stand in the order in which they were applied last: one that is gone back to is the newest again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from hostler.models import lying
from hostler.models.types import Release

KEPT = 3  # releases whose weights and images stay on the hosts, with the one that is live
KNOWN = 50  # releases that the record tells of
Numbers = frozenset[int]


def kept(releases: tuple[Release, ...], live: int, coming: Release) -> tuple[Release, ...]:
    """The one that is being applied, the live one, and the newest others that ended well: three in all."""
    now = [coming, *(r for r in releases if r.number == live != coming.number)]
    return (*now, *_others(releases, live, coming)[: KEPT - len(now)])


def _others(releases: tuple[Release, ...], live: int, coming: Release) -> list[Release]:
    """Those that ended well and are neither live nor coming, the newest first."""
    return [r for r in reversed(releases) if r.ended == "good" and r.number not in (live, coming.number)]


def limited(releases: tuple[Release, ...], live: int, coming: Release) -> tuple[Release, ...]:
    """The newest ones, so that the record does not grow for ever; those that are kept are always among them."""
    stay = {release.number for release in (*kept(releases, live, coming), *releases[-KNOWN:])}
    return tuple(release for release in releases if release.number in stay)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What may stay on a host though nothing runs it. It need not be there: nothing is fetched for it."""

    numbers: tuple[int, ...] = ()  # of the releases that are kept, the one that is being applied first
    # all that ended well and are neither live nor coming, kept or not, the oldest first
    idle: tuple[int, ...] = ()
    # which releases name a path on a host, and an image's digest
    files: Mapping[str, Numbers] = field(default_factory=dict[str, Numbers])
    images: Mapping[str, Numbers] = field(default_factory=dict[str, Numbers])

    def needs(self, path: str) -> bool:
        """Whether an earlier release needs a file. What the coming one names as well lies where its replicas are:
        going back, each has it there."""
        named = self.files.get(path, frozenset[int]())
        return bool(self.numbers) and self.numbers[0] not in named and not named.isdisjoint(self.numbers)

    def names(self, digest: str) -> bool:
        """Whether any release that is kept runs an image."""
        return not self.images.get(digest, frozenset[int]()).isdisjoint(self.numbers)

    def without(self, numbers: Collection[int]) -> Kept:
        return replace(self, numbers=tuple(number for number in self.numbers if number not in numbers))


def of(releases: tuple[Release, ...], live: int, coming: Release) -> Kept:
    known = {release.number: release for release in (*releases, coming)}
    others = _others(releases, live, coming)
    return Kept(
        numbers=tuple(release.number for release in kept(releases, live, coming)),
        idle=tuple(release.number for release in reversed(others)),
        files=_by_name((path, r.number) for r in known.values() for path in files_of(r)),
        images=_by_name((digest, r.number) for r in known.values() for digest in images_of(r)),
    )


def _by_name(named: Iterator[tuple[str, int]]) -> dict[str, Numbers]:
    found: defaultdict[str, set[int]] = defaultdict(set)
    for name, number in named:
        found[name].add(number)
    return {name: frozenset(numbers) for name, numbers in found.items()}


def files_of(release: Release) -> set[str]:
    """Where a release's files of weights lie on its hosts."""
    sources = [model.runs.weights for model in release.models.values()]
    return {lying.on_host(source, file) for source in sources for file in source.files}


def images_of(release: Release) -> set[str]:
    """Digests: of the engines', and of the gateway's and the edges'."""
    engines = (model.runs.image for model in release.models.values())
    return {image.digest for image in (*engines, *release.parts.values())}
