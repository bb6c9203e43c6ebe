"""What else is known of cards, in samples of real machines."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hostler.codec import decode
from hostler.hosts.types import Card
from hostler.node.base.shell import Result
from hostler.node.cards import cardfacts, gpus

from .test_gpus import TWO

FIRST = "GPU-3f1c5a2e-8d1c-7a0b-9f52-0c6d2b1e4a77"
SECOND = "GPU-9b0e7d4c-1f2a-4c3b-8e6d-5a4f3c2b1d0e"
DETAIL = f"""{FIRST}, 100.00, 366.00, 350.00, 1, 4, 16, 16, [N/A], [N/A]
{SECOND}, 100.00, 300.00, 300.00, 4, 4, 8, 16, 2, Disabled
"""
REASONS = f"{FIRST}, 0x0000000000000001\n{SECOND}, 0x00000000000000C8\n"
KERNEL = """1732458044.123456 rack kernel: NVRM: Xid (PCI:0000:41:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.
1732458001.000001 rack kernel: NVRM: Xid (PCI:0000:01:00): 31, pid=4711, name=llama-server, Ch 00000008
"""
REFUSED = 'Field "clocks_event_reasons.active" is not a valid field to query.\n'


def test_power_pcie_ecc_and_mig() -> None:
    assert cardfacts.more(DETAIL)[SECOND] == {
        "power_min_w": 100.0, "power_max_w": 300.0, "power_default_w": 300.0, "pcie_gen": 4, "pcie_gen_max": 4,
        "pcie_width": 8, "pcie_width_max": 16, "ecc_errors": 2, "mig": False,
    }  # fmt: skip
    first = cardfacts.more(DETAIL)[FIRST]
    assert (first["ecc_errors"], first["mig"], first["pcie_gen"]) == (None, None, 1)


def test_what_slows_a_card_down() -> None:
    assert cardfacts.throttled(REASONS) == {
        FIRST: [],
        SECOND: ["hardware slowdown", "too hot", "power brake"],
    }
    assert cardfacts.throttled(f"{FIRST}, [N/A]\n") == {}


def said(rc: int, stdout: str = "", stderr: str = "") -> Result:
    return Result(("journalctl",), rc, stdout, stderr)


def test_xid_errors_oldest_first() -> None:
    assert cardfacts.xids(said(0, KERNEL)) == [
        ("0000:01:00", 31, 1732458001.0),
        ("0000:41:00", 79, 1732458044.0),
    ]
    assert cardfacts.xids(said(1, "-- No entries --\n")) == []


@pytest.mark.parametrize(
    "answer",
    [
        said(127, "", "journalctl: not installed"),
        said(124, "", "journalctl: no answer in 15 s"),
        said(1, "", "Hint: You are currently not seeing messages from other users and the system."),
        said(1, "", "Compiled without pattern matching support"),
    ],
)
def test_a_kernel_log_that_cannot_be_read_is_unknown(answer: Result) -> None:
    assert cardfacts.xids(answer) is None


def test_one_spelling_of_a_slot() -> None:
    assert {cardfacts.slot("00000000:41:00.0"), cardfacts.slot("0000:41:00")} == {"0000:41:00"}
    assert cardfacts.slot("00010000:C1:00.0") == "10000:c1:00"


@pytest.mark.parametrize("knows", ["clocks_event_reasons", "clocks_throttle_reasons"])
def test_a_field_that_the_driver_does_not_know_costs_only_itself(
    monkeypatch: pytest.MonkeyPatch, knows: str
) -> None:
    def run(argv: Sequence[str], _timeout: float) -> Result:
        words = " ".join(argv)
        if "reasons" in words:
            return said(0, REASONS) if knows in words else said(2, REFUSED)
        if "min_limit" in words:
            return said(0, DETAIL) if knows == "clocks_event_reasons" else said(2, REFUSED)
        return said(0, TWO) if "compute_cap" in words else said(0)

    monkeypatch.setattr(gpus.shell, "run", run)
    monkeypatch.setattr(gpus, "present", lambda: True)
    seen = gpus.look()
    cards = [decode(Card, card) for card in seen["cards"]]
    assert [card.throttled for card in cards] == [(), ("hardware slowdown", "too hot", "power brake")]
    assert [card.power_max_w for card in cards] == (
        [366.0, 300.0] if knows == "clocks_event_reasons" else [None, None]
    )
    assert seen["driver"]["state"] == "working"
