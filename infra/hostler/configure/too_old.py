"""Drivers that are older than an engine's image needs: said before the image is pulled. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hostler.configure import driver, observed
from hostler.configure.types import Notice
from hostler.engines.base import DriverNeed, driver_need
from hostler.engines.registry import BUILT
from hostler.hosts.types import Facts, Seen, Value
from hostler.models.types import Member, Placement, Release, Runs


def notices(release: Release, placement: Placement, seen: Mapping[str, Seen]) -> Iterator[Notice]:
    """One refusal for each host and image."""
    found = (
        _notice(release.models[replica.model].runs, member, seen[member.host])
        for replica in placement.replicas
        for member in replica.members
        if replica.model in release.models and member.host in seen
    )
    yield from dict.fromkeys(notice for notice in found if notice)


def _notice(runs: Runs, member: Member, seen: Seen) -> Notice | None:
    """What is on a host already was started there before: it is not refused afterwards."""
    facts = seen.facts
    if not facts or isinstance(observed.of(seen, f"image:{runs.image.ref}"), Value):
        return None
    unmet = [need for card in facts.cards if card.uuid in member.cards and (need := _need(runs, card.name))]
    has = numbers(facts.driver.version)
    worst = max(unmet, key=lambda need: need.least, default=None)
    if not worst or not has or has >= worst.least:
        return None
    return Notice(level="refuse", where=member.host, text=_sentence(runs, worst, facts))


def _need(runs: Runs, card: str) -> DriverNeed | None:
    engine = BUILT.get(runs.engine)
    return driver_need(engine, runs.image.name, runs.image.tag, card) if engine else None


def numbers(version: str) -> tuple[int, ...]:
    """580.95.05 as (580, 95, 5); empty when it is no version."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()


def _sentence(runs: Runs, need: DriverNeed, facts: Facts) -> str:
    least = ".".join(map(str, need.least))
    return (
        f"NVIDIA's driver here is {facts.driver.version}, and {runs.image.name}:{runs.image.tag} "
        f"(CUDA {need.cuda}) needs {least} or newer. {driver.typed(facts)}"
    )
