"""A machine that was given back, rented again by the controller: with which rights, and what became of it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.configure.types import Change
from hostler.controller import __main__ as program
from hostler.controller import renting, succeeding, telling
from hostler.errors import ProvisionError, StackFileError
from hostler.hosts import ways
from hostler.hosts.types import Slot
from hostler.manifest.items import Effect, Part
from hostler.record.types import Journal, Record
from hostler.rollout import observe, rented, stackkey, up
from hostler.stackfile.load import load

STACK = """
stack: office
pools:
  rack: [{address: gpu1.lan, name: gpu-1}]
  burst: {aws: {regions: [eu-central-1], instances: [g5.xlarge]}, count: 0-2}
models: {chat: {source: "hf:a/b-GGUF:Q4_K_M", pool: burst}}
controller: {rents: {credentials: AWS, passphrase: STATE}}
secrets: {AWS: {file: aws}, STATE: {env: env}}
"""


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `up` brought, and HOME beside it."""
    folder = tmp_path / "controller"
    (folder / "secrets").mkdir(parents=True)
    (folder / "secrets/AWS").write_text("[default]\n")
    (folder / "secrets/STATE").write_text("correct horse")
    (folder / "stack.yaml").write_text(STACK)
    (folder / ways.HOSTS).write_text("{}")
    monkeypatch.setenv(ways.ENVIRONMENT, str(folder))
    for name in (ways.RIGHTS, renting.CREDENTIALS, renting.PASSPHRASE):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(
        observe, "observe", lambda *_, **__: Looked(Record(uid="u", stack="office", applied=STACK))
    )
    return folder


@pytest.fixture
def told(there: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(telling, "alarm", lambda _, __, event, text, ___: found.append((event, text)))
    return found


class Looked:
    def __init__(self, record: Record | None) -> None:
        self.record, self.cloud, self.seen = record, None, dict[str, Any]()


def ran(monkeypatch: pytest.MonkeyPatch, error: BaseException | None = None) -> list[Any]:
    seen: list[Any] = []

    def run(file: Any, _: Any, options: up.Options) -> None:
        rights = (os.environ[renting.CREDENTIALS], os.environ[renting.PASSPHRASE], ways.has_rights())
        assert tempfile.gettempdir() == os.environ["TMPDIR"] != "/tmp"
        seen.extend([file.stack.stack, options, rights])
        if error:
            raise error

    monkeypatch.setattr(up, "up", run)
    return seen


def test_it_wakes_one_slot_with_the_rights_of_its_secrets(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[tuple[str, str]]
) -> None:
    seen = ran(monkeypatch)
    assert not ways.has_rights()
    assert program.main(["rent", "burst-0"]) == 0
    stack, options, rights = seen
    assert (stack, options.yes, options.pulumi, options.allow_downtime) == ("office", True, True, False)
    assert options.turn == up.Turn(need=("burst-0",))
    assert rights == (str(there / "secrets/AWS"), "correct horse", True)
    found = renting.said(tmp_path, "burst-0")
    assert found
    assert (found.state, found.why) == (renting.DONE, "")
    assert 0.0 < found.took_s < 60.0
    assert told == [("rented", "burst-0 was rented again, as requests wait")]


@pytest.mark.parametrize(
    ("error", "code", "why"),
    [
        (ProvisionError.of("burst-0", expected="a machine", got="no capacity"), 5, "no capacity"),
        (KeyboardInterrupt(), 130, "it was told to end"),
    ],
)
def test_what_became_of_it(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, why: str
) -> None:
    ran(monkeypatch, error)
    assert renting.rent(there, tmp_path, "burst-0") == code
    found = renting.said(tmp_path, "burst-0")
    assert found
    assert found.state == renting.FAILED
    assert why in found.why


def test_a_bug_is_said_and_raised(there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        renting.rent(there, tmp_path, "burst-0")
    found = renting.said(tmp_path, "burst-0")
    assert found
    assert "a bug in hostler" in found.why


def test_without_its_word_in_the_stack_file_it_has_no_rights(there: Path, tmp_path: Path) -> None:
    (there / "stack.yaml").write_text(STACK.replace("{rents: {credentials: AWS, passphrase: STATE}}", "{}"))
    assert renting.rent(there, tmp_path, "burst-0") == int(StackFileError.code)
    assert not ways.has_rights()
    assert renting.why_not(there, tmp_path) == ""


def test_each_failure_is_counted_and_told_until_one_works(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[tuple[str, str]]
) -> None:
    counts: list[int] = []
    for error in (ProvisionError.of("x", expected="a", got="b"), KeyboardInterrupt(), None):
        ran(monkeypatch, error)
        renting.rent(there, tmp_path, "burst-0")
        found = renting.said(tmp_path, "burst-0")
        assert found
        counts.append(found.failures)
    assert counts == [1, 2, 0]
    assert [event for event, _ in told] == ["rent failed", "rented"]
    assert "got b" in told[0][1]


def journal(who: str) -> Journal:
    return Journal(run="r", stage="apply", release=1, who=who, since=1.0, file="f")


@pytest.mark.parametrize(
    ("record", "held", "why"),
    [
        (Record(uid="u", stack="office", applied="another"), "", "another one here"),
        (
            Record(uid="u", stack="office", applied=STACK, journal=journal("anna@desk")),
            "",
            "a change by anna@desk",
        ),
        (Record(uid="u", stack="office", applied=STACK), "an exam (anna)", "an exam"),
        (Record(uid="u", stack="office", applied="x", journal=journal(f"{ways.ACCOUNT}@door")), "", ""),
        (None, "", ""),
    ],
)
def test_what_people_have_begun_is_theirs(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Record | None, held: str, why: str
) -> None:
    seen = ran(monkeypatch)
    monkeypatch.setattr(observe, "observe", lambda *_, **__: Looked(record))
    assert renting.rent(there, tmp_path, "burst-0", held) == (9 if why else 0)
    assert bool(seen) is not bool(why)
    found = renting.said(tmp_path, "burst-0")
    assert found
    assert why in found.why


class Draft:
    """As a plan is made from it."""

    def __init__(self, fill: tuple[str, ...], *changes: Change, stopped: tuple[str, ...] = ()) -> None:
        self.plan, self.observation, self.cloud = self, self, self
        self.slots, self.fill, self.changes = self, fill, changes
        self.retire = ("burst-8",)
        self.record = None
        self.in_use = {
            "burst-9": SimpleNamespace(state="running"),
            "burst-8": SimpleNamespace(state="stopped"),
        }
        self.in_use |= {name: SimpleNamespace(state="stopped") for name in stopped}


def change(host: str, replica: str = "", effect: Effect = Effect.NONE) -> Change:
    return Change(
        host=host, part=Part.BASE, item="x", action="change", now="", then="", why="it differs", replica=replica,
        effect=effect,
    )  # fmt: skip


def test_one_that_goes_is_not_wanted_again(
    there: Path, tmp_path: Path, told: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its successor would go, and the next round would rent another one."""
    seen = ran(monkeypatch)
    slots = {"burst-0": Slot(name="burst-0", pool="burst", state="retiring")}
    found = Looked(Record(uid="u", stack="office", gateway_host="door-1", slots=slots, applied=STACK))
    monkeypatch.setattr(observe, "observe", lambda *_, **__: found)
    assert renting.rent(there, tmp_path, "burst-0") == 0
    assert (seen, told) == ([], [])


@pytest.mark.parametrize(("error", "code"), [(None, 0), (ProvisionError.of("x", expected="a", got="b"), 5)])
def test_a_successor_is_counted_apart(
    there: Path, tmp_path: Path, told: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch,
    error: ProvisionError | None, code: int,
) -> None:  # fmt: skip
    """Failures of the one keep no request waiting for the other."""

    def succeed(_: Any, __: Any, slot: str) -> str:
        assert slot == "burst-0"
        if error:
            raise error
        return "told"

    monkeypatch.setattr(succeeding, "succeed", succeed)
    assert program.main(["rent", "renew.burst-0"]) == code
    found = renting.said(tmp_path, "renew.burst-0")
    assert found
    assert (found.state, found.failures) == ((renting.FAILED, 1) if error else (renting.DONE, 0))
    assert renting.said(tmp_path, "burst-0") is None
    failed = ("rent failed", "burst-0 got no successor: x: expected a; got b")
    assert [(one, text[: len(failed[1])]) for one, text in told] == [failed if error else ("rented", "told")]


def test_one_that_just_went_is_waited_for(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For AWS it runs until its shutdown is over, and nobody answers there."""
    monkeypatch.setattr(renting, "PAUSE_S", 0.01)
    seen = ran(monkeypatch)
    slots = {"burst-0": Slot(name="burst-0", pool="burst", state="parked", given_back=True)}
    record = Record(
        uid="u", stack="waking", gateway_host="door-1", slots=slots, applied=load(there / "stack.yaml").text
    )
    looks: list[Any] = []

    def observe_(*_: Any, **__: Any) -> Any:
        looks.append(seen.copy())
        found: Any = Looked(record)
        stopped = len(looks) > 4
        found.cloud = SimpleNamespace(rented={"burst-0": SimpleNamespace(stopped=stopped)})
        return found

    monkeypatch.setattr(observe, "observe", observe_)
    assert renting.rent(there, tmp_path, "burst-0") == 0
    assert (len(looks), [one for one in looks if one]) == (5, [])  # nothing was done before
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("draft", "why"),
    [
        (Draft(("burst-0",), change("burst-0", "chat-0", Effect.DRAIN), change("gpu-1")), ""),
        (Draft((), change("gpu-1", "", Effect.DRAIN)), ""),
        (Draft((), stopped=("burst-0",)), ""),
        (Draft(("burst-0", "burst-1")), "burst-1 would be rented, too"),
        (Draft((), stopped=("burst-0", "burst-1")), "burst-1 would be rented, too"),
        (Draft(("burst-0",), change("gpu-1", "chat-1", Effect.DRAIN)), "gpu-1: x (it differs)"),
    ],
)
def test_nothing_else_is_rented_or_drained(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draft: Any, why: str
) -> None:
    monkeypatch.setattr(up, "up", lambda _, __, options: options.check(draft))
    assert renting.rent(there, tmp_path, "burst-0") == (9 if why else 0)
    found = renting.said(tmp_path, "burst-0")
    assert found
    assert why in found.why


@pytest.mark.parametrize("text", ["", "[]", '{"state": "done"}', '{"state": "done", "at": "x"}'])
def test_a_word_that_is_damaged_is_none(tmp_path: Path, text: str) -> None:
    assert renting.said(tmp_path, "burst-0") is None
    (tmp_path / "rents").mkdir()
    (tmp_path / "rents/burst-0.json").write_text(text)
    assert renting.said(tmp_path, "burst-0") is None


class Fleet:
    def __init__(self, asked: list[str]) -> None:
        self.asked = asked

    def ready(self) -> None:
        self.asked.append("Pulumi")


def test_a_proof_takes_nothing_from_a_rent_beside_it(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`up`, and so each rent, asks for one in its course: each has its temporary files in a folder of its own."""
    file = load(there / "stack.yaml")
    renting.entitle(there, tmp_path / "scratch-burst-0", file)
    kept = Path(tempfile.mkdtemp())
    monkeypatch.setattr(rented, "known", lambda _: None)
    monkeypatch.setattr(rented, "fleet_of", lambda _: Fleet([]))
    monkeypatch.setattr(stackkey, "public", lambda *_: "")
    assert renting.why_not(there, tmp_path) == ""
    assert kept.is_dir()
    assert kept.parent.name == "scratch-burst-0"


def test_the_proof_asks_all_that_a_rent_needs(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(rented, "known", lambda _: asked.append("AWS"))
    monkeypatch.setattr(rented, "fleet_of", lambda _: Fleet(asked))
    monkeypatch.setattr(stackkey, "public", lambda *_: asked.append("the passphrase"))
    assert program.main(["prove"]) == 0
    assert json.loads(capsys.readouterr().out) == {"hosts": {}, "rents": ""}
    assert asked == ["AWS", "the passphrase", "Pulumi"]

    def wrong(*_: Any) -> None:
        raise ProvisionError.of("stack office", expected="the passphrase", got="another one")

    monkeypatch.setattr(stackkey, "public", wrong)
    assert "got another one" in renting.why_not(there, tmp_path)


@pytest.mark.parametrize("words", [["rent"], ["rent", "burst-0", "burst-1"], ["lend", "burst-0"]])
def test_other_words(there: Path, words: list[str]) -> None:
    assert program.main(words) == 2
