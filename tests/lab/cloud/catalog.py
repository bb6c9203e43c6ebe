"""What this cloud sells: regions, images, cards by instance type, quotas and prices."""

from fnmatch import fnmatch
from typing import Any

ACCOUNT = "123456789012"
# each has a default VPC within the lab's own networks; moto knows other regions too, but their default VPCs are its own
REGIONS = ("eu-central-1", "eu-west-1")
ZONES = ("a", "b", "c")
LOCATIONS = {"eu-central-1": "EU (Frankfurt)", "eu-west-1": "EU (Ireland)"}

UBUNTU_24, UBUNTU_22, DEEP_LEARNING = "ami-0aab240400000001", "ami-0aab220400000001", "ami-0aabd12400000001"
IMAGES = {
    UBUNTU_24: (
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260101",
        "099720109477",
    ),
    UBUNTU_22: ("ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260101", "099720109477"),
    DEEP_LEARNING: (
        "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) 20260101",
        "898082745236",
    ),
}
PARAMETERS = {
    "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id": UBUNTU_24,
    "/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id": UBUNTU_22,
    "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id": DEEP_LEARNING,
}
ROOT_SIZE = {UBUNTU_24: 8, UBUNTU_22: 8, DEEP_LEARNING: 75}  # GiB, and the least that a root volume may have

ROOT_DEVICE = "/dev/sda1"
_IMAGE = {
    "description": "lab",
    "public": True,
    "virtualization_type": "hvm",
    "architecture": "x86_64",
    "state": "available",
    "platform": None,
    "image_type": "machine",
    "hypervisor": "xen",
    "root_device_name": ROOT_DEVICE,
    "root_device_type": "ebs",
    "sriov": "simple",
    "creation_date": "2026-01-01T00:00:00.000Z",
}


def images() -> list[dict[str, Any]]:
    """As moto reads them from the file that MOTO_AMIS_PATH names."""
    return [_IMAGE | {"ami_id": i, "name": name, "owner_id": owner} for i, (name, owner) in IMAGES.items()]


CARDS = {"g4dn": "T4", "g5": "A10G", "g6": "L4", "g6e": "L40S"}

# code -> its name, the families that it counts, whether it counts spot, vCPUs of a fresh account here
QUOTAS: dict[str, tuple[str, tuple[str, ...], bool, int]] = {
    "L-DB2E81BA": ("Running On-Demand G and VT instances", ("g", "vt"), False, 96),
    "L-3819A6DF": ("All G and VT Spot Instance Requests", ("g", "vt"), True, 96),
    "L-1216C47A": (
        "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
        ("a", "c", "d", "h", "i", "m", "r", "t", "z"),
        False,
        64,
    ),
    "L-34B43A08": (
        "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
        ("a", "c", "d", "h", "i", "m", "r", "t", "z"),
        True,
        64,
    ),
}

# USD an hour in Frankfurt on demand; not Amazon's price list, but near it
HOURLY = {
    "g4dn.xlarge": 0.658,
    "g4dn.2xlarge": 0.94,
    "g4dn.4xlarge": 1.505,
    "g4dn.8xlarge": 2.72,
    "g4dn.12xlarge": 4.89,
    "g5.xlarge": 1.258,
    "g5.2xlarge": 1.516,
    "g5.4xlarge": 2.031,
    "g5.8xlarge": 3.06,
    "g5.12xlarge": 7.09,
    "g5.16xlarge": 5.12,
    "g5.24xlarge": 10.18,
    "g5.48xlarge": 20.36,
    "g6.xlarge": 1.006,
    "g6.2xlarge": 1.222,
    "g6.4xlarge": 1.654,
    "g6.8xlarge": 2.518,
    "g6.12xlarge": 5.752,
    "g6.16xlarge": 4.247,
    "g6.24xlarge": 8.344,
    "g6.48xlarge": 16.688,
    "g6e.xlarge": 2.326,
    "g6e.2xlarge": 2.803,
    "g6e.4xlarge": 3.757,
    "g6e.8xlarge": 5.665,
    "g6e.12xlarge": 13.117,
    "g6e.24xlarge": 18.835,
    "g6e.48xlarge": 37.67,
    "t3.micro": 0.012,
    "t3.medium": 0.048,
    "t3.large": 0.096,
    "c6i.large": 0.097,
    "c6i.xlarge": 0.194,
    "m6i.large": 0.115,
    "m6i.xlarge": 0.23,
}
IN_IRELAND = 0.9  # of the price in Frankfurt
SPOT = 0.4  # of the price on demand


def family(kind: str) -> str:
    """g5 of g5.xlarge."""
    return kind.partition(".")[0]


def quota_of(kind: str, spot: bool) -> str:
    """The code of the quota that an instance of this type counts towards; empty where there is none."""
    letter = "vt" if kind.startswith("vt") else kind[:1]
    found = (code for code, (_, fams, of_spot, _) in QUOTAS.items() if of_spot == spot and letter in fams)
    return next(found, "")


def hourly(kind: str, region: str) -> float | None:
    """USD an hour on demand; None where it is not for sale."""
    price = HOURLY.get(kind)
    if price is None or region not in REGIONS:
        return None
    return round(price * IN_IRELAND, 4) if region == "eu-west-1" else price


def matches(rule: dict[str, str], kind: str, zone: str) -> bool:
    """Whether a rule's globs of type and zone mean this one; what a rule leaves out is any."""
    return fnmatch(kind, rule.get("type", "*")) and fnmatch(zone, rule.get("zone", "*"))
