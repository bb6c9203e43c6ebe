"""A slot's host before it is there: what its instance type will have. For placing and sizing, marked predicted. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from hostler.cloud.types import Kind
from hostler.hosts.types import Absent, Card, Driver, Facts, Host, Seen, Ssh

UUID = "predicted-"
DRIVER_MIB = 320  # of each card, kept by the driver
MIB = 2**20
SYSTEM_DISK = 30 * 2**30  # of the root disk: system, Docker, an engine's image
DRIVER = Driver(state="working", version="580", cuda="13.0")


def host(slot: str, pool: str, where: str) -> Host:
    """Without an address: nobody can be asked there yet."""
    return Host(name=slot, pool=pool, ssh=Ssh(address=""), owned=False, where=where)


def seen(slot: str, kind: Kind, disk_gib: int, questions: Sequence[str], at: float) -> Seen:
    """A bare host with the type's cards, all free. `questions`: what a probe would ask; all of it is absent."""
    return Seen(
        host=slot,
        at=at,
        seconds=0.0,
        facts=_facts(slot, kind, disk_gib),
        observed={question: Absent(at) for question in questions if ":" in question},
        ours={"files": (), "units": (), "containers": (), "models": ()},
    )


def is_predicted(found: Seen) -> bool:
    return bool(found.facts and found.facts.machine_id.startswith(UUID))


def _facts(slot: str, kind: Kind, disk_gib: int) -> Facts:
    disk = disk_gib * 2**30
    return Facts(
        machine_id=f"{UUID}{slot}",
        hostname=slot,
        os_id="ubuntu",
        os_version="24.04",
        codename="noble",
        os_name=f"{kind.name}, predicted",
        arch="x86_64",
        kernel="6.8.0-aws",
        python="3.12.3",
        systemd="255",
        cpus=kind.cpus,
        memory=kind.memory_mib * MIB,
        disk_total=disk,
        disk_free=max(0, disk - SYSTEM_DISK),
        boot_id="",
        driver=DRIVER if kind.cards else Driver(state="none"),
        cards=tuple(_card(slot, kind, index) for index in range(kind.cards)),
    )


def _card(slot: str, kind: Kind, index: int) -> Card:
    return Card(
        index=index,
        uuid=f"{UUID}{slot}-{index}",
        name=kind.card,
        memory_mib=kind.card_mib,
        used_mib=DRIVER_MIB,
    )
