"""Power limits: what is wanted of each card, what it takes, what differs, what is put back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hostler.configure import power, variables
from hostler.configure.difference import difference
from hostler.hosts.types import Card, Seen
from hostler.manifest.contents import Text
from hostler.manifest.items import Manifest
from worlds import configure_world as world

LIMITED = world.stack(world.STACK.replace("user: ops}]}", "user: ops}], power: 280 W}"))
HOST = world.hosts()[0]
CARDS = (
    Card(index=0, uuid="GPU-1", name="RTX 3090", memory_mib=24576, power_limit_w=280.0, power_min_w=100.0, power_max_w=366.0),
    Card(index=1, uuid="GPU-7", name="A10G", memory_mib=23028, power_limit_w=280.0, power_min_w=100.0, power_max_w=300.0),
)  # fmt: skip


def with_cards(*cards: Card, on: Seen | None = None) -> Seen:
    return replace(on or world.bare(1), facts=world.facts(1, cards=cards))


def manifest(file: Any = LIMITED, *cards: Card) -> Manifest:
    seen = world.seen_hosts()
    return world.manifests(file=file, seen={**seen, "gpu-1": with_cards(*cards or CARDS, on=seen["gpu-1"])})[
        "gpu-1"
    ]


def texts(found: Manifest) -> dict[str, str]:
    return {f.path: f.content.text for f in found.files if isinstance(f.content, Text)}


def changes(cards: tuple[Card, ...]) -> dict[str, tuple[str, str]]:
    found = manifest()
    seen = with_cards(*cards, on=world.as_wanted(found))
    return {c.item: (c.now, c.then) for c in difference(found, seen)}


def test_each_card_of_the_pool_has_it() -> None:
    found = manifest()
    assert json.loads(texts(found)[power.WISH]) == {"GPU-1": 280, "GPU-7": 280}
    assert "hostler-node power" in texts(found)[power.FILE]
    assert power.UNIT in [unit.name for unit in found.units]
    assert variables.host_variables(found)["base_power"] is True


def test_without_a_limit_nothing_of_it_is_there() -> None:
    found = manifest(world.stack())
    assert not {power.WISH, power.FILE} & texts(found).keys()
    assert variables.host_variables(found)["base_power"] is False


def test_what_the_driver_says_is_compared() -> None:
    assert changes(CARDS) == {}
    reset = replace(CARDS[0], power_limit_w=350.0)
    assert changes((reset, CARDS[1])) == {"power:GPU-1": ("350 W", "280 W")}


def test_a_limit_that_nobody_wants_any_more_is_put_back() -> None:
    was, now = manifest(), manifest(world.stack())
    seen = with_cards(*CARDS, on=world.as_wanted(was))
    ours = {**seen.ours, "files": (*seen.ours.get("files", ()), power.WISH, power.FILE)}
    found = difference(now, replace(seen, ours=ours))
    assert {c.item: c.action for c in found} == {
        f"path:{power.WISH}": "remove",
        f"path:{power.FILE}": "remove",
    }
    made = variables.host_variables(now, found)
    assert made["base_power"] is True
    assert {entry["path"] for entry in made["base_remove"]} == {power.WISH, power.FILE}


@pytest.mark.parametrize(
    ("watts", "text"),
    [
        (310, "gpu-1: card 1 (A10G) takes 100 W to 300 W, not 310 W"),
        (90, "gpu-1: card 0 (RTX 3090) takes 100 W to 366 W, not 90 W"),
    ],
)
def test_outside_of_the_range_is_refused_with_both_numbers(watts: int, text: str) -> None:
    file = world.stack(world.STACK.replace("user: ops}]}", f"user: ops}}], power: {watts} W}}"))
    found = list(power.notices(file, HOST, with_cards(*CARDS)))
    assert ("refuse", text) in [(n.level, n.text) for n in found]
    assert found[0].where.startswith("office.yaml:4")


def test_within_it_nothing_is_said() -> None:
    assert list(power.notices(LIMITED, HOST, with_cards(*CARDS))) == []


def test_a_card_without_a_limit_is_left_alone() -> None:
    mute = replace(CARDS[0], power_limit_w=None)
    assert json.loads(texts(manifest(LIMITED, mute, CARDS[1]))[power.WISH]) == {"GPU-7": 280}
    (said,) = power.notices(LIMITED, HOST, with_cards(mute, CARDS[1]))
    assert (said.level, "no power limit" in said.text) == ("warning", True)
