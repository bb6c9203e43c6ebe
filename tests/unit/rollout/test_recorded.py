"""A stack file out of the record, which lies on a host: it makes this machine run nothing, and read nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hostler.configure import controller
from hostler.console.out import Out
from hostler.errors import ConfigureError, StackFileError
from hostler.record.types import Before, Journal
from hostler.rollout import recorded, rollouts, secret, undo, up
from hostler.rollout.observe import Observation
from hostler.stackfile.load import loads
from hostler.stackfile.outside import State
from hostler.stackfile.sections import StackFile
from worlds import configure_world as world

TLS = "gateway: {tls: {cert: %s, key: %s}}\n"
Put = Callable[[str], StackFile]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """A stack file of this machine, with files beside it, and a command that leaves a mark where it is run."""
    for name in ("own.pem", "own.key", "other.pem"):
        (tmp_path / name).write_text(f"what is in {name}\n")
    return lambda text: loads(text.encode(), str(tmp_path / "office.yaml"))


def with_secrets(text: str) -> str:
    return world.ALONE + f"secrets: {text}\n"


def interrupted(own: StackFile, before: str) -> Observation:
    """Release 2 is being made live; before it was another file."""
    journal = Journal(
        run="r",
        stage="apply",
        release=2,
        file=own.digest,
        before=Before(replicas=world.placement().replicas, gateway_host="gpu-1", applied=before),
    )
    releases = (replace(world.release(), ended="good"), replace(world.release(slots=2), number=2))
    record = world.record(
        release=1, releases=releases, replicas=world.placement().replicas, journal=journal, applied=before
    )
    hosts = world.hosts()
    return Observation(
        file=own, hosts=hosts, gone=(), seen=world.seen_hosts(), record=record, gateway=hosts[0]
    )


def observed(monkeypatch: pytest.MonkeyPatch, found: Observation) -> None:
    def observe(file: StackFile, **_: Any) -> Observation:
        return replace(found, file=file)

    for module in (rollouts, undo, up):
        monkeypatch.setattr(module, "observe", observe)


class Stop(Exception):
    """It would be applied now."""


def go_back(monkeypatch: pytest.MonkeyPatch, found: Observation, own: StackFile) -> tuple[Any, str]:
    """What would be applied, and what was said."""
    observed(monkeypatch, found)
    drafts: list[Any] = []

    def stop(draft: Any, *_: Any, **__: Any) -> None:
        drafts.append(draft)
        raise Stop

    monkeypatch.setattr(undo, "apply", stop)
    said = StringIO()
    out = Out(stderr=said)
    run: Any = SimpleNamespace(record=found.record, commit=lambda _: None, out=out)
    monkeypatch.setattr(rollouts, "session", lambda *_, **__: Held(run))
    with pytest.raises(Stop):
        rollouts.abort(own, out, yes=True, cut=False)
    return drafts[0], said.getvalue()


class Held:
    """The lock is had."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def __enter__(self) -> Any:
        return self._run

    def __exit__(self, *_: object) -> None:
        return


def test_a_look_at_a_change_runs_no_command_of_any_file(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = put(with_secrets(f'{{HF_TOKEN: {{command: "touch {tmp_path}/own"}}}}'))
    before = with_secrets(f'{{HF_TOKEN: {{command: "touch {tmp_path}/planted"}}}}')
    observed(monkeypatch, interrupted(own, before))
    found = rollouts.story(own)
    assert [row["runs"] for row in found.rows] == ["nothing", "nothing"]
    assert not {"own", "planted"} & {path.name for path in tmp_path.iterdir()}


def test_a_look_at_a_change_still_knows_both_releases(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of before had another drain: a container is known by what it was made from then."""
    own = put(world.ALONE.replace("replicas: 2", "replicas: 2, drain: 1m"))
    found = interrupted(own, world.ALONE)
    old = world.manifests(file=put(world.ALONE))["gpu-1"]
    new = world.manifests(file=own, slots=2)["gpu-2"]
    seen = {"gpu-1": world.as_wanted(old), "gpu-2": world.as_wanted(new, 2)}
    observed(monkeypatch, replace(found, seen=seen))
    rows = {row["replica"]: row["runs"] for row in rollouts.story(own).rows}
    assert rows == {"chat-0": "release 1", "chat-1": "release 2"}


def test_going_back_runs_no_command_of_the_record(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host keeps the value that it has, and a person is told."""
    own = put(with_secrets("{HF_TOKEN: env}"))
    before = with_secrets(f'{{HF_TOKEN: {{command: "touch {tmp_path}/planted"}}}}')
    monkeypatch.setenv("HF_TOKEN", "hf_own")
    draft, said = go_back(monkeypatch, interrupted(own, before), own)
    assert not (tmp_path / "planted").exists()
    assert "HF_TOKEN stays as it is on gpu-1" in said
    (kept,) = (
        f for f in draft.plan.manifests["gpu-1"].files if f.path == f"{controller.FOLDER}/secrets/HF_TOKEN"
    )
    assert kept.content.sha256 == ""
    assert draft.record.applied == before


def test_going_back_takes_a_secret_from_where_both_say(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    own = put(with_secrets("{HF_TOKEN: {env: TOKEN}}").replace("weekly", "report"))
    monkeypatch.setenv("TOKEN", "hf_own")
    before = with_secrets("{HF_TOKEN: {env: TOKEN}}")
    draft, said = go_back(monkeypatch, interrupted(own, before), own)
    (kept,) = (
        f for f in draft.plan.manifests["gpu-1"].files if f.path == f"{controller.FOLDER}/secrets/HF_TOKEN"
    )
    assert kept.content.sha256 == world.digest("hf_own")
    assert "stays as it is" not in said


def test_going_back_with_a_local_file_of_the_records_is_refused(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has happened then, and the next step is one that helps."""
    own = put(world.STACK + TLS % ("own.pem", "own.key"))
    observed(monkeypatch, found := interrupted(own, world.STACK + TLS % ("other.pem", "own.key")))
    run: Any = SimpleNamespace(record=found.record, commit=None, out=Out(stderr=StringIO()))
    with pytest.raises(ConfigureError) as raised:
        undo.back(own, run, "why", cut=False)
    (problem,) = raised.value.problems
    assert problem.where.startswith("back to release 1: ")
    assert problem.where.endswith("office.yaml:7:11 gateway.tls")
    assert problem.got == "another one here"
    assert "gateway.tls" in problem.next_step
    assert problem.next_step.endswith("then `hostler rollout abort`")


REFUSED = {
    "a command in place of the environment": (
        "{T: env}", "{T: {command: 'cat own.key'}}", "secrets.T", "another one here"
    ),
    "another command": (
        "{T: {command: 'pass show t'}}", "{T: {command: 'cat own.key'}}", "secrets.T", "another one here"
    ),
    "a file that nobody named": ("{A: env}", "{A: env, T: {file: own.key}}", "secrets.T", "none here"),
    "the environment, which nobody named": ("{A: env}", "{A: env, T: env}", "secrets.T", "none here"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_said_here_as_well_is_refused(
    put: Put, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there, path, got = REFUSED[case]
    monkeypatch.setenv("T", "the value")
    file = recorded.trusted(put(with_secrets(there)), put(with_secrets(here)))
    with pytest.raises(StackFileError) as raised:
        secret.value(file, "T")
    (problem,) = raised.value.problems
    assert (problem.where.split()[-1], problem.got) == (path, got)
    assert "own.key" not in str(problem)
    assert "as it was" in problem.next_step


def test_a_secret_goes_nowhere_that_only_the_record_says(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have it; but that the controller gets it, only the record says."""
    monkeypatch.setenv("T", "the value")
    told = with_secrets("{T: env}") + "alarms: [{secret: T}]\n"
    assert (
        secret.value(recorded.trusted(put(told), put(told.replace("weekly", "report"))), "T") == "the value"
    )
    file = recorded.trusted(put(told), put(with_secrets("{T: env}")))
    assert controller.secrets_named(file) == ("T",)
    assert secret.digests(file, ["T"]) == {"T": ""}


def test_what_is_of_this_machine_is_as_it_says_now(put: Put) -> None:
    here = (
        world.STACK.replace("user: ops", "user: ops, key: ~/.ssh/own")
        + "mirror: {hub: 'https://hub.own.example', toolkit_key: own.pem}\n"
    )
    there = (
        world.STACK.replace("user: ops", "user: eve, jump: eve.example").replace(
            "rack: {", "rack: {downloads: operator, "
        )
        + "mirror: {hub: 'https://eve.example', toolkit_key: own.key}\n"
    )
    eve = replace(put(there), stack=replace(put(there).stack, state=State(bucket="s3://eve/llm")))
    own, file = put(here), recorded.trusted(eve, put(here))
    assert (file.stack.mirror, file.stack.state) == (own.stack.mirror, own.stack.state)
    assert file.stack.pools["rack"] == own.stack.pools["rack"]
    assert file.text == there


OTHERS = {
    "another stack": world.STACK.replace("office", "home"),
    "this machine as a host": world.STACK.replace("{address: 10.0.0.2, name: gpu-2, user: ops}", "local"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_file_that_cannot_be_trusted_at_all_is_refused(put: Put, case: str) -> None:
    with pytest.raises(StackFileError):
        recorded.trusted(put(OTHERS[case]), put(world.STACK))


@pytest.mark.parametrize(
    ("claim", "good"),
    [('{"stack": "office"}', True), ('{"stack": "home"}', False), ("{", False), ("", False)],
)
def test_this_machine_is_a_host_by_its_own_word(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claim: str, good: bool
) -> None:
    """It was taken out of the file, and the change failed: the way back has it again."""
    here = tmp_path / "claim.json"
    monkeypatch.setattr(recorded, "CLAIM", str(here))
    if claim:
        here.write_text(claim)
    there = put(OTHERS["this machine as a host"])
    if good:
        recorded.trusted(there, put(world.STACK))
        return
    with pytest.raises(StackFileError):
        recorded.trusted(there, put(world.STACK))


def test_the_same_file_is_ones_own(put: Put) -> None:
    own = put(with_secrets("{T: {command: 'echo t'}}"))
    assert recorded.load(own.text, own) is own
