"""A reboot is over when another boot has ended, whatever is heard meanwhile."""

from __future__ import annotations

import io
from typing import Any

import pytest

from hostler.console.out import Out
from hostler.errors import ConfigureError, HostlerError
from hostler.hosts.trouble import AgentError, trouble
from hostler.rollout import rebooting
from worlds import configure_world as world

LOST = trouble("dead", "gpu-1", expected="the connection to stay", got="it was lost")


def rebooted(monkeypatch: pytest.MonkeyPatch, *answers: Any, limit: float = 5.0) -> list[str]:
    """What was asked; each answer is a boot and whether it has ended, or an error."""
    asked: list[str] = []
    left = list(answers)

    def call(_: Any, op: str, **__: Any) -> dict[str, Any]:
        asked.append(op)
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return {"boot": answer[0], "up": answer[1], "state": "starting"}

    monkeypatch.setattr(rebooting, "agent_call", call)
    monkeypatch.setattr(rebooting, "PAUSE_S", 0.0)
    rebooting.reboot(world.hosts()[0], "r1", Out(stdout=io.StringIO(), stderr=io.StringIO()), limit)
    return asked


def test_back_when_another_boot_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = rebooted(monkeypatch, ("a", True), ("a", True), ("a", True), LOST, ("b", False), ("b", True))
    assert asked == ["boot", "reboot", "boot", "boot", "boot", "boot"]


def test_a_host_that_is_down_before_it_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rebooted(monkeypatch, ("a", True), LOST, LOST, ("b", True))[-1] == "boot"


@pytest.mark.parametrize(
    ("after", "got"),
    [(LOST, "it was lost"), (("a", True), "it has not begun"), (("b", False), "it boots: starting")],
)
def test_one_that_does_not_come_back(monkeypatch: pytest.MonkeyPatch, after: Any, got: str) -> None:
    with pytest.raises(ConfigureError, match=got):
        rebooted(monkeypatch, ("a", True), ("a", True), after, limit=0.05)


def test_one_that_refuses_to_reboot(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HostlerError, match="no systemd"):
        rebooted(
            monkeypatch, ("a", True), AgentError.of("gpu-1", expected="reboot to succeed", got="no systemd")
        )
