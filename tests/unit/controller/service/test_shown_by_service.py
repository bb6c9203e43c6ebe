"""What hosts say comes to the page, to the metrics and to the ledger's meters."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from hostler.console.out import Out
from hostler.controller.page.source import Histogram
from hostler.controller.service import serve
from hostler.controller.service.world import World
from hostler.hosts.types import Host
from hostler.leases.view import View
from worlds import configure_world as world


def service(folder: Path, text: str = world.STACK) -> serve.Service:
    (folder / "stack.yaml").write_text(text)
    return serve.Service(folder, folder, Out(stderr=StringIO()), folder)


def seen(one: serve.Service, *first_tokens: Mapping[str, Any]) -> World:
    """Replica n on host n, each looked at just now."""
    views = {
        host.name: View(
            host=host,
            looked={
                "at": 1.0,
                "wall": world.AT,
                "replicas": {f"chat-{at}": {"word": "busy", "born": "a", "first_token": first_tokens[at]}},
            },
            seen=world.bare(at + 1),
        )
        for at, host in enumerate(world.hosts())
    }
    record = world.record(replicas=world.placement().replicas)
    return World(file=one.file, views=views, record=record, subjects=(), now=0.0)


def told(count: float) -> dict[str, Any]:
    counts = [0.0, count, count]
    return {"bounds": [0.1, 0.5], "counts": counts, "sum": count, "recent": counts, "over_s": 600.0}


def test_first_tokens_are_on_the_page_and_in_the_metrics(tmp_path: Path) -> None:
    one = service(tmp_path)
    for count in (10.0, 30.0):
        one._show(seen(one, told(count), told(2 * count)))  # pyright: ignore[reportPrivateUsage]
    (row,) = (one.board.snapshot() or {})["models"]
    assert (row["first_token_p95_s"], row["first_token_how"]) == (
        0.48,
        "vLLM's histogram, 10 min, 90 requests",
    )
    assert one.board.series().first_token == {
        "chat": Histogram(bounds_s=(0.1, 0.5), counts=(0.0, 60.0, 60.0), total_s=60.0)
    }


def test_each_host_of_a_pool_with_a_meter_is_told_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no rented one."""
    told: dict[str, str] = {}

    class Keeper:
        view: View

        def __init__(self, host: Host, _questions: Any, _changed: Any, meter: str) -> None:
            told[host.name] = meter

        def start(self) -> None:
            pass

    monkeypatch.setattr(serve, "Keeper", Keeper)
    monkeypatch.setattr(serve.ways, "names", lambda: ("gpu-1", "gpu-2", "burst-0"))
    text = world.STACK.replace("user: ops}]}", "user: ops}], power: {meter: cat /run/watts}}")
    service(tmp_path, text)._watch()  # pyright: ignore[reportPrivateUsage]
    assert told == {"gpu-1": "cat /run/watts", "gpu-2": "cat /run/watts", "burst-0": ""}
