"""A machine that is too old gets a successor: what is begun, what goes forward, and what goes back."""

from __future__ import annotations

import time
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.configure.types import Change
from hostler.console.out import Out
from hostler.controller import succeeding
from hostler.errors import ConfigureError, HostlerError, ProvisionError, RefusedError
from hostler.hosts import ways
from hostler.hosts.types import Slot
from hostler.manifest.items import Effect, Part
from hostler.node.idle import hours
from hostler.record.types import Before, Journal, Record
from hostler.rollout import observe, up
from worlds import configure_world as world

BURST = "  burst: {aws: {regions: [eu-central-1], instances: [g5.xlarge]}, count: 0-2%s}\n"
AGED = ", idle: {after: 30m, max_age: 12h%s}"
FORWARD, BACK = up.Turn(), up.Turn(keep=("burst-0",), drop=("burst-1",))
FAILED = ProvisionError.of("burst-1", expected="an engine that is ready", got="none after 600 s")


def file(idle: str = AGED % "") -> Any:
    text = world.STACK.replace("models:", BURST % idle + "models:")
    return world.stack(text.replace("replicas: 2", "replicas: 2, pool: [rack, burst]"))


def slot(number: int, state: Any = "wanted") -> Slot:
    return Slot(name=f"burst-{number}", pool="burst", state=state)


def replicas(*hosts: str) -> Any:
    return world.placement(*hosts).replicas


def record(first: Slot | None = None, *more: Slot, **changes: Any) -> Record:
    slots = {one.name: one for one in (first or slot(0), *more)}
    return world.record(**{"slots": slots, "replicas": replicas("burst-0", "gpu-1"), **changes})


BEGUN = record(
    slot(0, "retiring"),
    slot(1),
    replicas=replicas("burst-1", "gpu-1"),
    journal=Journal(
        run="r", stage="apply", release=1, who=f"{ways.ACCOUNT}@door", since=1.0, file="f",
        before=Before(replicas=replicas("burst-0", "gpu-1")),
    ),
)  # fmt: skip


def looked(
    found: Record | None, age_h: float | None = 13.0, *, answers: bool = True, there: bool = True
) -> Any:
    since = None if age_h is None else time.time() - age_h * 3600
    rented = {"burst-0": SimpleNamespace(since=since)} if there else {}
    return SimpleNamespace(
        record=found, cloud=SimpleNamespace(rented=rented), seen={"burst-0": SimpleNamespace(reached=answers)}
    )


class Ran:
    """What `up` was asked for; each fails as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *looks: Any, errors: tuple[Any, ...] = ()) -> None:
        self.turns: list[up.Turn] = []
        self.out = Out(stderr=StringIO())
        self._looks, self._errors = list(looks), list(errors)
        monkeypatch.setattr(up, "up", self._up)
        monkeypatch.setattr(observe, "observe", lambda *_, **__: self._looks.pop(0))

    def _up(self, _: Any, __: Any, options: up.Options) -> None:
        assert options.yes
        self.turns.append(options.turn)
        error = self._errors.pop(0) if self._errors else None
        if error:
            raise error


@pytest.mark.parametrize(
    ("idle", "seen", "turn"),
    [
        (AGED % "", looked(record()), up.Turn(renew=("burst-0",))),
        (AGED % "", looked(record(), 11.0), None),
        (AGED % "", looked(record(), None), None),
        (AGED % "", looked(record(), answers=False), None),  # whether it works is not known
        (AGED % "", looked(record(), there=False), None),  # it went meanwhile
        (AGED % "", looked(record(slot(0, "parked"))), None),
        (AGED % "", looked(record(slot(1))), None),
        (AGED % "", looked(None), None),
        (AGED % ", shadow: true", looked(record()), None),
        (AGED % ', hours: "08-18"', looked(record()), None),
        ("", looked(record()), None),
        ("", looked(record(slot(0, "retiring")), 1.0, answers=False), FORWARD),  # it was begun
    ],
)
def test_what_is_begun(monkeypatch: pytest.MonkeyPatch, idle: str, seen: Any, turn: up.Turn | None) -> None:
    monkeypatch.setattr(hours, "within", lambda text, _: bool(text))
    ran = Ran(monkeypatch, seen)
    said = succeeding.succeed(file(idle), ran.out, "burst-0")
    assert ran.turns == ([turn] if turn else [])
    assert bool(said) is (turn is not None)


@pytest.mark.parametrize(
    ("error", "after", "turns"),
    [
        (FAILED, BEGUN, [BACK]),
        (FAILED, record(), []),  # it failed before anything was begun
        (FAILED, replace(BEGUN, journal=None), []),
        (RefusedError.of("chat-0", expected="no requests", got="one since 900 s"), BEGUN, []),
    ],
)
def test_one_whose_successor_does_not_serve_stays(
    monkeypatch: pytest.MonkeyPatch, error: HostlerError, after: Record, turns: list[up.Turn]
) -> None:
    ran = Ran(monkeypatch, looked(record()), looked(after), errors=(error,))
    with pytest.raises(type(error)):
        succeeding.succeed(file(), ran.out, "burst-0")
    assert ran.turns[1:] == turns


def test_where_that_fails_too_both_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    more = ProvisionError.of("burst-0", expected="an answer", got="none")
    ran = Ran(monkeypatch, looked(record()), looked(BEGUN), errors=(FAILED, more))
    with pytest.raises(ConfigureError) as caught:
        succeeding.succeed(file(), ran.out, "burst-0")
    assert [one.where for one in caught.value.problems] == ["burst-1", "burst-0"]


def test_what_people_began_meanwhile_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert BEGUN.journal
    theirs = replace(BEGUN, journal=replace(BEGUN.journal, who="anna@desk"))
    ran = Ran(monkeypatch, looked(record()), looked(theirs), errors=(FAILED,))
    with pytest.raises(ProvisionError):
        succeeding.succeed(file(), ran.out, "burst-0")
    assert len(ran.turns) == 1


def change(host: str) -> Change:
    return Change(
        host=host, part=Part.ENGINE, item="x", action="change", now="", then="", why="it differs", replica="chat-0",
        effect=Effect.DRAIN,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "fill", "more", "why"),
    [
        (record(slot(0), slot(2, "parked")), ("burst-1",), (), ""),
        (record(slot(0), slot(2, "parked")), (), (), ""),  # it is there, and the plan is made again
        (BEGUN, (), (), ""),  # by a run that was interrupted
        (record(slot(0), slot(2, "parked")), ("burst-1", "burst-2"), (), "burst-2 would be rented, too"),
        (record(slot(0), slot(1), replicas=replicas("burst-0", "burst-1")), (), (), "burst-1: x"),
        (record(slot(0), slot(2, "parked")), (), ("gpu-1",), "gpu-1: x"),
    ],
)
def test_a_successor_alone_is_rented_for_it(
    before: Record, fill: tuple[str, ...], more: tuple[str, ...], why: str
) -> None:
    slots = {"burst-0": slot(0, "retiring"), "burst-1": slot(1), "burst-2": slot(2, "parked")}
    cloud = SimpleNamespace(slots=SimpleNamespace(slots=slots, fill=fill, retire=("burst-0",)), in_use={})
    changes = tuple(change(host) for host in ("burst-0", "burst-1", *more))
    draft: Any = SimpleNamespace(
        observation=SimpleNamespace(cloud=cloud, record=before), plan=SimpleNamespace(changes=changes)
    )
    if not why:
        succeeding.refuse_more("burst-0", (), draft)
        return
    with pytest.raises(RefusedError, match=why):
        succeeding.refuse_more("burst-0", (), draft)
