"""What an exchange beside the former one stands on: two ports, room for both, how long starts take."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.node.base import spec
from hostler.node.cards import cards
from hostler.node.docker import docker
from hostler.node.docker.containers import Engine
from hostler.node.doors import ports
from hostler.node.exchange import room, starts, surge
from hostler.node.replica import container, journal

from .fakes import Host
from .test_images import Connections
from .test_surge import NAME, exchanged, machine, serving, want

__all__ = ["machine", "serving"]


# ports


def test_a_port_that_stands_twice_is_not_changed(host: Host) -> None:
    twice = {"argv": ["--port", "1", "--port", "1"], "port": 1, "id": "a"}
    assert ports.at(twice, 2) is None


def test_the_doors_file(serving: Host) -> None:
    (serving.root / "run/hostler/edge").mkdir(parents=True)
    ports.write("edge")
    text = (serving.root / "run/hostler/edge/ports.cfg").read_text()
    assert "setenv" not in text
    want(serving, tag="2")
    exchanged()
    text = (serving.root / "run/hostler/edge/ports.cfg").read_text()
    assert f"    setenv PORT_{serving.port} {serving.port + 1000}\n" in text


def test_a_door_that_reads_no_ports_is_not_left_behind(serving: Host) -> None:
    docker.create("hostler-edge", {"Image": "llama@sha256:" + "a" * 64, "Cmd": ["exit"], "HostConfig": {}})
    serving.docker.find("hostler-edge")["State"]["Running"] = True  # type: ignore[index]
    assert ports.unready() == "the edge here was started by an older hostler"


def test_a_container_on_another_port_is_another_one(serving: Host) -> None:
    applied: Any = spec.applied("chat-0")
    assert container.fits(docker.inspect(NAME), applied)
    assert not container.fits(docker.inspect(NAME), ports.at(applied, serving.port + 1000) or {})


# room


def other(host: Host, mib: int) -> None:
    host.want(name="talk-0", model="talk", memory_mib=mib)


def test_what_others_are_promised_is_not_free(serving: Host) -> None:
    new: Any = spec.wanted("chat-0")
    old: Any = spec.applied("chat-0")
    assert room.lack(new, old) == ""
    other(serving, 3000)
    assert room.lack(new, old) == "main memory: 1096 MiB free, 1256 needed"


@pytest.mark.parametrize(
    ("path", "lack"),
    [
        ("/models/b.gguf", "main memory: 796 MiB free, 1256 needed"),  # 300 of its own, 3000 of another's
        ("/models/a.gguf", "main memory: 1096 MiB free, 1256 needed"),  # the same file is there once
    ],
)
def test_weights_that_are_mapped_are_not_free(serving: Host, path: str, lack: str) -> None:
    """The kernel says that it could have them back."""
    serving.docker.pids = [7]
    rollup = serving.root / "proc/7/smaps_rollup"
    rollup.parent.mkdir(parents=True)
    rollup.write_text(f"Pss: {300 * 1024} kB\nPss_Anon: 0 kB\nPss_File: {300 * 1024} kB\n")
    new: Any = spec.wanted("chat-0")
    old: Any = {**new, "argv": ["-m", "/models/a.gguf"]}
    new["argv"] = ["-m", path]
    other(serving, 3000)
    assert room.lack(new, old) == lack


@pytest.mark.parametrize(
    ("free", "held", "lack"),
    [
        (3000, 2000, ""),  # the neighbour has what it was promised
        (3000, 0, "card GPU-a: 1000 MiB free, 1256 needed"),
        (1200, 2000, "card GPU-a: 1200 MiB free, 1256 needed"),
    ],
)
def test_cards(serving: Host, monkeypatch: pytest.MonkeyPatch, free: int, held: int, lack: str) -> None:
    serving.want(name="talk-0", model="talk", memory_mib=2000, cards=["GPU-a"])
    serving.docker.create_foreign("hostler-talk-0")
    serving.docker.pids = [7]
    monkeypatch.setattr(cards, "free_mib", lambda: {"GPU-a": free})
    monkeypatch.setattr(cards, "uses", lambda: [cards.Use("GPU-a", 7, held)])
    new = {"id": "chat-0", "cards": ["GPU-a"], "memory_mib": 1000}
    assert room.lack(new, new) == lack


# starts


@pytest.mark.parametrize(
    ("assumed", "size", "speed", "past", "limit"),
    [
        (120, 0, None, [], 120),  # nothing is measured: as the operator says
        (220, 100 * starts.ASSUMED, None, [], 220),
        (220, 100 * starts.ASSUMED, starts.ASSUMED / 10, [], 2120),  # a slow disk: 120 + 2 x 1000 s
        (220, 100 * starts.ASSUMED, starts.ASSUMED * 100, [], 122),  # a fast one
        (220, 100 * starts.ASSUMED, None, [10, 20], 120),  # never below the engine's own time
        (220, 100 * starts.ASSUMED, starts.ASSUMED * 100, [50, 90, 10], 270),  # three times the longest
    ],
)
def test_the_limit_of_a_start(
    assumed: int, size: int, speed: float | None, past: list[float], limit: int
) -> None:
    assert starts.limit_s(assumed, size, speed, past) == limit


def test_starts_are_remembered(serving: Host) -> None:
    applied: Any = spec.applied("chat-0")
    assert len(starts.past(applied)) == 1
    for seconds in range(9):
        starts.keep(applied, seconds)
    assert starts.past(applied) == [4, 5, 6, 7, 8]
    applied["health"]["limit_s"] = 2
    assert starts.limited(applied)["health"]["limit_s"] == 24
    (serving.root / starts.FILE.lstrip("/")).write_text("{")
    assert starts.past(applied) == []


def test_speed_is_of_large_files(host: Host) -> None:
    path = host.root / "weights"
    path.write_bytes(b"x" * 100)
    assert starts.speed(["/weights"]) is None
    with path.open("wb") as file:
        file.truncate(3 * starts.SAMPLE)
    assert (starts.speed(["/weights"]) or 0) > 0


def test_memory_words() -> None:
    for said in (
        "CUDA error: out of memory",
        "ggml_backend_cuda_buffer: failed to allocate",
        "OutOfMemoryError",
    ):
        assert surge.MEMORY.search(said)
    assert not surge.MEMORY.search("model: expected chat; the engine has talk")


def ours() -> list[str]:
    return sorted(name for _, name in Engine(Connections()).ours)  # type: ignore[arg-type]


def test_one_that_goes_by_itself_is_no_leftover(serving: Host) -> None:
    """The probe would have it retired; when its exchange is over, it is one."""
    old: Any = docker.inspect(NAME)
    serving.docker.engines[old["Id"]].busy = 1
    want(serving, tag="2")
    exchanged(**{"drain-s": 0.05})
    assert serving.docker.names() == ["/" + NAME, f"/{NAME}-old"]
    assert ours() == ["chat-0"]
    journal.end("chat-0")
    assert ours() == ["chat-0", "chat-0-old"]
