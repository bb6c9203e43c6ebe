"""A turn of the controller: what it takes, what it leaves alone and why, and what it does with what was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import StringIO
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from hostler.configure.types import Change
from hostler.console.out import Out
from hostler.controller import interrupted, stand
from hostler.controller import turn as turns
from hostler.controller.memory import Memory
from hostler.controller.stand import Turn
from hostler.errors import ConfigureError, HostError, HostlerError, LockedError, RefusedError, RolledBackError
from hostler.manifest.items import Part
from hostler.record.types import Journal, Record
from hostler.rollout.update import Candidate
from worlds import configure_world as world

DAY = 86400.0
SUNDAY = datetime(2026, 11, 29, 3, 30, tzinfo=UTC).timestamp()
STACK = world.STACK + "updates: {engines: weekly, window: 'Sun 03:00-05:00 UTC', min_age: 3d, bake: 0s}\n"
LIVE = world.runs()
NEW = replace(LIVE, image=world.pin("ghcr.io/acme/engine-b2", "b2"))


def of(error: type[HostlerError]) -> HostlerError:
    return error.of("gpu-2", expected="one thing", got="another")


def change(item: str, action: Literal["add", "change", "remove"]) -> Change:
    return Change(host="gpu-1", part=Part.ENGINE, item=item, action=action, now="", then="", why="by hand")


@dataclass
class World:
    """What a turn meets with, and what it did."""

    now: float = SUNDAY
    text: str = STACK
    found: Sequence[Candidate] = (Candidate(model="chat", runs=NEW, changed=("image b1 -> b2",)),)
    record: Record = field(default_factory=lambda: world.record(release=1, applied=STACK))
    seen: dict[str, Any] = field(default_factory=world.seen_hosts)
    changes: tuple[Any, ...] = ()
    states: str = "ready"
    cards: Sequence[dict[str, str]] = ()
    fails: HostlerError | None = None
    look_fails: HostlerError | None = None
    done: list[str] = field(default_factory=list[str])
    told: list[str] = field(default_factory=list[str])
    memory: Memory = field(default_factory=Memory)
    saved: list[Memory] = field(default_factory=list[Memory])

    def turn(self, hold: str = "", **later: float) -> Turn:
        self.now += later.get("days", 0.0) * DAY
        it = Turn(
            file=world.stack(self.text),
            out=Out(stderr=StringIO()),
            memory=self.memory,
            now=self.now,
            save=self.saved.append,
        )
        turns.turn(it, lambda: hold)
        self.memory = it.memory
        return it

    def does(self, what: str) -> bool:
        self.done.append(what)
        if self.fails:
            raise self.fails
        return True


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> World:
    met = World()

    def look(*_: Any, **__: Any) -> Any:
        if met.look_fails:
            raise met.look_fails
        return SimpleNamespace(seen=met.seen, hosts=world.hosts())

    def take(_file: Any, _seen: Any, found: Sequence[Candidate], *_: Any) -> None:
        met.does(f"take {found[0].runs.image.tag}")

    monkeypatch.setattr(turns.up, "look", look)
    monkeypatch.setattr(turns.home, "running", lambda _: met.record)
    monkeypatch.setattr(turns.update, "candidates", lambda *_, **__: (None, met.found))
    monkeypatch.setattr(turns.update, "apply", take)
    monkeypatch.setattr(interrupted.rollouts, "abort", lambda *_, **__: met.does("abort"))
    monkeypatch.setattr(interrupted.rollouts, "resume", lambda *_, **__: met.does("resume"))
    monkeypatch.setattr(
        turns.planning, "make", lambda *_, **__: SimpleNamespace(plan=SimpleNamespace(changes=met.changes))
    )
    monkeypatch.setattr(
        turns.status,
        "report",
        lambda *_: {"replicas": [{"id": "chat-1", "state": met.states}], "cards": met.cards},
    )
    monkeypatch.setattr(stand.telling, "tell", lambda _f, _o, event, _t, _d: met.told.append(event))
    return met


def test_a_candidate_is_taken_when_it_is_old_enough_and_the_window_is_open(there: World) -> None:
    first = there.turn()
    assert (first.state, there.done) == ("waiting", [])
    assert "from Sun 2026-12-06 03:00 UTC on" in first.text
    assert there.turn(days=6.9).state == "waiting"  # old enough, but Sunday's window is not open yet
    assert there.done == []
    taken = there.turn(days=0.1)
    assert (taken.state, there.done, taken.memory.last.ended) == ("idle", ["take b2"], "good")
    assert there.told == ["new chat", "updated chat"]


def test_it_is_the_one_that_grew_old_that_is_taken(there: World) -> None:
    there.turn()
    newer = replace(LIVE, image=world.pin("ghcr.io/acme/engine-b3", "b3"))
    there.found = (Candidate(model="chat", runs=newer, changed=("image b1 -> b3",)),)
    there.turn(days=7)
    assert there.done == ["take b2"]


def ready(there: World) -> World:
    """A week later, nothing in the way."""
    there.turn()
    there.now += 7 * DAY
    there.told.clear()
    return there


def test_what_is_only_reported_is_told_once_and_never_taken(there: World) -> None:
    there.text = STACK.replace("weekly", "report").replace("bake: 0s", "notify: [https://a.example/x]")
    there.record = replace(there.record, applied=there.text)
    there.turn()
    there.turn(days=7)
    it = there.turn(days=7)
    assert (there.done, there.told) == ([], ["new chat"])
    assert "reported only" in it.text


def test_one_that_sleeps_does_not(there: World) -> None:
    ready(there)
    there.states = "asleep"
    assert there.turn().state == "idle"
    assert there.done == ["take b2"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"seen": {**world.seen_hosts(), "gpu-2": world.dead(2)}}, "no answer from gpu-2"),
        (
            {"cards": [{"host": "gpu-1", "name": "RTX 3090", "state": "missing"}]},
            "cards are missing: gpu-1: RTX",
        ),
        ({"states": "draining"}, "not everything serves: chat-1 (draining)"),
        (
            {"changes": (change("path:/x", "change"),)},
            "not as they were left",
        ),
        ({"text": STACK + "# another\n"}, "not the one that was applied last"),
        ({"look_fails": of(HostError)}, "expected one thing"),
    ],
)
def test_what_speaks_against_it(there: World, change: dict[str, Any], why: str) -> None:
    ready(there)
    for name, value in change.items():
        setattr(there, name, value)
    it = there.turn()
    assert (it.state, there.done) == ("deferred", [])
    assert why in it.text
    assert there.told == ["deferred"]
    there.turn()
    assert there.told == ["deferred"]  # the same is not said twice


def test_what_a_release_that_went_back_left_behind_is_in_nobodys_way(there: World) -> None:
    ready(there).changes = (change("image:ghcr.io/acme/engine@sha256:00", "remove"),)
    there.turn()
    assert there.done == ["take b2"]


def test_what_went_back_is_not_tried_again(there: World) -> None:
    ready(there)
    bad = replace(world.release(image=NEW.image), number=2, ended="failed: chat-0: no answer")
    there.record = replace(there.record, releases=(*there.record.releases, bad))
    it = there.turn()
    assert (it.state, there.done) == ("deferred", [])
    assert "release 2 tried it and went back" in it.text


def test_somebody_wants_nothing_to_be_done(there: World) -> None:
    assert (ready(there).turn("an exam (anna)").state, there.done) == ("paused", [])
    assert there.turn().memory.last.ended == "good"


@pytest.mark.parametrize(
    ("fails", "state", "ended", "told"),
    [
        (of(RolledBackError), "idle", "went back", ["went back"]),
        (of(RefusedError), "deferred", "", ["deferred"]),
        (of(LockedError), "deferred", "", []),
        (of(ConfigureError), "deferred", "failed", ["failed"]),
    ],
)
def test_what_comes_of_it(there: World, fails: HostlerError, state: str, ended: str, told: list[str]) -> None:
    ready(there).fails = fails
    it = there.turn()
    assert (it.state, it.memory.last.ended, there.told) == (state, ended, told)
    there.fails = None
    there.turn()
    again = {"went back": ["take b2"], "failed": ["take b2", "abort"]}.get(ended, ["take b2", "take b2"])
    assert there.done == again  # what went back, or failed this night, is not tried again


def journal(who: str, run: str = "run-1") -> Journal:
    return Journal(run=run, stage="apply", release=2, who=who, since=SUNDAY)


def test_a_change_of_a_person_is_left_to_people(there: World) -> None:
    ready(there).record = replace(there.record, journal=journal("anna@laptop"))
    assert (there.turn().state, there.done) == ("deferred", [])
    assert there.told == ["deferred"]


def test_its_own_interrupted_change_goes_on_once_then_back(there: World) -> None:
    ready(there).record = replace(there.record, journal=journal("hostler-updates@gpu-1"))
    assert there.turn().memory.last.ended == "good"
    assert there.done == ["resume"]
    there.memory = replace(there.memory, resumed="2")  # another run, the same release: cut short again
    assert there.turn().memory.last.ended == "went back"
    assert there.done == ["resume", "abort"]


def test_outside_the_window_it_goes_back(there: World) -> None:
    ready(there).record = replace(there.record, journal=journal("hostler-updates@gpu-1"))
    there.turn(days=1)
    assert there.done == ["abort"]


def test_what_cannot_be_put_right_halts_everything(there: World) -> None:
    """Nobody goes on over a change that is half done."""
    ready(there).record = replace(there.record, journal=journal("hostler-updates@gpu-1"))
    there.fails = of(ConfigureError)
    assert there.turn().state == "halted"
    there.fails = None
    there.record = replace(there.record, journal=None)
    assert (there.turn().state, there.done) == ("halted", ["resume", "abort"])
    assert there.told == ["halted"]


def test_what_does_not_go_on_goes_back(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A digest that the registry has no more halts nothing."""

    def resume(*_: Any) -> bool:
        there.done.append("resume")
        raise of(ConfigureError)

    monkeypatch.setattr(interrupted.rollouts, "resume", resume)
    ready(there).record = replace(there.record, journal=journal("hostler-updates@gpu-1"))
    it = there.turn()
    assert (it.state, it.memory.last.ended, there.done) == ("idle", "went back", ["resume", "abort"])


@pytest.mark.parametrize("fails", [of(LockedError), of(HostError)])
def test_where_somebody_else_is_at_work_it_was_not_tried(there: World, fails: HostlerError) -> None:
    ready(there).record = replace(there.record, journal=journal("hostler-updates@gpu-1"))
    there.fails = fails
    assert there.turn().state == "deferred"
    there.fails = None
    there.turn()
    assert there.done == ["resume", "resume"]


def test_a_pause_holds_what_was_interrupted_too(there: World) -> None:
    ready(there).record = replace(there.record, journal=journal("hostler-updates@gpu-1"))
    assert (there.turn("an exam").state, there.done) == ("paused", [])


def test_what_is_cut_short_is_known_by_its_model(there: World) -> None:
    """The process ends in the middle of the update."""
    ready(there).fails = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        there.turn()
    assert there.saved[-1].last.model == "chat"


def test_after_one_that_went_back_the_next_good_one_is_taken(there: World) -> None:
    """The record keeps no digest of the stack file after a way back."""
    there.record = replace(there.record, file_digest="")
    ready(there).turn()
    assert there.done == ["take b2"]


def test_a_pull_that_fails_is_tried_once_a_night(there: World) -> None:
    ready(there).fails = of(ConfigureError)
    for _ in range(4):
        there.turn(days=900 / DAY)
    assert there.done.count("take b2") == 1
    assert "it failed" in there.turn().text


def test_what_cannot_be_asked_for_is_said(there: World) -> None:
    there.found = (Candidate(model="chat", runs=LIVE, bar="unknown", why_not="not known: 401"),)
    it = there.turn()
    assert (it.state, it.text, there.told) == ("waiting", "chat: not known: 401", ["unknown chat"])


def test_a_window_that_closes_too_soon_is_left(there: World) -> None:
    ready(there).now += 1.5 * 3600 - 60  # a minute before it closes
    it = there.turn()
    assert (it.state, there.done) == ("waiting", [])
    assert "the next one opens Sun 2026-12-13 03:00 UTC" in it.text


def test_registries_are_not_asked_at_every_turn(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def candidates(*_: Any, **__: Any) -> Any:
        asked.append(there.now)
        return None, ()

    monkeypatch.setattr(turns.update, "candidates", candidates)
    for _ in range(30):
        there.turn(days=900 / DAY)
    assert len(asked) == 2


FIXES = STACK.replace("engines: weekly", "engines: report, packages: weekly")


@pytest.mark.parametrize(
    ("busy", "fails", "state", "told"),
    [
        (True, None, "idle", ["updated packages of the hosts"]),
        (False, None, "idle", []),
        (True, of(ConfigureError), "deferred", ["packages"]),
        (True, of(RefusedError), "deferred", ["packages"]),
    ],
)
def test_security_fixes_in_the_window_alone(
    there: World,
    monkeypatch: pytest.MonkeyPatch,
    busy: bool,
    fails: HostlerError | None,
    state: str,
    told: list[str],
) -> None:
    from hostler.controller import packages

    def security(*_: Any) -> Any:
        there.does("fixes")
        return SimpleNamespace(busy=[SimpleNamespace(host="gpu-1")] if busy else [])

    monkeypatch.setattr(packages.upgrade, "security", security)
    there.text, there.found, there.fails = FIXES, (), fails
    there.record = replace(there.record, applied=FIXES)
    there.now -= DAY
    there.turn()
    assert there.done == []
    it = there.turn(days=1)
    assert (it.state, there.told, there.done) == (state, told, ["fixes"])
    there.fails, there.states = None, "draining"
    assert there.turn(days=7).state == "deferred"  # nothing is installed beside an alert
    assert there.done == ["fixes"]
    there.states = "ready"
    there.turn()
    assert there.done == ["fixes", "fixes"]
