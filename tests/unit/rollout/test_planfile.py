"""A saved plan with machines to rent: good for what it says, and for no dearer one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hostler.cloud.slots import Slots
from hostler.cloud.types import Candidate, Price
from hostler.configure.types import Plan
from hostler.errors import RefusedError
from hostler.hosts.types import Slot
from hostler.models.types import Placement, Release
from hostler.rollout import planfile

FIRST = Candidate(region="eu-central-1", zone="eu-central-1a", instance="g5.xlarge", market="spot")
NEXT = Candidate(region="eu-central-1", zone="eu-central-1b", instance="g5.xlarge", market="spot")
PLAN = Plan(
    stack="office", file="f", observed="o", release=Release(number=1, models={}, parts={}), placement=Placement(replicas=()), changes=()
)  # fmt: skip


def draft(hourly: float | None) -> Any:
    """A plan in which one slot is filled, for so much."""
    price = Price(amount=hourly, source="a list")
    found = {(FIRST.zone, FIRST.instance, FIRST.market): price}
    offer = SimpleNamespace(choice=SimpleNamespace(candidates=(FIRST, NEXT)), prices=found)
    slots = Slots(slots={"burst-0": Slot(name="burst-0", pool="burst")}, fill=("burst-0",))
    observation = SimpleNamespace(cloud=SimpleNamespace(slots=slots), offers={"burst": offer})
    return SimpleNamespace(plan=PLAN, observation=observation)


def saved(hourly: float | None, tmp_path: Any) -> Plan:
    planfile.save(draft(hourly), tmp_path / "plan")
    return planfile.load(tmp_path / "plan")


@pytest.mark.parametrize(("then", "now"), [(0.5, 0.5), (0.5, 0.505), (0.5, 0.3), (None, 0.5), (None, None)])
def test_as_dear_or_cheaper_is_applied(tmp_path: Any, then: float | None, now: float | None) -> None:
    planfile.refuse_moved(saved(then, tmp_path), planfile.priced(draft(now)))


@pytest.mark.parametrize(("now", "said"), [(0.62, "0.62 USD/h"), (None, "unknown")])
def test_a_dearer_machine_is_refused(tmp_path: Any, now: float | None, said: str) -> None:
    with pytest.raises(RefusedError) as raised:
        planfile.refuse_moved(saved(0.5, tmp_path), planfile.priced(draft(now)))
    got = raised.value.problems[0].got
    assert got == f"burst-0: g5.xlarge spot in eu-central-1a costs {said}, not 0.50 USD/h"


def test_what_is_not_as_predicted_nobody_said_yes_to(tmp_path: Any) -> None:
    with pytest.raises(RefusedError, match="as the plan says"):
        planfile.refuse_unlike(saved(0.5, tmp_path), yes=True)
    planfile.refuse_unlike(saved(0.5, tmp_path), yes=False)  # it is asked
    planfile.refuse_unlike(None, yes=True)
