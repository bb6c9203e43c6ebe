"""Slots as rows: what each has, and that what is parked is nothing wrong."""

from __future__ import annotations

from io import StringIO

from hostler.cloud.types import Candidate, Rented
from hostler.console import slots
from hostler.console.out import Out
from hostler.hosts.types import Slot

HAS = Candidate(region="eu-central-1", zone="eu-central-1a", instance="g5.xlarge", market="spot")
RUNNING = Rented(
    slot="burst-0", pool="burst", id="i-1", candidate=HAS, public_ip="203.0.113.9", private_ip="", uid="u",
    state="running",
)  # fmt: skip
SLOTS = {
    "burst-0": Slot(name="burst-0", pool="burst"),
    "burst-1": Slot(name="burst-1", pool="burst", state="parked"),
    "burst-2": Slot(name="burst-2", pool="burst"),
}


def test_rows() -> None:
    there, parked, missing = slots.rows(SLOTS, {"burst-0": RUNNING})
    assert (there["state"], there["machine"], there["zone"]) == ("wanted", "g5.xlarge", "eu-central-1a")
    assert (parked["state"], parked["machine"]) == ("parked", None)
    assert missing["state"] == "wanted, not rented"


def test_a_table_has_a_word_for_nothing() -> None:
    shown = StringIO()
    slots.show(slots.rows(SLOTS, {"burst-0": RUNNING}), Out(stdout=shown, stderr=StringIO()))
    first, second = shown.getvalue().splitlines()[2:4]
    assert first.split() == [
        "burst-0",
        "burst",
        "wanted",
        "g5.xlarge",
        "spot",
        "eu-central-1a",
        "i-1",
        "203.0.113.9",
    ]
    assert second.split() == ["burst-1", "burst", "parked", "-", "-", "-", "-", "-"]
