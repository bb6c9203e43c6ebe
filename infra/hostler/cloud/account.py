"""What an account holds with this product's tags, and what of it is stray."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from hostler.cloud import kinds
from hostler.cloud.session import asking, client, side_by_side
from hostler.cloud.types import Holding

YOUNG = 1800.0  # seconds in which something without a lease may still be on its way into a state


def holdings(regions: Sequence[str], uid: str | None = None, *, buckets: bool = True) -> tuple[Holding, ...]:
    """Everything with our tags in the regions (and the account's buckets, which have a permission of their own), of one
    stack by its uid (None: of all), in the order in which it can be removed. Raises ProvisionError: what cannot be
    listed is not absent; ValueError for an empty uid, which would mean everybody's."""
    if uid == "":
        raise ValueError("an empty uid is no stack's")
    answers = side_by_side(lambda region: _of_region(region, uid), regions)
    found = [one for held in answers.values() for one in held]
    found += kinds.buckets(uid) if buckets else []
    return tuple(sorted(found, key=lambda one: (kinds.ORDER.index(one.kind), one.region, one.id)))


def _of_region(region: str, uid: str | None) -> list[Holding]:
    with asking(f"what {region} holds", region):
        ec2 = client("ec2", region)

    def ask(kind: kinds.HeldKind) -> list[Holding]:
        with asking(f"what {region} holds of kind {kind.name}", region):
            return kinds.list_kind(ec2, kind, region, uid)

    return [one for held in side_by_side(ask, kinds.KINDS).values() for one in held]


def leftovers(held: Iterable[Holding], uid: str, known: Collection[str]) -> tuple[Holding, ...]:
    """Of this uid, and not in the state, however young: what `down` also removes. `known`: the state's ids. Never a
    bucket: it may hold a state. Pure."""
    return tuple(
        one
        for one in held
        if one.uid == uid
        and one.kind != kinds.BUCKET
        and one.id not in known
        and not (one.part_of and one.part_of in known)
    )


def strays(held: Iterable[Holding], uid: str, known: Collection[str], now: float) -> tuple[Holding, ...]:
    """Of this uid, not in the state, and with its lease over, or without one and older than half an hour. What has
    neither a lease nor an age (networks, groups: they cost nothing) may be on its way into the state: not stray, but
    `leftovers` has it. Pure; `now` in seconds since 1970."""
    return tuple(one for one in leftovers(held, uid, known) if over(one, now))


def over(one: Holding, now: float) -> bool:
    """Its time is up. A clock that is behind makes nothing older."""
    if one.lease is not None:
        return one.lease <= now
    return one.since is not None and now - one.since > YOUNG


def regions_used(held: Iterable[Holding]) -> tuple[str, ...]:
    """Sorted, each once."""
    return tuple(sorted({one.region for one in held}))
