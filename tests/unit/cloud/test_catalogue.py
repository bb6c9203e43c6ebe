"""Instance types: the list against AWS's own description, and what is not on it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import moto
import pytest

from hostler.cloud import catalogue
from hostler.cloud.types import Kind
from hostler.errors import ProvisionError
from hostler.models.bandwidth import card_named

# what DescribeInstanceTypes said, as moto keeps it
DATA = Path(moto.__file__).parent / "ec2/resources/instance_types.json.gz"
SAID: dict[str, Any] = json.loads(gzip.decompress(DATA.read_bytes()))


@pytest.mark.parametrize("name", sorted(catalogue.KINDS))
def test_the_list_says_what_aws_says(name: str) -> None:
    assert catalogue.from_ec2(SAID[name]) == catalogue.kind(name)


@pytest.mark.parametrize("name", sorted(n for n, k in catalogue.KINDS.items() if k.cards))
def test_cards_have_the_drivers_names_and_memory(name: str) -> None:
    kind = catalogue.kind(name)
    card = card_named(kind.card)
    assert card is not None
    assert card.memory_mib == kind.card_mib


def test_an_instance_with_an_a10g() -> None:
    assert catalogue.kind("g5.2xlarge") == Kind(
        name="g5.2xlarge", card="NVIDIA A10G", cards=1, card_mib=23028, cpus=8, memory_mib=32768
    )


@pytest.mark.parametrize(
    ("asked", "near"),
    [("g5.2xlrge", "g5.2xlarge"), ("g6.2large", "g6.2xlarge"), ("p4.24xlarge", "p4d.24xlarge")],
)
def test_the_nearest_name_is_said(asked: str, near: str) -> None:
    with pytest.raises(ProvisionError) as caught:
        catalogue.kind(asked)
    assert caught.value.problems[0].next_step == f"did you mean {near}?"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("g5g.xlarge", "an x86_64 processor"),
        ("g6f.xlarge", "whole cards"),
        ("c7g.large", "an x86_64 processor"),
    ],
)
def test_types_on_which_nothing_runs(name: str, expected: str) -> None:
    with pytest.raises(ProvisionError) as caught:
        catalogue.from_ec2(SAID[name])
    assert caught.value.problems[0].expected == expected


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("name", "card", "cards", "mib"),
    [
        ("p3dn.24xlarge", "Tesla V100-SXM2-32GB", 8, 32768),
        ("g7e.2xlarge", "NVIDIA RTX PRO 6000 Blackwell Server Edition", 1, 97887),
        ("g7.2xlarge", "NVIDIA RTX PRO 4500", 1, 30474),  # not known: less than the maker says
        ("r5.large", "", 0, 0),
    ],
)
def test_what_is_not_listed_is_asked_of_ec2(name: str, card: str, cards: int, mib: int) -> None:
    found = catalogue.describe(name, "us-east-1")
    assert (found.card, found.cards, found.card_mib) == (card, cards, mib)


@pytest.mark.usefixtures("aws")
def test_there_is_no_such_type() -> None:
    with pytest.raises(ProvisionError, match=r"g5\.3xlarge: expected one that AWS has"):
        catalogue.describe("g5.3xlarge", "us-east-1")
