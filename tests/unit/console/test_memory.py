"""Computed against seen memory as people and programs get it."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from hostler.console import memory, status
from hostler.console.out import Out
from hostler.hosts.types import Card, CardProcess, Seen
from hostler.record.types import Record

from .test_status import AT, FACTS, HOSTS, REPLICA

CARD = Card(index=0, uuid="GPU-1", name="NVIDIA A10G", memory_mib=23028, used_mib=7000)
RECORD = Record(uid="u", stack="s", gateway_host="gpu-1", replicas=(replace(REPLICA, need_mib=6144),))


def hosts(mib: int | None) -> dict[str, Seen]:
    process = CardProcess(card="GPU-1", pid=1, name="x", used_mib=mib or 0, ours=True, replica="chat-0")
    there = replace(FACTS, cards=(CARD,), processes=(process,) if mib is not None else ())
    home = Seen(host="gpu-1", at=AT, seconds=0.1, facts=FACTS)
    return {"gpu-1": home, "gpu-2": replace(home, host="gpu-2", facts=there)}


def shown(mib: int | None) -> tuple[str, str]:
    out = Out(stdout=io.StringIO(), stderr=io.StringIO())
    status.show(status.report(HOSTS, hosts(mib), RECORD, AT + 3), out)
    return out.stdout.getvalue(), out.stderr.getvalue()  # type: ignore[attr-defined]


def test_status_has_a_row_for_each_card() -> None:
    found = json.loads(json.dumps(status.report(HOSTS, hosts(6451), RECORD, AT + 3)))
    assert found["memory"] == [
        {"replica": "chat-0", "host": "gpu-2", "card": "GPU-1", "index": 0, "computed_mib": 6144, "seen_mib": 6451,
         "part": 1.05, "unknown": "", "age_s": 3.0}
    ]  # fmt: skip
    assert found["warnings"] == []
    table, said = shown(6451)
    line = next(line for line in table.splitlines() if "+5%" in line)
    assert line.split() == ["chat-0", "gpu-2", "0", "6.0", "GiB", "6.3", "GiB", "+5%", "3", "s"]
    assert said == ""


def test_more_than_was_computed_is_a_warning() -> None:
    (found,) = status.report(HOSTS, hosts(7000), RECORD, AT)["warnings"]
    assert (found["host"], found["card"], found["level"]) == ("gpu-2", "GPU-1", "warning")
    assert shown(7000)[1] == (
        "warning: gpu-2: chat-0 takes more of card 0 than was computed (+14%): the next model may not find the room "
        "that placement counts on\n"
    )


def test_unknown_is_no_warning() -> None:
    table, said = shown(None)
    assert "unknown: the driver names no process of it" in table
    assert said == ""
    assert status.report(HOSTS, hosts(None), RECORD, AT)["memory"][0]["seen_mib"] is None


def test_up_tells_it_of_what_it_changed() -> None:
    out = Out(stdout=io.StringIO(), stderr=io.StringIO())
    memory.tell(RECORD.replicas, hosts(7000), out)
    lines = out.stderr.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "memory: chat-0 on gpu-2: computed 6.0 GiB, card 0 says 6.8 GiB (+14%)"
    assert lines[1].startswith("warning: gpu-2: chat-0 takes more of card 0")
