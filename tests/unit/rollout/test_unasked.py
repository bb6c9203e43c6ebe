"""What verbs do while AWS cannot be asked: at home all of it, and no change of what is rented."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.cli import main, options, ssh
from hostler.console.out import Out
from hostler.errors import Exit, HostError, ProvisionError, UsageError
from hostler.record import store
from hostler.record.types import Journal
from hostler.rollout import address, doctor, down, keyring, logs, roll, up
from hostler.stackfile.sections import StackFile
from worlds import configure_world as world
from worlds.rented_world import EXPIRED, HYBRID, Sky, at_home


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Sky:
    return Sky(monkeypatch)


@pytest.fixture
def expired(there: Sky) -> Sky:
    """After a good look at a machine that answered."""
    there.look()
    there.expire()
    return there


CHANGES: dict[str, Callable[[StackFile], object]] = {
    "up": lambda file: up.look(file, up.Options()),
    "down": lambda file: down.down(file, Out(stderr=StringIO()), down.Options()),
    "roll": lambda file: roll.roll(file, "chat", Out(), allow_downtime=False, cut=False),
}


@pytest.mark.parametrize("verb", CHANGES)
def test_what_is_not_known_is_not_changed(expired: Sky, verb: str) -> None:
    with pytest.raises(ProvisionError, match="ExpiredToken"):
        CHANGES[verb](world.stack(HYBRID))


def test_clients_of_a_gateway_at_home_are_told_how_to_connect(expired: Sky) -> None:
    found = address.connection(world.stack(HYBRID), None, expired.said.append)
    assert found.address == "http://10.0.0.1:8000"
    assert found.cloud
    assert (found.cloud["known"], found.cloud["next"]) == (False, "aws sso login")


def test_a_key_is_revoked_at_home_and_where_not_is_said(
    expired: Sky, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    @contextmanager
    def session(*_: Any, **__: Any) -> Generator[Any]:
        def call(name: str, op: str, **_: Any) -> None:
            done.append(f"{op} on {name}")

        yield SimpleNamespace(
            gateway=world.hosts()[0],
            call=call,
            commit=lambda record: done.append(f"{len(record.keys)} keys"),  # pyright: ignore[reportUnknownLambdaType]
        )

    monkeypatch.setattr(keyring, "session", session)
    told = StringIO()
    keyring.revoke(world.stack(HYBRID), "default", Out(stderr=told))
    assert done == ["0 keys", "key-sync on gpu-1"]
    assert "default is no longer valid" in told.getvalue()
    assert "not done on burst-0 (no answer)" in told.getvalue()


def ran(monkeypatch: pytest.MonkeyPatch, *words: str, code: Exit = Exit.DONE, text: str = HYBRID) -> None:
    monkeypatch.setattr(options, "load", lambda _file: world.stack(text))
    assert main.run([*words]) == code


def test_status_shows_it_as_unknown(
    expired: Sky, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran(monkeypatch, "status", "--json", code=Exit.HOST)
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert report["cloud"]["error"] == str(EXPIRED)
    assert [(row["slot"], row["state"]) for row in report["slots"]] == [
        ("burst-0", "wanted, unknown"),
        ("burst-1", "parked, unknown"),
    ]
    assert report["slots"][0]["instance"] == "i-1"
    assert said.err.count("warning: AWS could not be asked") == 1
    ran(monkeypatch, "status", code=Exit.HOST)
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("burst-0"))
    assert line.split()[:3] == ["burst-0", "burst", "unknown"]
    expired.answers("burst-0")
    ran(monkeypatch, "status")


def test_a_pool_of_which_nobody_knows_has_a_row(
    there: Sky, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there.expire()
    there.answers("gpu-1")
    ran(monkeypatch, "status", "--json")
    (row,) = json.loads(capsys.readouterr().out)["slots"]
    assert (row["slot"], row["pool"], row["state"]) == (None, "burst", "unknown")


@pytest.mark.parametrize("seen_before", [True, False])
def test_releases_and_what_is_under_way_are_the_records(
    there: Sky, seen_before: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if seen_before:
        there.look()
    there.expire()
    journal = Journal(run="r", stage="apply", release=1)
    there.answers("gpu-1", uid=world.UID, record=store.dump(at_home(journal=journal)))
    ran(monkeypatch, "releases", "--json")
    assert [row["release"] for row in json.loads(capsys.readouterr().out)] == [1]
    ran(monkeypatch, "rollout", "status", "--json")
    rows = json.loads(capsys.readouterr().out)["replicas"]
    assert [(row["replica"], row["runs"]) for row in rows] == [("chat-0", "nothing"), ("chat-1", "unknown")]


def test_logs_of_a_silent_host_are_not_those_of_a_wrong_name(expired: Sky) -> None:
    expired.answers("gpu-1", uid=world.UID, record=store.dump(at_home()), ours={"containers": ("chat-0",)})
    said = StringIO()
    with pytest.raises(HostError, match="burst-0"):
        logs.logs(world.stack(HYBRID), "chat-1", Out(stderr=said), lines=1, follow=False)
    assert said.getvalue().count("AWS could not be asked") == 1
    with pytest.raises(UsageError):
        logs.logs(world.stack(HYBRID), "chta", Out(stderr=said), lines=1, follow=False)


def test_one_logs_in_where_it_was(
    expired: Sky, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Sequence[str]] = []
    monkeypatch.setattr(ssh.os, "execvp", lambda _file, argv: asked.append(argv))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    ran(monkeypatch, "ssh", "burst-0")
    assert asked[0][-1] == "203.0.113.9"
    assert "StrictHostKeyChecking=yes" in asked[0]
    ran(monkeypatch, "ssh", "burst-1", code=Exit.PROVISION)
    assert "ExpiredToken" in capsys.readouterr().err


def test_doctor_says_it_once_and_ends_nothing(
    expired: Sky, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "office.yaml"
    path.write_text(HYBRID)
    monkeypatch.setattr(doctor.strays, "of", lambda _: pytest.fail("AWS was asked for strays"))
    found = doctor.examine(str(path), remove_strays=True)
    (aws,) = [one for one in found if one.where == EXPIRED.where]
    assert (aws.bad, aws.next_step) == (True, "aws sso login")
    assert any(one.where == "gpu-1" and "cards" in one.what for one in found)
    assert any(one.where == "burst-0" and one.bad for one in found)
