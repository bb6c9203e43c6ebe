"""Instances that the account holds and the state does not know: made by a run whose answer was lost."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from hostler.cloud.session import asking, client
from hostler.cloud.types import Candidate, Holding
from hostler.errors import HostlerError, LockedError

INSTANCE = "instance"
ENDED = ("terminated", "shutting-down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """`adopt`: one for each slot that has none; `end`: what nobody will ever know otherwise."""

    adopt: Mapping[str, Holding]
    end: tuple[Holding, ...]


def living(holdings: Sequence[Holding], uid: str, known: Collection[str]) -> tuple[Holding, ...]:
    """The instances of this uid that the state does not know."""
    return tuple(
        one
        for one in holdings
        if one.kind == INSTANCE and one.uid == uid and one.id not in known and one.state not in ENDED
    )


def sort(found: Sequence[Holding], empty: Collection[str], filled: Collection[str]) -> Sorted:
    """Slots that are nobody's wish keep theirs: the sweep ends it when its lease is over."""
    adopt: dict[str, Holding] = {}
    end: list[Holding] = []
    for one in sorted(found, key=lambda one: (one.state != "running", one.id)):
        if one.slot in empty and one.slot not in adopt and one.state != "stopped":
            adopt[one.slot] = one
        elif one.slot in empty or one.slot in filled:
            end.append(one)
    return Sorted(adopt=adopt, end=tuple(end))


def candidate_of(one: Holding) -> Candidate | None:
    """What it is; None where it has just gone."""
    where = f"instance {one.id} in {one.region}"
    with asking(where):
        answer = client("ec2", one.region).describe_instances(InstanceIds=[one.id])
    found = [machine for group in answer["Reservations"] for machine in group["Instances"]]
    if not found or found[0]["State"]["Name"] in ENDED:
        return None
    machine = found[0]
    return Candidate(
        region=one.region, zone=machine["Placement"]["AvailabilityZone"], instance=machine["InstanceType"],
        market="spot" if machine.get("InstanceLifecycle") == "spot" else "on-demand", ami=machine["ImageId"],
    )  # fmt: skip


def end(found: Sequence[Holding]) -> None:
    for one in found:
        with asking(f"ending instance {one.id} in {one.region}"):
            client("ec2", one.region).terminate_instances(InstanceIds=[one.id])


def unknown_to(where: str, found: Sequence[Holding]) -> HostlerError:
    """An empty state beside machines that run is the wrong state, or a lost one."""
    names = ", ".join(f"{one.slot or one.id} ({one.id} in {one.region})" for one in found)
    return LockedError.of(
        where,
        expected=f"the state in which the stack's machines stand: {names}",
        got="a state that knows of none",
        next_step="name the right bucket with `state:` in the stack file; a lost object's older version is still in "
        "the bucket (aws s3api list-object-versions)",
    )
