"""Which rights in AWS the controller needs to rent machines again: shown before it gets credentials, and no more than these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from hostler.cloud import rights
from hostler.configure.types import Change, Notice
from hostler.errors import ProvisionError, RefusedError
from hostler.rollout import rented
from hostler.rollout.observe import Observation
from hostler.stackfile import idling
from hostler.stackfile.sections import Aws, StackFile

WHERE = "controller.rents"


def document(file: StackFile) -> dict[str, Any]:
    """The policy for the user or role whose credentials it gets. Asks AWS which bucket and stack that is. Raises
    RefusedError where nothing is rented, or where that is not known before the first `up`."""
    if not any(pool.aws for pool in file.stack.pools.values()):
        raise RefusedError.of(
            file.where("pools"),
            expected="a rented pool",
            got="none: the controller needs no rights in the cloud",
            next_step="add a pool with `aws:`",
        )
    cloud = rented.known(file)
    if not cloud.uid:
        raise ProvisionError.of(
            f"stack {file.stack.stack}",
            expected="a stack that is there: the rights are limited to what has its uid as a tag",
            got="none yet",
            next_step="`hostler up` without controller.rents first",
        )
    return _document(file, cloud.uid, cloud.regions)


def _document(file: StackFile, uid: str, regions: Iterable[str]) -> dict[str, Any]:
    sections = [pool.aws for pool in file.stack.pools.values() if pool.aws]
    place = urlsplit(rented.fleet_of(file).store.url)
    return rights.policy(
        bucket=place.netloc,
        prefix=place.path.strip("/"),
        stack=file.stack.stack,
        regions=tuple(dict.fromkeys([*_all(sections, "regions"), *regions])),
        instances=tuple(dict.fromkeys(_all(sections, "instances"))),
        uid=uid,
        kms=rented.key_of(file),
        images=tuple(dict.fromkeys(one.image for one in sections)),
        subnets=tuple(dict.fromkeys(one.subnet for one in sections if one.subnet)),
    )


def _all(sections: Iterable[Aws], name: str) -> list[str]:
    return [value for one in sections for value in getattr(one, name)]


def notices(observation: Observation, changes: Iterable[Change]) -> Iterator[Notice]:
    """In the plan by which the controller gets its credentials, or other ones."""
    file, cloud = observation.file, observation.cloud
    found = idling.rents(file.stack)
    if found is None or cloud is None:
        return
    for name in cloud.slots.retire:
        slot = cloud.slots.slots[name]
        if slot.state == "parked" and idling.away_in_the_cloud(file.stack, slot.pool):
            text = "the next request for what it serves rents it again, as controller.rents lets it"
            yield Notice(level="note", where=name, text=text)
    if not any(change.item.endswith(f"/secrets/{found.credentials}") for change in changes):
        return
    where = file.where(WHERE)
    if not cloud.uid or cloud.why:
        text = "which rights it needs is known when the stack is there: `hostler rights` shows them then"
        yield Notice(level="note", where=where, text=text)
        return
    head = "the controller may spend money: its credentials are to have these rights and no others (`hostler rights`)"
    yield Notice(level="note", where=where, text=head)
    for purpose, what in rights.rows(_document(file, cloud.uid, cloud.regions)):
        yield Notice(level="note", where=where, text=f"{purpose}: {what}")
