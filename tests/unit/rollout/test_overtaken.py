"""What somebody else made live between a plan and its lock is not taken back by it; and a controller that does not reach a
host is said, when everything else is done."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.configure import build
from hostler.configure.types import Change
from hostler.console.out import Out
from hostler.controller import proof
from hostler.errors import ConfigureError, RefusedError
from hostler.hosts import ways
from hostler.hosts.trouble import trouble
from hostler.manifest.items import Part
from hostler.models.types import Release
from hostler.record.types import Record
from hostler.rollout import up, verify
from worlds import configure_world as world

FIRST = world.release()
MINE = world.release_of(2, "mine")
THEIRS = world.release_of(2, "theirs", who="anna@laptop", why="up")
PLANNED = world.record(release=1, releases=(FIRST,))


def refused(mine: Release, now: Record | None) -> str:
    """With what words; empty: it is not."""
    draft: Any = SimpleNamespace(
        observation=SimpleNamespace(record=PLANNED), plan=SimpleNamespace(release=mine)
    )
    again: Any = SimpleNamespace(record=now)
    try:
        up._refuse_overtaken(draft, again)  # pyright: ignore[reportPrivateUsage]
    except RefusedError as error:
        return f"{error}; {error.problems[0].next_step}"
    return ""


@pytest.mark.parametrize(
    ("mine", "now", "is_refused"),
    [
        (MINE, PLANNED, False),
        (MINE, None, False),
        (MINE, replace(PLANNED, releases=(FIRST, MINE)), False),  # interrupted, and gone on with
        (MINE, replace(PLANNED, releases=(FIRST, THEIRS)), True),  # the same number
        (FIRST, replace(PLANNED, release=2, releases=(FIRST, THEIRS)), True),  # another one is live
        (FIRST, replace(PLANNED, number=9), False),  # a key was added
    ],
)
def test_a_release_of_an_older_record(mine: Release, now: Record | None, is_refused: bool) -> None:
    said = refused(mine, now)
    assert bool(said) is is_refused
    assert not said or ("by anna@laptop" in said and "run it again" in said)


def proved(said: dict[str, str], *, changed: bool = True) -> str:
    """What is said of the proof."""
    file, out = world.stack(world.ALONE), StringIO()
    parts = (file, world.hosts(), world.seen_hosts(), world.release(), world.placement(), world.record())
    part = Part.CONTROLLER if changed else Part.ENGINE
    change = Change(host="gpu-1", part=part, item="path:/x", action="add", now="", then="", why="")
    plan = SimpleNamespace(changes=(change,), manifests=build.manifests(*parts))
    draft: Any = SimpleNamespace(
        plan=plan, observation=SimpleNamespace(file=world.stack(), hosts=world.hosts())
    )
    run: Any = SimpleNamespace(
        gateway=world.hosts()[0],
        transports=dict.fromkeys(("gpu-1", "gpu-2")),
        out=Out(stderr=out),
        call=lambda *_: {"hosts": said},
    )
    verify.controller(draft, run)
    return out.getvalue()


def test_a_controller_that_reaches_all() -> None:
    assert "reaches gpu-1, gpu-2" in proved({"gpu-1": "", "gpu-2": ""})


@pytest.mark.parametrize("said", [{"gpu-1": "", "gpu-2": "connection refused"}, {"gpu-1": ""}])
def test_a_host_that_it_does_not_reach(said: dict[str, str]) -> None:
    with pytest.raises(ConfigureError, match="expected gpu-2 to let it in by SSH"):
        proved(said)


def test_it_is_not_asked_where_nothing_of_it_changed() -> None:
    assert proved({}, changed=False) == ""


class Door:
    """Answers as sudo does, or not at all."""

    def __init__(self, rc: int, stdout: bytes, stderr: bytes = b"") -> None:
        self.answer = SimpleNamespace(rc=rc, stdout=stdout, stderr=stderr)

    def run(self, *_: Any, **__: Any) -> Any:
        if self.answer.rc < 0:
            raise trouble("auth", "gpu-2", expected="a login with a key", got="none of the keys")
        return self.answer

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("door", "said"),
    [
        (Door(0, b"0\n"), ""),
        (Door(0, b"998\n"), "sudo does not make it root"),
        (Door(1, b"", b"sudo: a password is required"), "a password is required"),
        (Door(-1, b""), "none of the keys"),
    ],
)
def test_its_own_word_on_a_host(door: Door, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "names", lambda: ("gpu-2",))
    monkeypatch.setattr(proof, "transport_for", lambda _: door)
    found = proof.prove()["gpu-2"]
    assert found == said if not said else said in found
