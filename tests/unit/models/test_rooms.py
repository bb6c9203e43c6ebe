from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.hosts.types import Card, CardProcess, Driver, Facts, Host, Seen, Ssh
from hostler.models.rooms import rooms_of
from hostler.models.types import Member, Replica

HOST = Host(name="a", pool="rack", ssh=Ssh(address="a"))
FACTS = Facts(
    machine_id="m", hostname="a", os_id="debian", os_version="12", codename="bookworm", os_name="Debian", arch="x86_64",
    kernel="6", python="3.11", systemd="252", cpus=8, memory=64 * 2**30, disk_total=1, disk_free=1, boot_id="b",
    driver=Driver(state="working", version="580"),
)  # fmt: skip


def seen(
    used: int | None, *processes: tuple[str, int | None, bool], driver: str = "working", **more: Any
) -> dict[str, Seen]:
    card = Card(index=0, uuid="GPU-1", name="RTX 3090", memory_mib=24576, used_mib=used)
    running = tuple(
        CardProcess(card="GPU-1", pid=n, name=name, used_mib=mib, ours=ours)
        for n, (name, mib, ours) in enumerate(processes)
    )
    facts = replace(FACTS, cards=(card,), processes=running, driver=Driver(state=driver))  # type: ignore[arg-type]
    return {"a": Seen(host="a", at=0, seconds=0, facts=facts, **more)}


RUNNING = (
    Replica(
        id="chat-0", model="chat", members=(Member(host="a", cards=("GPU-1",), port=18080),), need_mib=6000
    ),
)


@pytest.mark.parametrize(
    ("used", "processes", "previous", "free"),
    [
        (0, (), (), 24576),
        (None, (), (), 24576),
        (900, (("Xorg", 900, False),), (), 23676),
        (300, (), (), 24276),
        (6900, (("Xorg", 900, False), ("llama-server", 6000, True)), RUNNING, 23676),
        (6900, (("Xorg", 900, False), ("llama-server", None, True)), RUNNING, 23676),
        (6100, (), RUNNING, 24476),
        (500, (), RUNNING, 24576),
        (0, (("python", 12000, False),), (), 12576),
    ],
    ids=["empty", "unknown", "desktop", "driver", "ours beside", "ours of unknown size", "no process list",
         "ours stopped", "used lags behind"],
)  # fmt: skip
def test_free_card_memory(
    used: int | None, processes: tuple[Any, ...], previous: tuple[Replica, ...], free: int
) -> None:
    (room,) = rooms_of([HOST], seen(used, *processes), previous)
    assert room.free == [free]


def test_the_note_names_who_takes_it() -> None:
    (room,) = rooms_of([HOST], seen(900, ("Xorg", 900, False)))
    assert room.cards[0].note == "900 MiB taken by Xorg"


def test_main_memory_leaves_the_system_its_part() -> None:
    (room,) = rooms_of([HOST], seen(0))
    assert room.memory_mib == 65536 - 6553


def test_a_host_that_does_not_answer_is_gone() -> None:
    dead = {"a": Seen(host="a", at=0, seconds=1, error="no route to host")}
    assert rooms_of([HOST], dead)[0].gone == "no route to host"
    assert rooms_of([HOST], {})[0].gone == "it was not probed"


def test_a_driver_that_does_not_work_blocks() -> None:
    assert rooms_of([HOST], seen(0, driver="mismatch"))[0].blocked == "NVIDIA's driver waits for a reboot"
