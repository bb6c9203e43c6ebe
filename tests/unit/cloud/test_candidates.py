"""In which order machines are tried."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.cloud.candidates import Choice, choose, first, limit
from hostler.cloud.types import Candidate, Market, Price
from hostler.errors import StackFileError
from hostler.stackfile.sections import Aws

EU = ("eu-central-1a", "eu-central-1b", "eu-central-1c")
OFFERED = {
    "eu-central-1a": frozenset({"g5.2xlarge", "g6.2xlarge"}),
    "eu-central-1b": frozenset({"g5.2xlarge"}),
    "eu-central-1c": frozenset(),
    "us-east-1a": frozenset({"g5.2xlarge", "g6.2xlarge"}),
}
SPOT = {"eu-central-1a": 0.60, "eu-central-1b": 0.50, "us-east-1a": 0.40}
AMIS = {"eu-central-1": "ami-eu", "us-east-1": "ami-us"}


def prices(**unknown: str) -> dict[tuple[str, str, Market], Price]:
    """Spot by SPOT, on-demand 1.5 everywhere, g6 0.1 more; `unknown`: zones with underlines, and why."""
    found: dict[tuple[str, str, Market], Price] = {}
    for zone, types in OFFERED.items():
        for name in types:
            more = 0.1 if name.startswith("g6") else 0
            why = unknown.get(zone.replace("-", "_"))
            spot = (
                Price(amount=None, source=why) if why else Price(amount=SPOT[zone] + more, source="history")
            )
            found[(zone, name, "spot")] = spot
            found[(zone, name, "on-demand")] = Price(amount=1.5 + more, source="list")
    return found


def asked(**wish: Any) -> Aws:
    return Aws(
        **{"regions": ("eu-central-1", "us-east-1"), "instances": ("g5.2xlarge", "g6.2xlarge"), **wish}
    )


def said(choice: Choice) -> list[str]:
    return [str(one) for one in choice.candidates]


CASES = [
    (
        "on-demand",
        asked(),
        [
            "g5.2xlarge on-demand in eu-central-1a",
            "g5.2xlarge on-demand in eu-central-1b",
            "g5.2xlarge on-demand in us-east-1a",
            "g6.2xlarge on-demand in eu-central-1a",
            "g6.2xlarge on-demand in us-east-1a",
        ],
    ),
    (
        "the first type on-demand before the second on spot; the cheapest zone first, within a region",
        asked(spot="prefer"),
        [
            "g5.2xlarge spot in eu-central-1b",
            "g5.2xlarge spot in eu-central-1a",
            "g5.2xlarge on-demand in eu-central-1a",
            "g5.2xlarge on-demand in eu-central-1b",
            "g5.2xlarge spot in us-east-1a",
            "g5.2xlarge on-demand in us-east-1a",
            "g6.2xlarge spot in eu-central-1a",
            "g6.2xlarge on-demand in eu-central-1a",
            "g6.2xlarge spot in us-east-1a",
            "g6.2xlarge on-demand in us-east-1a",
        ],
    ),
    (
        "spot alone, in the file's order of regions and types",
        asked(spot="only", regions=("us-east-1", "eu-central-1"), instances=("g6.2xlarge", "g5.2xlarge")),
        [
            "g6.2xlarge spot in us-east-1a",
            "g6.2xlarge spot in eu-central-1a",
            "g5.2xlarge spot in us-east-1a",
            "g5.2xlarge spot in eu-central-1b",
            "g5.2xlarge spot in eu-central-1a",
        ],
    ),
    (
        "what costs too much is left out",
        asked(spot="prefer", max_price="0.55 USD/h"),
        [
            "g5.2xlarge spot in eu-central-1b",
            "g5.2xlarge spot in us-east-1a",
            "g6.2xlarge spot in us-east-1a",
        ],
    ),
    ("a name twice is one", asked(regions=("us-east-1",) * 2, instances=("g5.2xlarge",) * 2), ["g5.2xlarge on-demand in us-east-1a"]),
]  # fmt: skip


@pytest.mark.parametrize(("aws", "order"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_order(aws: Aws, order: list[str]) -> None:
    assert said(choose(aws, OFFERED, prices(), AMIS)) == order


def test_each_region_has_its_image() -> None:
    found = {one.region: one.ami for one in choose(asked(), OFFERED, prices(), AMIS).candidates}
    assert found == AMIS


def test_each_left_out_one_has_its_own_reason() -> None:
    aws = asked(
        regions=("eu-central-1", "us-east-1", "eu-west-1"),
        spot="only",
        max_price="0.50 USD",
        instances=("g5.2xlarge",),
    )
    amis = {"eu-central-1": "ami-eu", "eu-west-1": "ami-west"}
    why = {
        one.what: one.why
        for one in choose(aws, OFFERED, prices(eu_central_1b="not permitted"), amis).left_out
    }
    assert why == {
        "g5.2xlarge in eu-central-1c": "the zone does not offer it",
        "g5.2xlarge spot in eu-central-1a": "0.6 USD/h is above max_price 0.5 USD/h",
        "g5.2xlarge spot in eu-central-1b": "its price is unknown (not permitted), and there is a max_price",
        "g5.2xlarge in us-east-1": "there is no image nvidia",
        "g5.2xlarge in eu-west-1": "no zone of it can be used",
    }


def test_an_unknown_price_is_tried_last_where_there_is_no_limit() -> None:
    aws = asked(spot="only", regions=("eu-central-1",), instances=("g5.2xlarge",))
    found = choose(aws, OFFERED, prices(eu_central_1b="nobody knows"), AMIS)
    assert said(found) == ["g5.2xlarge spot in eu-central-1a", "g5.2xlarge spot in eu-central-1b"]


def way(zone: str, ami: str = "ami-1") -> Candidate:
    return Candidate(region=zone[:-1], zone=zone, instance="g5.2xlarge", market="spot", ami=ami)


A, B, C = map(way, EU)


@pytest.mark.parametrize(
    ("current", "order"),
    [
        (None, (A, B)),
        (B, (B, A)),
        (C, (C, A, B)),  # no longer offered, and it stands
        (way(EU[0], "ami-old"), (way(EU[0], "ami-old"), B)),
    ],
)
def test_what_stands_comes_first(current: Candidate | None, order: tuple[Candidate, ...]) -> None:
    assert first((A, B), current) == order


@pytest.mark.parametrize(("text", "amount"), [(None, None), ("1.20 USD", 1.2), ("2 USD/h", 2.0)])
def test_a_limit(text: str | None, amount: float | None) -> None:
    assert limit(text) == amount


@pytest.mark.parametrize("text", ["1.20 EUR", "0.30 USD/kWh"])
def test_a_limit_in_what_aws_does_not_count_in(text: str) -> None:
    with pytest.raises(StackFileError, match="US dollars an hour"):
        limit(text)
