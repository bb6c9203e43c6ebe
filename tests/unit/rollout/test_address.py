"""What a client is told: a key that is valid, a certificate that is there, or why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from hostler.console.out import Out
from hostler.errors import HostError, HostlerError, RefusedError
from hostler.hosts.types import Absent, Observed, Seen, Unknown, Value
from hostler.record.types import Key, Record
from hostler.rollout import address, keyring, keys
from hostler.rollout.observe import Observation
from worlds import configure_world as world

PRIVATE = world.STACK + "gateway: {tls: private-ca}\n"


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This machine knows a key that was revoked elsewhere, one of a name that was made anew, and a good one."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in ("revoked", "again", "good"):
        keys.keep("office", name, f"sk-{name}")


def record() -> Record:
    made = (Key(name="again", sha256=keys.hashed("sk-newer"), made=world.AT),)
    return world.record(keys=(*made, Key(name="good", sha256=keys.hashed("sk-good"), made=world.AT)))


def found(
    monkeypatch: pytest.MonkeyPatch, record: Record | None, gateway: Seen, text: str = world.STACK
) -> Observation:
    hosts = world.hosts()
    observation = Observation(
        file=world.stack(text),
        hosts=hosts,
        gone=(),
        seen={"gpu-1": gateway, "gpu-2": world.bare(2)},
        record=record,
        gateway=hosts[0],
    )
    for module in (address, keyring):
        monkeypatch.setattr(module, "observe", lambda *_args, **_kwargs: observation)
    return observation


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        (None, "sk-good"),
        ("good", "sk-good"),
        ("revoked", address.UNKNOWN_KEY),
        ("again", address.UNKNOWN_KEY),
    ],
)
def test_only_keys_that_are_valid(asked: str | None, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    observation = found(monkeypatch, record(), world.bare(1))
    assert address.connection(observation.file, asked).key == key


def test_known_here_is_the_key_and_not_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    observation = found(monkeypatch, record(), world.bare(1))
    here = {row["name"]: row["here"] for row in keyring.listed(observation.file, Out())}
    assert here == {"again": "no", "good": "yes"}


@pytest.mark.parametrize(
    ("recorded", "gateway", "kind", "got", "advice"),
    [
        (None, world.bare(1), RefusedError, "no record on gpu-1", "run `hostler up` first"),
        (None, world.dead(1), HostError, "no route to host", ""),
        (record(), world.dead(1), HostError, "no route to host", ""),
    ],
    ids=["not up", "off", "off, its record elsewhere"],
)
def test_a_stack_without_a_gateway(
    recorded: Record | None,
    gateway: Seen,
    kind: type[HostlerError],
    got: str,
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    observation = found(monkeypatch, recorded, gateway)
    with pytest.raises(kind) as error:
        address.connection(observation.file, None)
    (problem,) = error.value.problems
    assert problem.got == got
    assert problem.next_step == advice
    assert ("http://10.0.0.1:8000/v1" in problem.detail) is (kind is HostError)
    assert "sk-" not in problem.detail


@pytest.mark.parametrize(
    ("seen", "got"),
    [
        ({}, "none there"),
        ({"made:ca": Absent(world.AT)}, "none there"),
        ({"made:ca": Unknown("no room", world.AT)}, "no look at it: no room"),
    ],
)
def test_an_authority_whose_certificate_is_not_there(
    seen: Mapping[str, Observed], got: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    observation = found(monkeypatch, record(), replace(world.bare(1), observed=seen), PRIVATE)
    with pytest.raises(RefusedError) as error:
        address.connection(observation.file, None)
    assert error.value.problems[0].got == got


def test_the_certificate_of_the_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Value({"sha256": world.digest("ca"), "pem": "ca"}, world.AT)
    gateway = replace(world.bare(1), observed={"made:ca": made})
    observation = found(monkeypatch, record(), gateway, PRIVATE)
    assert address.connection(observation.file, None).ca == "ca"
    observation = found(monkeypatch, record(), gateway)
    assert address.connection(observation.file, None).ca == ""
