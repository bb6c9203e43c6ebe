"""What `down` shows is what goes; one host's failure does not hold the others; another stack's hosts are refused."""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hostler.console.out import Out
from hostler.errors import ConfigureError, Exit, LockedError
from hostler.hosts.types import Absent, Host, Seen, Ssh, Value
from hostler.record.types import Record
from hostler.rollout import apply, down
from hostler.rollout.observe import Observation
from hostler.rollout.session import Session
from hostler.stackfile.sections import StackFile

RECORD = Record(uid="u1", stack="lab", gateway_host="gpu-1")
FOLDER = {"folders": ["/etc/hostler"]}


def world(*, stack: str = "lab", record: Record | None = RECORD) -> Observation:
    hosts = tuple(Host(name=name, pool="p", ssh=Ssh(address=name)) for name in ("gpu-1", "gpu-2", "gpu-3"))
    file = cast("StackFile", SimpleNamespace(stack=SimpleNamespace(stack=stack)))
    seen = {host.name: Seen(host=host.name, at=0.0, seconds=0.1, uid="u1") for host in hosts}
    return Observation(file=file, hosts=hosts, gone=(), seen=seen, record=record, gateway=hosts[0])


@pytest.fixture
def out() -> Out:
    return Out(stdout=io.StringIO(), stderr=io.StringIO())


class Lab:
    """Hosts that name what they would remove, and remove it or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, observation: Observation) -> None:
        self.emptied = list[str]()
        self.fails = ""
        self.counted = 0
        self.kept = list[dict[str, str]]()
        self.stays: dict[str, Any] = {}
        monkeypatch.setattr(down, "observe", lambda _file, **_more: observation)
        monkeypatch.setattr(down, "transport_for", lambda host: SimpleNamespace(name=host.name, close=list))
        monkeypatch.setattr(down, "agent_call", self.call)
        monkeypatch.setattr(down, "empty", self.empty)
        monkeypatch.setattr(down, "session", self.session)
        monkeypatch.setattr(down, "look", self.look)
        monkeypatch.setattr(down, "_forget", lambda *_rest: None)
        monkeypatch.setattr(down.ledger, "keep", self.keep)

    def keep(self, *_rest: object) -> None:
        assert not self.emptied, "the ledger is read while it is there"
        self.counted += 1

    def call(self, transport: Any, op: str, **request: Any) -> dict[str, Any]:
        assert (op, request["dry-run"], request["host"]) == ("purge", True, transport.name)
        gone = transport.name in self.emptied
        return {"would": {} if gone else FOLDER, "kept": self.kept, "left": []}

    def empty(self, _run: object, name: str, **_more: Any) -> dict[str, Any]:
        if name == self.fails:
            raise ConfigureError.of(name, expected="nothing left", got="a disk error")
        self.emptied.append(name)
        return {"kept": self.kept}

    @contextmanager
    def session(self, _record: Record, _gateway: Host, *_rest: Any, **_more: Any) -> Generator[Any]:
        run = SimpleNamespace(lock=SimpleNamespace(check=list), out=_rest[-1])
        run.everywhere = lambda hosts, work: {host: work(host) for host in hosts}
        yield run

    def look(self, hosts: tuple[Host, ...], questions: list[str]) -> dict[str, Seen]:
        observed = {name: self.stays.get(name, Absent(0.0)) for name in questions}
        return {h.name: Seen(host=h.name, at=0.0, seconds=0.1, observed=observed) for h in hosts}


def told(out: Out) -> tuple[str, str]:
    return cast("io.StringIO", out.stdout).getvalue(), cast("io.StringIO", out.stderr).getvalue()


def run_down(observation: Observation, out: Out) -> bool:
    return down.down(observation.file, out, down.Options(yes=True))


def test_the_gateways_host_is_emptied_though_another_failed(
    monkeypatch: pytest.MonkeyPatch, out: Out
) -> None:
    lab = Lab(monkeypatch, observation := world())
    lab.fails = "gpu-2"
    with pytest.raises(ConfigureError, match="gpu-2: expected nothing left; got a disk error"):
        run_down(observation, out)
    assert lab.emptied == ["gpu-3", "gpu-1"]
    assert "as found" not in told(out)[1]


def test_what_hosts_name_is_shown_and_what_is_kept(monkeypatch: pytest.MonkeyPatch, out: Out) -> None:
    lab = Lab(monkeypatch, observation := world())
    lab.kept = [{"what": "package docker.io", "why": "other volumes are here: data"}]
    assert run_down(observation, out)
    assert lab.counted == 1
    shown, story = told(out)
    assert [line.split() for line in shown.splitlines()[1:]] == [
        [f"gpu-{i}", "folders", "/etc/hostler"] for i in (1, 2, 3)
    ]
    assert "gpu-2: package docker.io stays: other volumes are here: data" in story
    assert story.endswith("gone: gpu-1, gpu-2, gpu-3; what was kept is told above\n")


def test_what_is_still_seen_is_not_gone(monkeypatch: pytest.MonkeyPatch, out: Out) -> None:
    lab = Lab(monkeypatch, observation := world())
    lab.stays = {"path:/etc/hostler": Value({"type": "dir"}, 0.0)}
    with pytest.raises(ConfigureError, match="gpu-3: expected gone; got folders /etc/hostler still there"):
        run_down(observation, out)


def test_the_question_names_stack_and_hosts(monkeypatch: pytest.MonkeyPatch, out: Out) -> None:
    lab, asked = Lab(monkeypatch, observation := world()), list[str]()
    monkeypatch.setattr(out, "confirm", lambda question, **_more: bool(asked.append(question)))
    assert not run_down(observation, out)
    assert (asked, lab.emptied, lab.counted) == (["Remove stack lab from gpu-1, gpu-2, gpu-3?"], [], 0)


def test_hosts_of_a_stack_of_another_name_are_refused(monkeypatch: pytest.MonkeyPatch, out: Out) -> None:
    lab = Lab(monkeypatch, observation := world(stack="office"))
    with pytest.raises(LockedError, match="got those of stack lab") as caught:
        run_down(observation, out)
    assert (caught.value.code, lab.emptied, told(out)) == (Exit.LOCKED, [], ("", ""))


def test_without_a_record_the_hosts_own_uid_counts(monkeypatch: pytest.MonkeyPatch, out: Out) -> None:
    lab = Lab(monkeypatch, observation := world(record=None))
    given = list[Record]()
    inside = lab.session
    monkeypatch.setattr(
        down, "session", lambda record, *rest, **more: given.append(record) or inside(record, *rest, **more)
    )
    assert run_down(observation, out)
    assert given[0].uid == "u1"


def test_only_what_failed_is_an_error(out: Out) -> None:
    answer: dict[str, Any] = {"kept": [{"what": "models", "why": "--keep-models"}], "left": []}
    asked = list[dict[str, Any]]()

    def call(_host: str, _op: str, _limit: float, **request: Any) -> dict[str, Any]:
        asked.append(request)
        return answer

    run = cast("Session", SimpleNamespace(call=call, out=out, record=RECORD))
    apply.empty(run, "gpu-1", keep_models=True)
    assert asked == [{"keep-models": True, "uid": "u1", "host": "gpu-1"}]
    assert "gpu-1: kept models: --keep-models" in told(out)[1]
    answer["left"] = [{"what": "unit x", "why": "it hangs"}]
    with pytest.raises(ConfigureError, match="unit x: it hangs"):
        apply.empty(run, "gpu-1")
