"""Newer images of what is no model: gateway and edges together, and the controller's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from hostler.errors import ProvisionError
from hostler.manifest.items import ImagePin, Part
from hostler.record.types import Record
from hostler.rollout import part_updates
from hostler.rollout.ages import DAY_S
from hostler.rollout.part_updates import PartCandidate
from hostler.stackfile.outside import Updates
from worlds import configure_world as world

NOW = 1000 * DAY_S
NEW = world.pin("docker.io/library/haproxy-new", "3.4")
LIVE = world.release()


class Registry:
    """Knows one image by each tag, and when images were made."""

    def __init__(self, pin: ImagePin | None, built: float = NOW - 10 * DAY_S) -> None:
        self.pin, self.made = pin, built

    def resolve(self, _reference: str, _part: Part) -> ImagePin:
        if self.pin is None:
            raise ProvisionError.of("docker.io", expected="an answer", got="503")
        return self.pin

    def built(self, pin: ImagePin) -> float:
        return self.made if pin == NEW else NOW - 20 * DAY_S


def found(
    registry: Registry, names: Sequence[str] = ("gateway",), record: Record | None = None
) -> list[PartCandidate]:
    known: Any = registry
    return list(part_updates.candidates(LIVE, record or world.record(), known, Updates(), names, NOW))


def test_gateway_and_edges_move_together() -> None:
    (one,) = found(Registry(NEW))
    assert (one.model, one.bar) == ("gateway", "")
    assert {name: (pin.digest, pin.part) for name, pin in one.pins.items()} == {
        "gateway": (NEW.digest, Part.GATEWAY),
        "edge": (NEW.digest, Part.EDGE),
    }


def test_the_same_image_is_none() -> None:
    assert found(Registry(LIVE.parts["gateway"])) == []


@pytest.mark.parametrize(
    ("built", "bar"), [(NOW - 1 * DAY_S, "young"), (NOW - 30 * DAY_S, "older"), (NOW - 10 * DAY_S, "")]
)
def test_by_its_age(built: float, bar: str) -> None:
    (one,) = found(Registry(NEW, built))
    assert one.bar == bar


@pytest.mark.parametrize(
    ("ended", "bar"),
    [
        ("failed: gpu-1 gateway: Start it: no answer", "back"),
        ("failed: chat-0 on gpu-1: no answer", ""),  # not because of it
        ("failed: aborted by anna", ""),
        ("good", ""),
    ],
)
def test_what_went_back_because_of_it_is_not_tried_again(ended: str, bar: str) -> None:
    tried = replace(LIVE, number=2, parts={**LIVE.parts, "gateway": NEW, "edge": NEW}, ended=ended)
    (one,) = found(Registry(NEW), record=world.record(releases=(LIVE, tried)))
    assert one.bar == bar


def test_a_registry_that_does_not_answer_is_a_row() -> None:
    (one,) = found(Registry(None))
    assert (one.bar, one.pins) == ("unknown", {})
    assert "503" in one.why_not


def test_a_part_that_the_stack_has_not_is_no_row() -> None:
    without = replace(LIVE, parts={name: LIVE.parts[name] for name in ("gateway", "edge")})
    known: Any = Registry(NEW)
    rows = part_updates.candidates(without, world.record(), known, Updates(), ("controller",), NOW)
    assert list(rows) == []
