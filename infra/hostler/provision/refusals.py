"""What the cloud's refusal of an instance means: the next candidate, the same once more, or the end. Data and text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hostler.cloud.trouble import CODES, EXPECTED, Trouble
from hostler.cloud.types import Rented
from hostler.errors import Problem, ProvisionError

Meaning = Literal["next", "again", "stop"]

NEXT: Mapping[str, str] = {  # another zone, type, market or region may have it
    "InsufficientInstanceCapacity": "no capacity",
    "InsufficientCapacity": "no capacity",
    "InsufficientHostCapacity": "no capacity",
    "InsufficientReservedInstanceCapacity": "no capacity",
    "InsufficientCapacityOnHost": "no capacity",
    "InsufficientFreeAddressesInSubnet": "no free address in the subnet",
    "InsufficientAddressCapacity": "no free address",
    "SpotMaxPriceTooLow": "the spot price is above the limit",
    "InstanceLimitExceeded": "quota of instances",
    "VcpuLimitExceeded": "quota of vCPUs",
    "MaxSpotInstanceCountExceeded": "quota of spot instances",
    "VolumeLimitExceeded": "quota of disks",
    "MaxIOPSLimitExceeded": "quota of disks",
    "ResourceCountExceeded": "quota",
    "VpcLimitExceeded": "quota of networks",
    "InternetGatewayLimitExceeded": "quota of networks",
    "SubnetLimitExceeded": "quota of networks",
    "SecurityGroupLimitExceeded": "quota of security groups",
    "Unsupported": "not offered there",
    "UnsupportedOperation": "not offered there",
    "InvalidAvailabilityZone": "not offered there",
    "OptInRequired": "not switched on for this account",
    "PendingVerification": "AWS still verifies the account there",
    "SpotInstanceTermination": "interrupted at the start",
    "timeout": "no answer in time",
}

# the cloud's own trouble, or a lost answer: once more, then the next candidate
AGAIN = CODES["throttled"] | {"InternalError", "InternalFailure", "Unavailable", "ServiceUnavailable", "lost"}

NOT_AGAIN = "not made again: it stood when it was looked at"  # rented.py's own refusal

API = re.compile(r"api error ([\w.]+): ([^\n]*)")
WAITED = re.compile(
    r"unexpected state '[\w-]+', wanted target .*?last error: (?:\w+\.)?(\w+): ([^\n]*)", re.DOTALL
)
OPERATION = re.compile(r"operation error (\w[\w ]*): (\w+)")
CONFIGURED = re.compile(
    r"No valid credential sources found|failed to refresh cached credentials|get credentials"
)
CUT = re.compile(
    r"EOF|connection reset|broken pipe|timeout while waiting|unexpected state|context (canceled|deadline)|"
    r"vanished|Connection was closed|Could not connect|connection refused|no such host"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """`code`: the cloud's own; lost: the request may have been done; empty: not the cloud's word."""

    code: str
    text: str
    operation: str = ""  # ec2:RunInstances

    @property
    def meaning(self) -> Meaning:
        if self.code in NEXT:
            return "next"
        return "again" if self.code in AGAIN else "stop"


def reason_of(message: str) -> Reason:
    """Of the engine's diagnostic."""
    if NOT_AGAIN in message:
        return Reason(code="ended", text="it has ended")
    found = API.search(message) or WAITED.search(message)
    where = OPERATION.search(message)
    operation = f"{where[1].lower()}:{where[2]}" if where else ""
    if found:
        return Reason(code=found[1], text=found[2].strip(), operation=operation)
    text = " ".join(message.split())
    if CONFIGURED.search(message):
        return Reason(code="no-credentials", text=text, operation=operation)
    return Reason(code="lost" if CUT.search(message) else "", text=text, operation=operation)


def error_of(where: str, reason: Reason) -> ProvisionError:
    """For a reason that no other candidate would help."""
    if reason.code == "ended":
        return ProvisionError.of(
            where,
            expected="an instance that runs",
            got=f"{reason.text} since it was looked at",
            next_step="`hostler up` rents another",
        )
    kind = kind_of(reason.code)
    expected, step = EXPECTED.get(kind, ("", ""))
    if kind == "other":
        expected, step = "AWS to accept it", "see what AWS says"
    if kind == "forbidden":
        action = reason.operation or "this"
        expected, step = f"to be permitted {action}", f"let the account's administrator permit {action}"
    got = f"{reason.code}: {reason.text}" if reason.code else reason.text
    return ProvisionError.of(where, expected=expected, got=got, next_step=step)


def still_there(machines: Mapping[str, Rented], reasons: Mapping[str, Reason]) -> ProvisionError:
    """For instances that should have ended, by slot."""
    found: list[Problem] = []
    for slot, reason in sorted(reasons.items()):
        machine = machines.get(slot)
        (why,) = error_of(slot, reason).problems
        where = f"{slot} ({machine.id} in {machine.candidate.region})" if machine else slot
        first = "" if kind_of(reason.code) == "other" else f"{why.next_step}; then "
        step = f"{first}run the same command again: it costs until it is gone"
        found.append(Problem(where=where, expected="it to end", got=why.got, next_step=step))
    return ProvisionError(*found)


def said_by_cli(where: str, code: int, stderr: str) -> ProvisionError:
    """Where no event says why: the state's bucket refused it, it was killed, or its last words."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and "WARN" not in line]
    reason = reason_of("\n".join(lines))
    if kind_of(reason.code) != "other":
        return error_of(where, reason)
    got, step = (
        f"{code}: {lines[-1].removeprefix('error: ') if lines else 'no reason given'}",
        "hostler doctor",
    )
    if code < 0:
        got, step = f"killed by signal {-code}", "run the same command again: it goes on from there"
    return ProvisionError.of(
        where, expected="exit code 0", got=got, next_step=step, detail="\n".join(lines[-20:])
    )


def kind_of(code: str) -> Trouble:
    found: list[Trouble] = [kind for kind in EXPECTED if code == kind or code in CODES.get(kind, ())]
    if code in CODES["forbidden"]:
        return "forbidden"
    return found[0] if found else "other"


def told(reasons: Mapping[str, Reason]) -> Mapping[str, Reason]:
    """Where the cloud said why, what lacks the cloud's word is a consequence: a subnet without its network."""
    said = {urn: reason for urn, reason in reasons.items() if reason.code}
    return said or reasons
