"""What `status --json` says besides what it sees: how long first tokens took, as hosts judged last."""

from __future__ import annotations

from typing import Any

from hostler.hosts.types import Value
from hostler.leases.view import STATE
from hostler.rollout import snapshot
from hostler.rollout.observe import Observation
from worlds import configure_world as world


def of(**looked: Any) -> dict[str, Any]:
    """Of a stack with a replica on each of two hosts, which looked a moment ago."""
    seen = {
        f"gpu-{number}": world.bare(
            number,
            observed={
                f"json:{STATE}": Value(
                    {"looked": {"at": 50.0, "wall": world.AT, "replicas": {f"chat-{number - 1}": looked}}}
                    if looked
                    else {},
                    world.AT,
                )
            },
        )
        for number in (1, 2)
    }
    hosts = world.hosts()
    found = Observation(
        file=world.stack(), hosts=hosts, gone=(), seen=seen, gateway=hosts[0],
        record=world.record(replicas=world.placement().replicas),
    )  # fmt: skip
    (row,) = snapshot.of(found, world.AT)["models"]
    return {"p95": row["first_token_p95_s"], "how": row["first_token_how"]}


def test_first_tokens_are_those_of_the_hosts_own_looks() -> None:
    row = {"bounds": [0.1, 0.5], "counts": [9, 9, 9], "sum": 1.0, "recent": [0, 10, 10], "over_s": 600.0}
    assert of(word="idle", first_token=row) == {"p95": 0.48, "how": "vLLM's histogram, 10 min, 20 requests"}


def test_where_nobody_looks_all_the_time_they_are_unknown() -> None:
    assert of() == {"p95": None, "how": "nobody looked at chat-0 of late"}


def test_without_a_record_there_is_no_model() -> None:
    hosts = world.hosts()
    seen = {"gpu-1": world.bare(1), "gpu-2": world.dead(2)}
    found = Observation(file=world.stack(), hosts=hosts, gone=(), seen=seen, record=None, gateway=hosts[0])
    assert snapshot.of(found, world.AT)["models"] == []
