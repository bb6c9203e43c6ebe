"""A saved plan: good for the machines to rent that it says and for no dearer one, and for the secrets of its day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.cloud.slots import Slots
from hostler.cloud.types import Candidate, Price
from hostler.configure.doors import TLS_KEY
from hostler.configure.types import Plan
from hostler.console.out import Out
from hostler.errors import RefusedError
from hostler.hosts.types import Slot
from hostler.manifest.contents import SecretRef
from hostler.manifest.items import File, Part
from hostler.models.types import Placement, Release
from hostler.rollout import planfile, up
from worlds import configure_world as world

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


def with_secrets(passphrase: str, key: str = "own key") -> Any:
    """A plan with a secret of the controller's and a gateway's own key, as the operator has them now."""
    made = world.manifests()["gpu-1"]
    refs = {"STATE_PASSPHRASE": passphrase, TLS_KEY: key}
    files = tuple(
        File(
            path=f"/etc/hostler/{name}",
            part=Part.CONTROLLER,
            content=SecretRef(name=name, sha256=world.digest(value) if value else ""),
        )
        for name, value in refs.items()
    )
    plan = replace(PLAN, manifests={"gpu-1": replace(made, files=(*made.files, *files))})
    return SimpleNamespace(plan=plan, observation=SimpleNamespace(cloud=None, offers=None))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Whose memory is used from now on."""

    def at(name: str) -> Path:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name))
        return tmp_path / name

    at("own")
    return at


def test_a_saved_plan_has_nothing_to_guess_a_secret_by(
    machine: Callable[[str], Path], tmp_path: Path
) -> None:
    planfile.save(with_secrets("hunter2"), tmp_path / "plan")
    text = (tmp_path / "plan").read_text()
    for value in ("hunter2", "own key"):
        assert world.digest(value)[:12] not in text
    (kept,) = (path for path in machine("own").rglob("*") if path.is_file())
    assert kept.stat().st_mode & 0o777 == 0o600


MOVED = {
    "another passphrase": (with_secrets("hunter3"), "a secret's value changed since"),
    "another key": (with_secrets("hunter2", "other"), "a secret's value changed since"),
    "one that has no value any more": (with_secrets(""), "a secret's value changed since"),
    "the same": (with_secrets("hunter2"), ""),
}


@pytest.mark.parametrize("case", MOVED)
@pytest.mark.parametrize("is_saved", [True, False])
def test_a_secrets_other_value_is_noticed(
    machine: Callable[[str], Path], tmp_path: Path, case: str, is_saved: bool
) -> None:
    """By a saved plan, and by one that was just made."""
    now, said = MOVED[case]
    then = with_secrets("hunter2")
    planfile.save(then, tmp_path / "plan")
    got = ""
    try:
        planfile.refuse_moved(planfile.load(tmp_path / "plan") if is_saved else then.plan, now.plan)
    except RefusedError as error:
        got = error.problems[0].got
    assert got == said


@pytest.mark.parametrize("secrets", [True, False])
def test_another_machine_cannot_compare_secrets(
    machine: Callable[[str], Path], tmp_path: Path, secrets: bool
) -> None:
    made = with_secrets("hunter2") if secrets else draft(0.5)
    planfile.save(made, tmp_path / "plan")
    for name in ("fresh", "other"):
        machine(name)
        if name == "other":
            planfile.save(with_secrets("hunter2"), tmp_path / "theirs")
        if not secrets:
            planfile.refuse_moved(planfile.load(tmp_path / "plan"), planfile.priced(made))
            continue
        with pytest.raises(RefusedError, match="another machine"):
            planfile.refuse_moved(planfile.load(tmp_path / "plan"), planfile.priced(made))


def test_a_plan_without_its_seal_is_not_taken_for_one_without_secrets(
    machine: Callable[[str], Path], tmp_path: Path
) -> None:
    planfile.save(with_secrets("hunter2"), tmp_path / "plan")
    bare = replace(planfile.load(tmp_path / "plan"), secrets="")
    with pytest.raises(RefusedError, match="a secret's value"):
        planfile.refuse_moved(bare, with_secrets("hunter2").plan)


def test_a_secret_that_changed_between_plan_and_lock_is_a_new_plan(
    machine: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text of its change is the same; a person who said yes to the plan is asked again."""
    then, now = with_secrets("hunter2"), with_secrets("hunter3")
    monkeypatch.setattr(up, "observe", lambda *_, **__: SimpleNamespace(record=None))
    monkeypatch.setattr(up, "replace", lambda again, **_: again)
    monkeypatch.setattr(up.planning, "make", lambda *_, **__: now)
    then.observation = SimpleNamespace(file=None, preview=None, record=None)
    run: Any = SimpleNamespace(record=None)
    with pytest.raises(RefusedError, match="a secret's value"):
        up._still_true(then, run, Out(), up.Options())  # pyright: ignore[reportPrivateUsage]
