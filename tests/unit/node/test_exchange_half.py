"""An exchange is never half: on a full disk it goes on or back, and what is not proven yet is hidden."""

from typing import Any

import pytest

from hostler.node.base import instances, spec
from hostler.node.base.protocol import NodeError
from hostler.node.canary import canary
from hostler.node.doors import drain
from hostler.node.exchange import inplace, retire
from hostler.node.replica import heal, journal, wait

from .fakes import Heard, Host
from .test_exchange import calm, exchanged


@pytest.mark.parametrize("fails", [False, True])
def test_one_that_stood_still_is_hidden_until_it_is_proven(
    host: Host, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """One that is not good is left as it is: its health says whether it serves."""
    host.want()
    exchanged()
    instances.stop("chat-0")
    marked: list[bool] = []

    def asked(new: dict[str, Any], *_: Any) -> str:
        marked.append(drain.marked("chat-0"))
        if fails:
            raise wait.fail(new, "it is not good")
        return ""

    monkeypatch.setattr(canary, "proven", asked)
    if fails:
        with pytest.raises(NodeError) as caught:
            exchanged()
        assert caught.value.more["outcome"] == "failed"
    else:
        assert exchanged()["outcome"] == "started"
    assert marked == [True]
    calm(host)


def test_a_kill_while_it_is_hidden_leaves_no_mark(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.want()
    exchanged()
    instances.stop("chat-0")

    def killed(*_: Any) -> str:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(canary, "proven", killed)
        patch.setattr(heal, "undrain_all", lambda _: None)
        patch.setattr(journal, "end", lambda _: None)
        with pytest.raises(SystemExit):
            exchanged()
    assert drain.marked("chat-0")
    retire.recover({"op": "recover"}, Heard())
    calm(host)


@pytest.mark.parametrize("full", ["commit", "check"])
def test_a_full_disk_goes_on_or_back_but_is_never_half(
    host: Host, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    host.want()
    exchanged()
    good = host.runs()
    host.want(tag="2")
    step = journal.step

    def writing(record: dict[str, Any], phase: str, **more: Any) -> None:
        if phase == full:
            raise OSError(28, "No space left on device")
        step(record, phase, **more)

    monkeypatch.setattr(journal, "step", writing)
    if full == "commit":
        assert exchanged()["outcome"] == "exchanged"
        assert host.runs().endswith("2")
    else:
        with pytest.raises(NodeError) as caught:
            exchanged()
        assert caught.value.more["outcome"] == "restored"
        assert host.runs() == good
    calm(host)


def test_going_back_writes_nothing_that_stands_already(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk was full when the new specification was to be written."""
    host.want()
    exchanged()
    good = host.runs()
    host.want(tag="2")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(inplace, "set_applied", full)
    monkeypatch.setattr(spec, "set_applied", full)
    with pytest.raises(NodeError) as caught:
        exchanged()
    assert caught.value.more["outcome"] == "restored"
    assert host.runs() == good
    calm(host)
