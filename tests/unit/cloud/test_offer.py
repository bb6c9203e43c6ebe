"""What AWS offers for a pool: the disk holds the image."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.cloud import amis, offer, offers, prices
from hostler.cloud.amis import Image
from hostler.errors import ProvisionError
from hostler.stackfile.sections import Aws

ZONES = {"eu-central-1a": frozenset({"g5.xlarge"}), "eu-central-1b": frozenset({"g5.xlarge"})}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image of 75 GiB, and nothing of AWS."""
    image = Image(ami="ami-1", name="nvidia", user="ubuntu", disk_gib=75)
    answers: list[tuple[Any, str, Any]] = [
        (amis, "resolve", {"eu-central-1": image}),
        (offers, "offered", ZONES),
        (offers, "zone_of", "eu-central-1b"),
        (prices, "ask", {}),
    ]
    for module, name, answer in answers:
        monkeypatch.setattr(module, name, lambda *_, answer=answer: answer)


def asked(gib: int, **more: Any) -> Aws:
    return Aws(regions=("eu-central-1",), instances=("g5.xlarge",), disk=gib * 2**30, **more)


@pytest.mark.usefixtures("cloud")
def test_a_disk_that_holds_the_image() -> None:
    assert [one.zone for one in offer.ask(asked(75)).choice.candidates] == sorted(ZONES)
    with pytest.raises(ProvisionError, match="expected a disk of 75 GiB or more; got disk: 74 GiB"):
        offer.ask(asked(74))


@pytest.mark.usefixtures("cloud")
def test_a_subnet_is_of_one_zone() -> None:
    found = offer.ask(asked(100, subnet="subnet-1")).choice
    assert [one.zone for one in found.candidates] == ["eu-central-1b"]
