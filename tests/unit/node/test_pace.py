"""A limit of the downloads of a whole host: what is reserved, by whom, and what comes of it."""

import struct
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hostler.node.base import files
from hostler.node.weights import pace
from hostler.node.weights.fetch import fetch as fetch_command

from .fakes import Heard
from .web import CONTENT, SHA256, Web, web

RATE = 1_000_000


@pytest.fixture
def clock(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands at its entry."""
    now = [100.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def site(short_root: Path, quick: None) -> Generator[Web, None, None]:
    with web() as found:
        yield found


def test_reservations_queue_up_and_time_takes_them_away(clock: list[float]) -> None:
    assert pace.reserved(500_000, RATE) == pytest.approx(0.5)
    assert pace.reserved(250_000, RATE) == pytest.approx(0.75), "after what is reserved, by whatever process"
    clock[0] = 110.0
    assert pace.reserved(250_000, RATE) == pytest.approx(0.25), "nothing is saved up"


@pytest.mark.parametrize("kept", [struct.pack("<d", 1e9), struct.pack("<d", -5.0), b"", b"torn"])
def test_what_another_boot_or_a_kill_left_holds_nobody_up(kept: bytes, clock: list[float]) -> None:
    files.write(pace.PACE, kept)
    assert pace.reserved(500_000, RATE) == pytest.approx(0.5)


def test_files_side_by_side_share_one_limit(site: Web) -> None:
    """Three megabytes twice at 12 MB a second: half a second, however many ask."""

    def one(number: int) -> None:
        asked = {"url": site.url(), "path": f"{files.MODELS}/m/{number}", "size": len(CONTENT)}
        fetch_command({"op": "fetch", "sha256": SHA256, "limit": 12_000_000, **asked}, Heard())

    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(2)))
    assert time.monotonic() - began > 2 * len(CONTENT) / 12_000_000 * 0.9
    assert all(Path(files.at(f"{files.MODELS}/m/{n}")).read_bytes() == CONTENT for n in range(2))


def test_without_a_limit_nothing_is_noted(site: Web) -> None:
    fetch_command(
        {"op": "fetch", "url": site.url(), "path": f"{files.MODELS}/m/1", "sha256": SHA256}, Heard()
    )
    assert files.read(pace.PACE) is None
