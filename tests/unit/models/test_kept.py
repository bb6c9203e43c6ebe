"""What can be gone back to: three releases, and what they need stays on the hosts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hostler.configure import build, difference, leftovers, variables
from hostler.configure.wish import Wish
from hostler.hosts.types import Seen
from hostler.models import kept
from hostler.models.kept import KNOWN
from hostler.models.types import Release
from hostler.record import store
from worlds import configure_world as world

BAD, OPEN = "failed: it did not answer", ""


def known(*ended: str) -> tuple[Release, ...]:
    """Releases 1, 2, ..., each with weights and an image of its own."""
    return tuple(one(number, how) for number, how in enumerate(ended, 1))


def one(number: int, ended: str = "good") -> Release:
    return world.release_of(number, f"weights-{number}", f"ghcr.io/a/engine-{number}", ended=ended)


GOOD = "good"


@pytest.mark.parametrize(
    ("ended", "live", "coming", "numbers"),
    [
        ((), 0, 1, [1]),
        ((GOOD,), 1, 1, [1]),
        ((GOOD,), 1, 2, [2, 1]),
        ((GOOD, GOOD, GOOD, GOOD), 4, 4, [4, 3, 2]),
        ((GOOD, GOOD, GOOD, GOOD), 4, 5, [5, 4, 3]),
        ((GOOD, GOOD, BAD, GOOD), 4, 4, [4, 2, 1]),
        ((GOOD, GOOD, GOOD, BAD), 3, 5, [5, 3, 2]),
        ((GOOD, GOOD, GOOD, OPEN), 3, 5, [5, 3, 2]),
        ((GOOD, GOOD, GOOD, OPEN), 3, 4, [4, 3, 2]),
        ((GOOD, GOOD, GOOD, BAD), 3, 4, [4, 3, 2]),
        ((GOOD, GOOD, GOOD, GOOD), 1, 5, [5, 1, 4]),
        ((GOOD, GOOD, GOOD, GOOD), 4, 1, [1, 4, 3]),
        ((BAD, BAD, BAD), 0, 4, [4]),
    ],
)
def test_which_are_kept(ended: tuple[str, ...], live: int, coming: int, numbers: list[int]) -> None:
    assert [release.number for release in kept.kept(known(*ended), live, one(coming, OPEN))] == numbers


def test_the_order_of_use_counts() -> None:
    """Release 1 was gone back to before 4 came: it is newer than 3."""
    two, three, again = one(2), one(3), one(1)
    found = kept.kept((two, three, again, one(4)), 4, one(5, OPEN))
    assert [release.number for release in found] == [5, 4, 1]


def test_the_record_keeps_the_newest_and_what_is_kept() -> None:
    many = known(GOOD, GOOD, GOOD, *[BAD] * (KNOWN + 5))
    last = many[-1].number
    left = kept.limited(many, 3, many[-1])
    assert [release.number for release in left] == [2, 3, *range(last - KNOWN + 1, last + 1)]
    assert kept.limited(left, 3, many[-1]) == left
    assert kept.limited(many[:KNOWN], 3, many[KNOWN - 1]) == many[:KNOWN]


MANIFEST = build.manifest(
    Wish(
        file=world.stack(),
        hosts=world.hosts(),
        seen=world.seen_hosts(),
        release=one(5),
        placement=world.placement(),
        record=world.record(),
    ),
    world.hosts()[0],
)
KEPT = kept.of(known(GOOD, GOOD, GOOD, GOOD), 4, one(5, OPEN))  # 5, 4 and 3


def path(number: int) -> str:
    return next(iter(kept.files_of(one(number))))


def image(number: int) -> str:
    return one(number).models["chat"].runs.image.ref


def full(*numbers: int) -> Seen:
    """A host that is just as it should be, with what those releases have left there."""
    seen = world.as_wanted(MANIFEST)
    models = tuple(dict.fromkeys((*seen.ours["models"], *map(path, numbers))))
    return replace(seen, ours={**seen.ours, "models": models, "images": tuple(map(image, numbers))})


def test_what_a_kept_release_needs_stays() -> None:
    assert difference.difference(MANIFEST, full(3, 4, 5), KEPT) == ()


def test_what_none_needs_goes_last_and_says_whose_it_was() -> None:
    changes = difference.difference(MANIFEST, full(1, 2, 3, 4, 5, 9), KEPT)
    assert {(c.item, c.why, str(c.effect)) for c in changes} == {
        (name, f"{whose}; kept for a rollback: 5, 4, 3", "none")
        for number, whose in ((1, "of release 1"), (2, "of release 2"), (9, "of no release that is known"))
        for name in (f"model:{path(number)}", f"image:{image(number)}")
    }
    assert all(leftovers.goes_last(c) and c.action == "remove" for c in changes)
    gone = variables.retired(changes)
    assert set(gone["engine_unneeded"]) == {image(1), image(2), image(9)}
    assert {e["path"] for e in gone["engine_remove"]} >= {path(1), path(2), path(9)}
    values = variables.host_variables(MANIFEST, changes)
    assert (values["engine_images"], values["engine_models"], values["engine_containers"]) == ([], [], [])


def test_half_a_file_of_an_earlier_release_goes() -> None:
    seen = full()
    half = path(4) + ".part"
    seen = replace(seen, ours={**seen.ours, "models": (*seen.ours["models"], half)})
    (change,) = difference.difference(MANIFEST, seen, KEPT)
    assert change.item == f"model:{half}"


def test_weights_of_a_replica_that_left_go_although_the_release_names_them() -> None:
    """Where the replica is now they lie as well: going back needs them there."""
    away = replace(MANIFEST, models=(), containers=(), images=())
    found = leftovers.leftovers(away, full(4, 5), KEPT)
    assert [c.item for c in found if c.item.startswith(("model:", "image:"))] == [f"model:{path(5)}"]


def test_an_image_under_a_mirrors_name_is_known_by_its_digest() -> None:
    seen = full()
    there = tuple(f"registry.office.example/x@{image(n).partition('@')[2]}" for n in (1, 4))
    seen = replace(seen, ours={**seen.ours, "images": there})
    assert [c.item for c in difference.difference(MANIFEST, seen, KEPT)] == [f"image:{there[0]}"]


def test_an_earlier_image_of_the_gateway_is_kept_as_well() -> None:
    other = world.pin("docker.io/library/haproxy-before")
    before = replace(one(4), parts={"gateway": other, "edge": other})
    assert kept.of((before,), 4, one(5)).names(other.digest)
    assert not kept.of((before, one(3), one(2)), 2, one(5)).names(other.digest)


def test_a_release_from_the_record_makes_the_containers_that_it_made() -> None:
    """All that going back needs is in it: nothing that a container is made of is lost on the way through the record."""
    releases = known(GOOD, GOOD)
    record = world.record(releases=releases, release=2)
    again = store.load(store.dump(record), "here")
    for before, after in zip(releases, again.releases, strict=True):
        args = (world.stack(), world.hosts(), world.seen_hosts())
        made = build.manifests(*args, before, world.placement(), record)
        made_again = build.manifests(*args, after, world.placement(), again)
        for host, manifest in made.items():
            assert manifest.containers
            assert manifest.containers == made_again[host].containers
            assert manifest.models == made_again[host].models
            assert manifest.images == made_again[host].images
