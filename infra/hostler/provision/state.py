"""What stands in Pulumi's deployment document: read, never run. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from hostler.cloud.types import TAG, Candidate, Rented

Document = Mapping[str, Any]

INSTANCE = "aws:ec2/instance:Instance"
SUBNET = "aws:ec2/subnet:Subnet"
NETWORK = "aws:ec2/vpc:Vpc"
STACK = "pulumi:pulumi:Stack"
AWS_PROVIDER = "pulumi:providers:aws"
POOL_TAG = f"{TAG}pool"
SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105 Pulumi's own mark of a wrapped secret


def deployment(checkpoint: Document) -> dict[str, Any]:
    """Of a DIY backend's file; empty where it holds none."""
    return dict(_mapping(_mapping(checkpoint.get("checkpoint")).get("latest")))


def resources(document: Document) -> Iterator[Document]:
    """All that stand; not those that a replacement left to be deleted."""
    for item in cast("Sequence[Document]", document.get("resources") or ()):
        if not item.get("delete"):
            yield item


def uid_of(document: Document) -> str:
    """The stack's uid: its output, else the tag of an instance; empty where it has none yet."""
    for item in resources(document):
        if item["type"] == STACK and (uid := _mapping(item.get("outputs")).get("uid")):
            return str(uid)
    return next((machine.uid for machine in rented(document) if machine.uid), "")


def rented(document: Document) -> tuple[Rented, ...]:
    """The instances, by slot."""
    found = [_rented(item) for item in resources(document) if item["type"] == INSTANCE and item.get("id")]
    return tuple(sorted(found, key=lambda machine: machine.slot))


def _rented(item: Document) -> Rented:
    inputs, outputs = _mapping(item.get("inputs")), _mapping(item.get("outputs"))
    tags = _mapping(outputs.get("tags") or inputs.get("tags"))
    slot = name_of(item)
    zone = str(inputs.get("availabilityZone") or outputs.get("availabilityZone") or "")
    candidate = Candidate(
        region=str(inputs.get("region") or outputs.get("region") or region_of(zone)),
        zone=zone,
        instance=str(inputs.get("instanceType") or outputs.get("instanceType") or ""),
        market="spot"
        if inputs.get("instanceMarketOptions") or outputs.get("instanceLifecycle") == "spot"
        else "on-demand",
        ami=str(inputs.get("ami") or outputs.get("ami") or ""),
    )
    return Rented(
        slot=slot, pool=str(tags.get(POOL_TAG) or slot.rpartition("-")[0]), id=str(item["id"]), candidate=candidate,
        public_ip=str(outputs.get("publicIp") or ""), private_ip=str(outputs.get("privateIp") or ""),
        uid=str(tags.get(f"{TAG}uid") or ""), lease=_seconds(tags.get(f"{TAG}lease")),
        state=str(outputs.get("instanceState") or ""), owner=str(_mapping(inputs.get("tags")).get(f"{TAG}owner") or ""),
    )  # fmt: skip


def region_of(zone: str) -> str:
    found = re.match(r"[a-z]{2}(-[a-z]+)+?-\d", zone)
    return found[0] if found else ""


def _seconds(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0


def cloud(document: Document) -> tuple[Document, ...]:
    """All that costs or needs an account: every AWS resource, without its provider."""
    return tuple(item for item in resources(document) if str(item["type"]).startswith("aws:"))


def cloud_urns(document: Document) -> list[str]:
    """With the provider: for commands that shall leave all of it alone."""
    kinds = ("aws:", AWS_PROVIDER)
    return [str(item["urn"]) for item in resources(document) if str(item["type"]).startswith(kinds)]


def is_new(document: Document) -> bool:
    """Whether nothing was ever accepted or begun in it."""
    return not uid_of(document) and not cloud(document) and not pending(document)


def provider_region(document: Document) -> str:
    """Of the provider in the state: another one would replace all that is rented."""
    found = (item for item in resources(document) if item["type"] == AWS_PROVIDER)
    return next((str(_mapping(item.get("inputs")).get("region") or "") for item in found), "")


def slot_urns(document: Document, slots: Sequence[str]) -> dict[str, str]:
    """URN by slot, of the instances that stand."""
    found = {name_of(item): str(item["urn"]) for item in resources(document) if item["type"] == INSTANCE}
    return {slot: found[slot] for slot in slots if slot in found}


def names(document: Document, kind: str) -> frozenset[str]:
    """Pulumi's names of all things of a kind."""
    return frozenset(name_of(item) for item in resources(document) if item["type"] == kind)


def ids(document: Document) -> frozenset[str]:
    """What the cloud calls the things that the state knows; those that wait to be deleted, too."""
    return frozenset(str(item["id"]) for item in document.get("resources") or () if item.get("id"))


def inputs_by_urn(document: Document) -> dict[str, Document]:
    return {str(item["urn"]): _mapping(item.get("inputs")) for item in cloud(document)}


def pending(document: Document) -> Sequence[Document]:
    return cast("Sequence[Document]", document.get("pending_operations") or ())


def secrets_provider(document: Document) -> dict[str, str]:
    """The lines of the stack's settings file that open its secrets; another laptop lacks the file."""
    found = _mapping(document.get("secrets_providers"))
    held = _mapping(found.get("state"))
    if found.get("type") == "passphrase":
        return {"encryptionsalt": str(held.get("salt", ""))}
    if found.get("type") == "cloud":
        return {
            "secretsprovider": str(held.get("url", "")),
            "encryptedkey": str(held.get("encryptedkey", "")),
        }
    return {}


def is_slot(urn: str) -> bool:
    return urn.split("::")[2:3] == [INSTANCE]


def name_of(item: Document) -> str:
    return str(item["urn"]).rsplit("::", 1)[-1]


def _mapping(value: object) -> Mapping[str, Any]:
    """Empty for what is absent or secret."""
    if not isinstance(value, Mapping) or SECRET in value:
        return {}
    return cast("Mapping[str, Any]", value)
