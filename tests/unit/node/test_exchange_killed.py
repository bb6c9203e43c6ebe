"""An exchange that is killed at each step, inside each step, and on its way back."""

from typing import Any

import pytest

from hostler.node.base import instances, spec
from hostler.node.base.protocol import NodeError
from hostler.node.docker import docker
from hostler.node.doors import drain
from hostler.node.exchange import exchange, inplace, retire
from hostler.node.owning import end_run
from hostler.node.replica import heal, journal

from .fakes import Heard, Host, until
from .test_exchange import calm, exchanged


class KilledError(BaseException):
    """kill -9: no handler of the program runs."""


STEPS = ["drain", "stop", "start", "check", "commit"]
INSIDE: list[tuple[Any, str]] = [
    (drain, "mark"),
    (docker, "rename"),
    (spec, "set_applied"),
    (inplace, "set_applied"),
    (instances, "stop"),
    (instances, "start"),
    (docker, "remove"),
    (journal, "end"),
    (drain, "unmark"),
]


def killed_at_step(monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    step = journal.step

    def killing(record: dict[str, Any], name: str, **more: Any) -> None:
        step(record, name, **more)
        if name == phase:
            raise KilledError

    monkeypatch.setattr(journal, "step", killing)


def killed_around(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, when: str) -> None:
    function = getattr(module, name)

    def killing(*arguments: Any) -> Any:
        if when == "after":
            function(*arguments)
        raise KilledError

    monkeypatch.setattr(module, name, killing)


def ways() -> list[Any]:
    steps = [pytest.param(("step", phase), id=phase) for phase in STEPS]
    names = [(m, n, w) for m, n in INSIDE for w in ("before", "after")]
    return steps + [pytest.param((m, n, w), id=f"{w}-{m.__name__.split('.')[-1]}.{n}") for m, n, w in names]


def kill(host: Host, way: tuple[Any, ...], behaviour: str = "good") -> None:
    """A running replica, and an exchange to another specification that is killed on the way, if it comes there."""
    host.want()
    exchanged()
    host.want(behaviour, tag="2")
    with pytest.MonkeyPatch.context() as patch:
        killed_at_step(patch, way[1]) if way[0] == "step" else killed_around(patch, *way)
        try:
            exchanged()
        except KilledError:
            return
        assert way[:2] == (spec, "set_applied"), "the kill point was never reached"


@pytest.mark.parametrize("way", ways())
def test_recover_after_a_kill(host: Host, way: tuple[Any, ...]) -> None:
    kill(host, way)
    retire.recover({"op": "recover"}, Heard())
    until(lambda: host.runs() != "", "it runs again")
    calm(host)
    assert exchanged()["outcome"] in ("exchanged", "same", "started")
    calm(host)
    assert host.runs().endswith("2")


@pytest.mark.parametrize("phase", STEPS)
def test_the_next_run_recovers_it_first(host: Host, monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    """What is planned next counts the replicas that serve: this one is to be among them."""
    waited: list[str] = []
    monkeypatch.setattr(drain, "wait_served", waited.extend)
    kill(host, ("step", phase))
    assert dict(end_run.recovered()) == {"chat-0": "went on" if phase == "commit" else "went back"}
    assert (host.runs() != "", waited[-1:]) == (True, ["chat-0"])
    calm(host)


def test_what_cannot_be_recovered_now_is_said(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    kill(host, ("step", "start"))

    def refused(_: str) -> str:
        raise NodeError("docker", "it does not answer")

    monkeypatch.setattr(exchange, "healed_now", refused)
    assert dict(end_run.recovered()) == {"chat-0": "not put right: it does not answer"}


@pytest.mark.parametrize("way", ways())
def test_exchange_again_after_a_kill(host: Host, way: tuple[Any, ...]) -> None:
    kill(host, way)
    assert exchanged()["outcome"] in ("exchanged", "same", "started")
    calm(host)
    assert host.runs().endswith("2")


@pytest.mark.parametrize("way", ways())
def test_a_boot_after_a_power_cut(host: Host, way: tuple[Any, ...]) -> None:
    """No operator at all: the instance's own `run` puts it right."""
    kill(host, way)
    host.reboot()
    until(lambda: host.runs() != "", "it runs after the boot")
    calm(host)


@pytest.mark.parametrize(
    "way", [("step", "restore"), (heal, "go_back", "before"), (heal, "go_back", "after")], ids=str
)
def test_a_kill_on_the_way_back(host: Host, way: tuple[Any, ...]) -> None:
    kill(host, way, behaviour="wrong")
    retire.recover({"op": "recover"}, Heard())
    until(lambda: host.runs() != "", "the old one runs again")
    calm(host)
    assert not host.runs().startswith("wrong")
