"""The stand-in cards of a host: what nvidia-smi reads, and what sysfs and procfs show."""

import uuid
from dataclasses import dataclass
from pathlib import Path

from .shell import LabError

DRIVER = "580.95.05"


@dataclass(frozen=True)
class Kind:
    """Product name, memory in MiB, watts, compute capability, PCI device id."""

    name: str
    memory: int
    watts: int
    capability: str
    device: str


KINDS = {
    "RTX 3090": Kind("NVIDIA GeForce RTX 3090", 24576, 350, "8.6", "0x2204"),
    "RTX 4090": Kind("NVIDIA GeForce RTX 4090", 24564, 450, "8.9", "0x2684"),
    "A10G": Kind("NVIDIA A10G", 23028, 300, "8.6", "0x2237"),
    "L4": Kind("NVIDIA L4", 23034, 72, "8.9", "0x27b8"),
    "A100": Kind("NVIDIA A100-SXM4-80GB", 81920, 400, "8.0", "0x20b2"),
    "T4": Kind("Tesla T4", 15360, 70, "7.5", "0x1eb8"),
    "L40S": Kind("NVIDIA L40S", 46068, 350, "8.9", "0x26b9"),
    "H100": Kind("NVIDIA H100 80GB HBM3", 81559, 700, "9.0", "0x2330"),
}


def kind_of(name: str) -> Kind:
    if name not in KINDS:
        raise LabError(f"no such card: {name}; known: {', '.join(KINDS)}")
    return KINDS[name]


def bus_id(index: int) -> str:
    """The address of the index-th card: function 0 of a bus of its own."""
    return f"00000000:{index + 1:02X}:00.0"


def card_uuid(host: str, index: int) -> str:
    """A stable id: the same over reboots and resets, another for each host and card."""
    return f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{index}.{host}.lab')}"


def card_lines(host: str, gpus: list[str]) -> list[str]:
    """The lines of /etc/lab-gpus."""
    lines: list[str] = []
    for index, name in enumerate(gpus):
        kind = kind_of(name)
        fields = {
            "uuid": card_uuid(host, index),
            "name": kind.name,
            "memory": str(kind.memory),
            "watts": f"{kind.watts}.00",
            "capability": kind.capability,
            "pci": bus_id(index),
        }
        lines.append("\t".join(f"{key}={value}" for key, value in fields.items()))
    return lines


def write_pci(path: Path, gpus: list[str]) -> None:
    """A folder to show in place of /sys/bus/pci/devices: a host bridge, and the cards."""
    devices = {"0000:00:00.0": ("0x8086", "0x1237", "0x060000")}
    for index, name in enumerate(gpus):
        devices[bus_id(index)[4:].lower()] = ("0x10de", kind_of(name).device, "0x030000")
    for address, (vendor, device, kind) in devices.items():
        (path / address).mkdir(parents=True, exist_ok=True)
        for key, value in {"vendor": vendor, "device": device, "class": kind, "revision": "0xa1"}.items():
            (path / address / key).write_text(value + "\n")


def write_driver(path: Path, host: str, gpus: list[str]) -> None:
    """A folder to show in place of /proc/driver, as the loaded kernel module fills it."""
    (path / "nvidia").mkdir(parents=True, exist_ok=True)
    (path / "nvidia/version").write_text(
        f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {DRIVER}  Release Build\nGCC version:  stand-in\n"
    )
    for index, name in enumerate(gpus):
        card = path / "nvidia/gpus" / bus_id(index)[4:].lower()
        card.mkdir(parents=True, exist_ok=True)
        (card / "information").write_text(
            f"Model: \t\t {kind_of(name).name}\nGPU UUID: \t {card_uuid(host, index)}\nBus Type: \t PCIe\n"
        )
