"""Differences of what is rented, in people's words. Pure functions.

Three sides: `stored` is what the last run wished, `now` what the cloud has, `wished` what this run wants. What the
cloud has and nobody wished was changed by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from hostler.provision.properties import words
from hostler.provision.state import INSTANCE, SECRET

Inputs = Mapping[str, Any]

KINDS: Mapping[str, str] = {
    "aws:ec2/keyPair:KeyPair": "key pair",
    "aws:ec2/vpc:Vpc": "network",
    "aws:ec2/internetGateway:InternetGateway": "internet gateway",
    "aws:ec2/routeTable:RouteTable": "route table",
    "aws:ec2/subnet:Subnet": "subnet",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "route of subnet",
    "aws:ec2/securityGroup:SecurityGroup": "security group",
}
NAMES: Mapping[str, str] = {
    "instanceType": "instance type",
    "vpcSecurityGroupIds": "security groups",
    "instanceInitiatedShutdownBehavior": "what a shutdown does",
    "metadataOptions": "metadata service",
    "volumeTags": "tags of its disks",
    "ami": "image",
    "publicKey": "public key",
}
RULES = ("ingress", "egress")
SILENT = ("tagsAll", "userData", "userDataBase64", "__defaults", "version")
RUNNING = ("running", "pending", "")


def title(kind: str, name: str) -> str:
    """A slot is called by its name alone."""
    return name if kind == INSTANCE else f"{KINDS.get(kind, kind)} {name}"


def created(kind: str, wished: Inputs, *, gone: bool) -> tuple[str, ...]:
    ended = ("terminated outside of hostler",) if gone and kind == INSTANCE else ()
    ended = ended or (("removed outside of hostler",) if gone else ())
    if kind == INSTANCE:
        market = "spot" if wished.get("instanceMarketOptions") else "on-demand"
        disk = _mapping(wished.get("rootBlockDevice")).get("volumeSize", 0)
        return (
            *ended,
            f"{wished.get('instanceType')} {market} in {wished.get('availabilityZone')}, {disk:.0f} GiB",
        )
    return (*ended, *sorted(rules(wished.get("ingress"))))


def changed(stored: Inputs, now: Inputs, wished: Inputs) -> tuple[str, ...]:
    """Every difference between now and wished."""
    found: list[str] = []
    for key in sorted({*now, *wished}):
        sides = (stored.get(key), now.get(key), wished.get(key))
        if (
            key in SILENT
            or sides[1] == sides[2]
            or (key == "volumeTags" and wished.get("tags") != now.get("tags"))
        ):
            continue  # the disks' tags are the instance's: said once
        if key in RULES:
            found.extend(_rules(key, *sides))
        elif any(isinstance(side, Mapping) and SECRET in side for side in sides):
            found.append(f"{NAMES.get(key, key)}: changed")
        elif any(isinstance(side, Mapping) for side in sides):
            found.extend(_fields(key, *(_mapping(side) for side in sides)))
        else:
            found.append(_one(NAMES.get(key, key), *sides))
    return tuple(found)


def _fields(key: str, stored: Inputs, now: Inputs, wished: Inputs) -> list[str]:
    names = sorted(name for name in {*now, *wished} if name not in SILENT)
    return [
        _one(f"{NAMES.get(key, key)}.{name}", stored.get(name), now.get(name), wished.get(name))
        for name in names
        if now.get(name) != wished.get(name)
    ]


def _one(name: str, stored: Any, now: Any, wished: Any) -> str:
    if stored == now:
        return f"{name}: {words(now)} => {words(wished)}"
    if now is None:
        return f"{name}: removed by hand (was {words(wished)})"
    if wished is None:
        return f"{name}: added by hand ({words(now)})"
    return f"{name}: changed by hand to {words(now)} (wished: {words(wished)})"


def _rules(key: str, stored: Any, now: Any, wished: Any) -> list[str]:
    before, there, want = rules(stored), rules(now), rules(wished)
    way = "" if key == "ingress" else "outward "
    opened = [
        f"{way}{rule}: " + ("no longer wished" if rule in before else "opened by hand")
        for rule in sorted(there - want)
    ]
    closed = [
        f"{way}{rule}: " + ("closed by hand" if rule in before else "new") for rule in sorted(want - there)
    ]
    return [*opened, *closed]


def rules(value: Any) -> set[str]:
    """Each source of each rule by itself: the cloud merges and splits them as it likes."""
    found: set[str] = set()
    for rule in cast("Sequence[Inputs]", value or ()):
        first, last = _port(rule.get("fromPort")), _port(rule.get("toPort"))
        ports = "all" if str(rule.get("protocol")) == "-1" else first if first == last else f"{first}-{last}"
        protocol = "" if ports == "all" else f"{rule.get('protocol')} "
        sources = [*(rule.get("cidrBlocks") or ()), *(rule.get("ipv6CidrBlocks") or ())]
        sources += list(rule.get("securityGroups") or ())
        found |= {f"{protocol}{ports} from {source}" for source in sources}
    return found


def _port(value: Any) -> str:
    return "0" if value is None else f"{float(value):.0f}"


def stopped(outputs: Inputs) -> tuple[str, ...]:
    """Of an instance that the cloud has, and that does not run."""
    found = str(outputs.get("instanceState") or "")
    return () if found in RUNNING else (f"{found} outside of hostler",)


def _mapping(value: object) -> Inputs:
    return cast("Inputs", value) if isinstance(value, Mapping) else {}
