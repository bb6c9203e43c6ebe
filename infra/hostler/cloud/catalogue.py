"""What instance types are, as data; a type that is not listed is asked of EC2.

The list is of June 2025, from AWS's pages of each family. Cards are named, and their memory counted, as NVIDIA's
driver does. Not listed on purpose: p3 (V100: the open kernel modules of driver 580 don't know it), g5g (ARM), g4ad (AMD).
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from hostler.cloud.session import asking, client
from hostler.cloud.types import Kind
from hostler.errors import ProvisionError

GIB = 1024
SEEN = 0.93  # the least part of a card's memory that a driver counted, where EC2 says the maker's figure

# the driver's name and MiB, by EC2's name of the card and its MiB there (0: any)
CARDS: dict[tuple[str, int], tuple[str, int]] = {
    ("T4", 0): ("Tesla T4", 15360),
    ("A10G", 0): ("NVIDIA A10G", 23028),
    ("L4", 0): ("NVIDIA L4", 23034),
    ("L40S", 0): ("NVIDIA L40S", 46068),
    ("A100", 40960): ("NVIDIA A100-SXM4-40GB", 40960),
    ("A100", 81920): ("NVIDIA A100-SXM4-80GB", 81920),
    ("H100", 0): ("NVIDIA H100 80GB HBM3", 81559),
    ("H200", 0): ("NVIDIA H200", 143771),
    ("RTX PRO Server 6000", 0): ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 97887),
    ("V100", 16384): ("Tesla V100-SXM2-16GB", 16384),
    ("V100", 32768): ("Tesla V100-SXM2-32GB", 32768),
}

# family: card; then size, vCPUs, GiB, cards
_ONE = "xlarge 4 {0} 1, 2xlarge 8 {1} 1, 4xlarge 16 {2} 1, 8xlarge 32 {3} 1, 16xlarge 64 {5} 1, 12xlarge 48 {4} 4"
_G5 = _ONE.format(16, 32, 64, 128, 192, 256)
_GPU: dict[str, tuple[tuple[str, int], str]] = {
    "g4dn": (("T4", 0), f"{_G5}, metal 96 384 8"),
    "g5": (("A10G", 0), f"{_G5}, 24xlarge 96 384 4, 48xlarge 192 768 8"),
    "g6": (("L4", 0), f"{_G5}, 24xlarge 96 384 4, 48xlarge 192 768 8"),
    "gr6": (("L4", 0), "4xlarge 16 128 1, 8xlarge 32 256 1"),
    "g6e": (
        ("L40S", 0),
        f"{_ONE.format(32, 64, 128, 256, 384, 512)}, 24xlarge 96 768 4, 48xlarge 192 1536 8",
    ),
    "p4d": (("A100", 40960), "24xlarge 96 1152 8"),
    "p4de": (("A100", 81920), "24xlarge 96 1152 8"),
    "p5": (("H100", 0), "4xlarge 16 256 1, 48xlarge 192 2048 8"),
    "p5e": (("H200", 0), "48xlarge 192 2048 8"),
    "p5en": (("H200", 0), "48xlarge 192 2048 8"),
}
_CPUS = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "12xlarge": 48, "16xlarge": 64, "24xlarge": 96}  # fmt: skip
_GIB_A_CPU = {"c6i": 2, "c7i": 2, "m6i": 4, "m7i": 4}
_T3 = {"small": (2, 2), "medium": (2, 4), "large": (2, 8), "xlarge": (4, 16), "2xlarge": (8, 32)}


def _listed() -> dict[str, Kind]:
    rows = [_without_cards(f"t3.{size}", *numbers) for size, numbers in _T3.items()]
    for family, each in _GIB_A_CPU.items():
        rows += [_without_cards(f"{family}.{size}", cpus, cpus * each) for size, cpus in _CPUS.items()]
    for family, (card, sizes) in _GPU.items():
        for size in sizes.split(", "):
            name, *numbers = size.split()
            cpus, gib, cards = map(int, numbers)
            rows.append(_kind(f"{family}.{name}", cpus, gib * GIB, CARDS[card], cards))
    return {row.name: row for row in rows}


def _without_cards(name: str, cpus: int, gib: int) -> Kind:
    return _kind(name, cpus, gib * GIB, ("", 0), 0)


def _kind(name: str, cpus: int, memory_mib: int, card: tuple[str, int], cards: int) -> Kind:
    return Kind(
        name=name, card=card[0], cards=cards, card_mib=card[1], cpus=cpus, memory_mib=memory_mib
    )  # fmt: skip


KINDS = _listed()


def listed(name: str) -> Kind | None:
    """A type of the list; None: it is not in it."""
    return KINDS.get(name)


def kind(name: str) -> Kind:
    """A type of the list. Raises ProvisionError that names the nearest one."""
    if name not in KINDS:
        raise _unknown(name, "a name that is not in Hostler's list")
    return KINDS[name]


def describe(name: str, region: str) -> Kind:
    """As `kind`, and a type that is not listed is asked of EC2 in that region. Raises ProvisionError: there is no such
    type there, or it is none on which Hostler runs."""
    if name in KINDS:
        return KINDS[name]
    with asking(f"instance type {name} in {region}", region):
        found = client("ec2", region).describe_instance_types(
            Filters=[{"Name": "instance-type", "Values": [name]}]
        )["InstanceTypes"]
    if not found:
        raise _unknown(name, f"a name that {region} does not have")
    return from_ec2(found[0])


def from_ec2(said: dict[str, Any]) -> Kind:
    """A type as DescribeInstanceTypes describes it. Raises ProvisionError for ARM, for cards that are not NVIDIA's and
    for parts of a card."""
    name = said["InstanceType"]
    if "x86_64" not in said.get("ProcessorInfo", {}).get("SupportedArchitectures", ["x86_64"]):
        raise _unfit(name, "an x86_64 processor", "ARM")
    gpus = said.get("GpuInfo", {}).get("Gpus", [])
    for gpu in gpus:
        if gpu.get("Manufacturer") != "NVIDIA":
            raise _unfit(name, "NVIDIA cards, or none", f"{gpu.get('Manufacturer')} {gpu.get('Name')}")
        if gpu.get("GpuPartitionSize", 1) < 1:
            raise _unfit(name, "whole cards", f"{gpu['GpuPartitionSize']} of a {gpu.get('Name')}")
    card = _card(gpus[0]["Name"], gpus[0].get("MemoryInfo", {}).get("SizeInMiB", 0)) if gpus else ("", 0)
    cards = sum(int(gpu["Count"]) for gpu in gpus)
    return _kind(name, said["VCpuInfo"]["DefaultVCpus"], said["MemoryInfo"]["SizeInMiB"], card, cards)


def _card(name: str, mib: int) -> tuple[str, int]:
    """A card that is not known is counted low: what is planned for it fits."""
    return CARDS.get((name, mib)) or CARDS.get((name, 0)) or (f"NVIDIA {name}", int(mib * SEEN))


def _unknown(name: str, got: str) -> ProvisionError:
    near = get_close_matches(name, KINDS, 1, 0.5)
    step = f"did you mean {near[0]}?" if near else "see https://aws.amazon.com/ec2/instance-types"
    return ProvisionError.of(f"instance type {name}", expected="one that AWS has", got=got, next_step=step)


def _unfit(name: str, expected: str, got: str) -> ProvisionError:
    step = "take one with NVIDIA cards, such as g5.2xlarge"
    return ProvisionError.of(f"instance type {name}", expected=expected, got=got, next_step=step)
