"""What `hostler status` warns of, each thing once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.console import card_health, status
from hostler.console.out import Out
from hostler.hosts.types import Card, Host, Seen, Ssh

from .test_status import AT, FACTS

CARD = Card(
    index=0, uuid="GPU-1", name="A10G", memory_mib=23028, pci="00000000:41:00.0", pcie_width=16, throttled=()
)
Xids = tuple[tuple[str, int, float], ...]


def seen(card: Card = CARD, xids: Xids | None = ()) -> Seen:
    return Seen(host="gpu-1", at=AT, seconds=0.1, facts=replace(FACTS, cards=(card,), xids=xids))


def texts(found: Seen) -> list[str]:
    return [f"{row['level']}: {row['text']}" for row in card_health.warnings(found)]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"ecc_errors": 2}, "warning: card 0 (A10G): 2 uncorrected memory errors"),
        (
            {"throttled": ("too hot", "power brake")},
            "warning: card 0 (A10G): slowed down: too hot, power brake",
        ),
        ({"pcie_width": 1, "pcie_width_max": 16}, "note: card 0 (A10G): PCIe has 1 of 16 lanes"),
    ],
)
def test_each_thing_once(fields: dict[str, Any], text: str) -> None:
    assert texts(seen(replace(CARD, **fields))) == [text]


@pytest.mark.parametrize(
    "fields", [{}, {"ecc_errors": 0}, {"pcie_width": None, "throttled": None}, {"pcie_width": 4}]
)
def test_a_good_card_is_not_mentioned(fields: dict[str, Any]) -> None:
    assert texts(seen(replace(CARD, **fields))) == []


@pytest.mark.parametrize(
    ("xids", "said"),
    [
        ((("0000:41:00", 48, 1.0),), ["warning: card 0 (A10G): Xid 48 since the boot"]),
        ((("0000:41:00", 63, 1.0), ("0000:41:00", 48, 2.0), ("0000:41:00", 48, 3.0)),
         ["warning: card 0 (A10G): Xid 48 (2 times), 63 since the boot"]),
        ((("0000:c1:00", 79, 1.0),), ["warning: PCI 0000:c1:00: Xid 79 since the boot, it fell off its bus"]),
        ((("0000:41:00", 31, 1.0), ("0000:41:00", 45, 1.0)), []),
        (None, []),
    ],
)  # fmt: skip
def test_xid_errors(xids: Xids | None, said: list[str]) -> None:
    assert texts(seen(xids=xids)) == said


def test_a_host_that_does_not_answer_has_none() -> None:
    assert texts(Seen(host="gpu-1", at=AT, seconds=0.1, error="no answer")) == []


def test_status_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    host = Host(name="gpu-1", pool="rack", ssh=Ssh(address="gpu-1"))
    report = status.report((host,), {"gpu-1": seen(replace(CARD, ecc_errors=2))}, None, AT)
    status.show(report, Out())
    both = capsys.readouterr()
    assert (both.out + both.err).count("gpu-1: card 0 (A10G): 2 uncorrected memory errors") == 1
