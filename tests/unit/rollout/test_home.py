"""Without a record: never up, lost, or not known because the gateway's host is off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hostler.cloud.slots import Slots
from hostler.console.out import Out
from hostler.errors import HostError, HostlerError, RefusedError
from hostler.hosts.types import Seen
from hostler.record import store
from hostler.rollout import doctor, home, keyring, keys, planning, roll, up
from hostler.rollout.observe import Observation
from hostler.rollout.rented import Cloud
from worlds import configure_world as world

UP, OFF = world.bare(1), world.dead(1)
COPY = world.bare(2, uid=world.UID, copy=store.dump(world.record()))
NO_COPY = world.bare(2)
OWN_ERROR = "gpu-1: expected an answer; got no route to host"


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def found(first: Seen, second: Seen, **changes: Any) -> Observation:
    hosts = world.hosts()
    seen: Mapping[str, Seen] = {"gpu-1": first, "gpu-2": second}
    observation = Observation(
        file=world.stack(), hosts=hosts, gone=(), seen=seen, record=None, gateway=hosts[0]
    )
    return replace(observation, **changes)


def observed(monkeypatch: pytest.MonkeyPatch, observation: Observation) -> None:
    for module in (keyring, roll, up):
        monkeypatch.setattr(module, "observe", lambda *_args, **_kwargs: observation)


def test_a_key_that_clients_use_is_not_replaced() -> None:
    keys.keep("office", keys.FIRST, "sk-in-use")
    with pytest.raises(HostError) as error:
        planning.make(found(OFF, NO_COPY))
    assert str(error.value) == OWN_ERROR
    assert "--restore" in error.value.problems[0].detail
    assert keys.mine("office") == {keys.FIRST: "sk-in-use"}


def test_all_hosts_that_are_off_are_named() -> None:
    with pytest.raises(HostError) as error:
        planning.make(found(OFF, world.dead(2)))
    assert [problem.where for problem in error.value.problems] == ["gpu-1", "gpu-2"]
    to_rent = replace(world.dead(2), error_kind="absent")
    with pytest.raises(HostError) as error:
        planning.make(found(OFF, to_rent))
    assert [problem.where for problem in error.value.problems] == ["gpu-1"]


def test_a_stack_that_begins_anew_goes_on_with_the_key_that_is_here() -> None:
    keys.keep("office", keys.FIRST, "sk-in-use")
    first = home.record_or_first(found(UP, NO_COPY))
    assert [key.sha256 for key in first.keys] == [keys.hashed("sk-in-use")]
    assert keys.mine("office") == {keys.FIRST: "sk-in-use"}


def test_the_first_record_stays_the_same() -> None:
    first = home.record_or_first(found(UP, NO_COPY))
    assert home.record_or_first(found(UP, NO_COPY)) == first
    assert [keys.hashed(key) for key in keys.mine("office").values()] == [first.keys[0].sha256]


def in_the_cloud(fill: tuple[str, ...] = (), unmet: tuple[str, ...] = (), state: str = "running") -> Cloud:
    """Slots without a machine, those whose machine was never met, and what gpu-1's does."""
    machine = SimpleNamespace(
        id="i-1", stopped=state == "stopped", candidate=SimpleNamespace(region="eu-central-1")
    )
    rented = {} if "gpu-1" in fill else {"gpu-1": machine}
    return cast(
        "Cloud", SimpleNamespace(uid="", why=(), unmet=unmet, rented=rented, slots=Slots(slots={}, fill=fill))
    )


@pytest.mark.parametrize(
    ("cloud", "known"),
    [
        (in_the_cloud(fill=("gpu-1",)), True),
        (in_the_cloud(unmet=("gpu-1",)), True),
        (in_the_cloud(), False),
        (in_the_cloud(fill=("gpu-2",)), False),
        (None, False),
    ],
    ids=["to be rented", "not met", "met", "another to be rented", "owned"],
)
def test_a_rented_gateway_that_no_up_has_set_up_has_no_record(cloud: Cloud | None, known: bool) -> None:
    observation = found(OFF, NO_COPY, cloud=cloud)
    if known:
        assert home.record_or_first(observation).keys
    else:
        with pytest.raises(HostError):
            home.record_or_first(observation)


@pytest.mark.parametrize(("state", "advice"), [("stopped", "--instance-ids i-1"), ("running", "")])
def test_a_rented_gateway_that_somebody_stopped_is_started_first(state: str, advice: str) -> None:
    with pytest.raises(HostError) as error:
        home.record_or_first(found(OFF, NO_COPY, cloud=in_the_cloud(state=state)))
    assert error.value.problems[0].next_step.endswith(advice)
    assert bool(advice) is bool(error.value.problems[0].next_step)


@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize("second", [COPY, NO_COPY])
def test_a_gateway_that_is_off_is_not_a_lost_record(
    second: Seen, restore: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed(monkeypatch, found(OFF, second))
    with pytest.raises(HostError, match="no route to host"):
        up.look(world.stack(), up.Options(restore=restore))


def test_an_older_record_elsewhere_is_no_answer_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway moved to the host that is off: its former host still has what was."""
    newer = replace(COPY, copy=store.dump(world.record(epoch=2)))
    observed(monkeypatch, found(OFF, newer, record=world.record(gateway_host="gpu-2")))
    with pytest.raises(HostError, match="no route to host"):
        keyring.listed(world.stack(), Out())


def test_a_gateway_that_lost_its_record_is(monkeypatch: pytest.MonkeyPatch) -> None:
    observed(monkeypatch, found(UP, COPY))
    with pytest.raises(RefusedError, match="a copy on gpu-2") as error:
        up.look(world.stack(), up.Options())
    assert "--restore" in error.value.problems[0].next_step
    restored = up.look(world.stack(), up.Options(restore=True)).record
    assert restored
    assert restored.epoch == 2


def _roll() -> None:
    roll.roll(world.stack(), "chat", Out(), allow_downtime=False, cut=False)


VERBS: dict[str, Callable[[], object]] = {
    "key list": lambda: keyring.listed(world.stack(), Out()),
    "key add": lambda: keyring.add(world.stack(), "alice", Out()),
    "key revoke": lambda: keyring.revoke(world.stack(), "default", Out()),
    "roll": _roll,
}
CASES: list[tuple[Seen, Seen, type[HostlerError], str]] = [
    (OFF, NO_COPY, HostError, ""),
    (OFF, COPY, HostError, ""),
    (UP, NO_COPY, RefusedError, "run `hostler up` first"),
    (UP, COPY, RefusedError, "--restore"),
]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("first", "second", "kind", "advice"), CASES)
def test_verbs_of_a_stack_that_is_up(
    verb: str,
    first: Seen,
    second: Seen,
    kind: type[HostlerError],
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    observed(monkeypatch, found(first, second))
    with pytest.raises(kind) as error:
        VERBS[verb]()
    problem = error.value.problems[0]
    assert advice in problem.next_step
    assert (str(problem) == OWN_ERROR) is (kind is HostError)
    assert keys.mine("office") == {}


@pytest.mark.parametrize(
    ("first", "second", "bad", "said"),
    [
        (OFF, NO_COPY, True, "not known"),
        (OFF, COPY, True, "not known"),
        (UP, NO_COPY, False, "not up yet"),
        (UP, COPY, True, "a copy on gpu-2"),
    ],
)
def test_doctor_tells_them_apart(first: Seen, second: Seen, bad: bool, said: str) -> None:
    (finding,) = doctor._stack(found(first, second))
    assert finding.bad is bad
    assert said in finding.what
    assert ("--restore" in finding.next_step) is ("a copy" in said)
