"""A machine that was taken back is the reason, whatever a host that is not there any more looks like."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hostler.cloud.types import Candidate, Rented
from hostler.errors import ConfigureError, HostlerError, ProvisionError, RolledBackError
from hostler.rollout import takenback

HAS = Candidate(region="eu-central-1", zone="eu-central-1a", instance="g5.xlarge", market="spot")
MACHINES = {
    slot: Rented(slot=slot, pool="burst", id=f"i-{slot}", candidate=HAS, public_ip="", private_ip="", uid="u")
    for slot in ("burst-0", "burst-1")
}


def said(monkeypatch: pytest.MonkeyPatch, error: HostlerError, answer: Any) -> list[str]:
    def ended(machine: Rented) -> str:
        if isinstance(answer, Exception):
            raise answer
        return answer.get(machine.slot, "")

    monkeypatch.setattr(takenback.live, "ended", ended)
    observation: Any = SimpleNamespace(cloud=SimpleNamespace(rented=MACHINES))
    with pytest.raises(type(error)) as raised, takenback.explained(observation):
        raise error
    return [f"{problem.where}: {problem.got}" for problem in raised.value.problems]


@pytest.mark.parametrize("kind", [ConfigureError, RolledBackError])
def test_the_end_of_a_machine_comes_first(monkeypatch: pytest.MonkeyPatch, kind: type[HostlerError]) -> None:
    error = kind.of("burst-0 docker: pull the image", expected="an answer", got="unreachable")
    ends = {"burst-0": "taken back", "burst-1": "of no interest here"}
    assert said(monkeypatch, error, ends) == [
        "burst-0 (i-burst-0): it has ended: taken back",
        "burst-0 docker: pull the image: unreachable",
    ]


@pytest.mark.parametrize(
    "answer", [{}, ProvisionError.of("AWS", expected="an answer", got="none")], ids=["it runs", "not known"]
)
def test_else_the_error_is_as_it_was(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    error = ConfigureError.of("burst-0", expected="an answer", got="unreachable")
    assert said(monkeypatch, error, answer) == ["burst-0: unreachable"]


def test_a_stack_that_rents_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takenback.live, "ended", None)
    observation: Any = SimpleNamespace(cloud=None)
    with pytest.raises(ConfigureError), takenback.explained(observation):
        raise ConfigureError.of("gpu-1", expected="an answer", got="unreachable")
