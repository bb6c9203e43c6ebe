"""What AWS says of one machine: whether it has ended, and whether anything reaches it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hostler.cloud import live
from hostler.cloud.types import Candidate, Rented
from hostler.errors import ProvisionError

MACHINE = Rented(
    slot="burst-0", pool="burst", id="i-0123456789abcdef0", public_ip="", private_ip="", uid="u",
    candidate=Candidate(region="eu-central-1", zone="eu-central-1a", instance="g5.xlarge", market="spot"),
)  # fmt: skip
SPOT = {"Code": "Server.SpotInstanceTermination", "Message": "Server.SpotInstanceTermination: taken back"}


def machine(state: str, **more: Any) -> dict[str, Any]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    one = {"InstanceId": MACHINE.id, "State": {"Name": state}, "LaunchTime": at} | more
    return {"Reservations": [{"Instances": [one]}]}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (machine("pending"), ""),
        (machine("running"), ""),
        (machine("stopped"), ""),
        (machine("shutting-down", StateReason=SPOT), SPOT["Message"]),
        (machine("terminated", StateReason={"Code": "Server.InternalError"}), "Server.InternalError"),
        (machine("terminated"), "terminated"),
        ({"Reservations": []}, "gone"),
    ],
)
def test_how_it_ended(stubbed: Any, answer: dict[str, Any], expected: str) -> None:
    stubbed(live, "ec2").add_response("describe_instances", answer)
    assert live.ended(MACHINE) == expected


@pytest.mark.parametrize(
    "code",
    [
        "Client.InstanceInitiatedShutdown",
        "Client.UserInitiatedShutdown",
        "Client.InternalError",
        "Client.InvalidSnapshot.NotFound",
        "Client.VolumeLimitExceeded",
        "Server.InsufficientInstanceCapacity",
        "Server.InternalError",
        "Server.ScheduledStop",
        "Server.SpotInstanceShutdown",
        "Server.SpotInstanceTermination",
    ],
)
@pytest.mark.parametrize("state", live.GONE)
def test_by_which_code_it_ended(stubbed: Any, state: str, code: str) -> None:
    reason = {"Code": code, "Message": f"{code}: as AWS says it"}
    stubbed(live, "ec2").add_response("describe_instances", machine(state, StateReason=reason))
    assert live.look([MACHINE]) == live.Look(there={}, ended={"burst-0": code})


@pytest.mark.parametrize(
    ("answer", "ended"),
    [
        (machine("terminated"), {"burst-0": "terminated"}),  # AWS knows it, and does not say why
        (machine("terminated", StateReason={"Message": "?"}), {"burst-0": "terminated"}),
        ({"Reservations": []}, {"burst-0": live.FORGOTTEN}),
        (
            machine("stopped", StateReason={"Code": live.BY_ITSELF}),
            {},
        ),  # its disk is there: it is started again
        (machine("stopping"), {}),
        (machine("running"), {}),
        (machine("pending"), {}),
    ],
)
def test_what_is_there_and_what_has_ended(
    stubbed: Any, answer: dict[str, Any], ended: dict[str, str]
) -> None:
    stubbed(live, "ec2").add_response("describe_instances", answer)
    found = live.look([MACHINE])
    assert found.ended == ended
    assert {*found.there} == ({"burst-0"} - {*ended})


def test_who_stopped_it(stubbed: Any) -> None:
    reason = {"Code": live.BY_ITSELF, "Message": "Instance initiated shutdown"}
    stubbed(live, "ec2").add_response("describe_instances", machine("stopped", StateReason=reason))
    found = live.look([MACHINE]).there["burst-0"]
    assert (found.stopped, found.stopped_by) == (True, live.BY_ITSELF)


def test_what_runs_was_stopped_by_nobody(stubbed: Any) -> None:
    """AWS may still say why it was stopped before."""
    reason = {"Code": live.BY_ITSELF, "Message": "Instance initiated shutdown"}
    stubbed(live, "ec2").add_response("describe_instances", machine("running", StateReason=reason))
    found = live.look([MACHINE]).there["burst-0"]
    assert (found.stopped, found.stopped_by) == (False, "")


def test_they_are_stopped_and_not_ended(stubbed: Any) -> None:
    stubbed(live, "ec2").add_response("stop_instances", {}, {"InstanceIds": [MACHINE.id]})
    said: list[str] = []
    live.stop([MACHINE], said.append)
    assert said == [f"burst-0: stopping {MACHINE.id}; its disk is kept, and costs"]


@pytest.mark.parametrize(
    ("instance", "system", "expected"),
    [("ok", "ok", False), ("initializing", "ok", False), ("impaired", "ok", True), ("ok", "impaired", True)],
)
def test_whether_its_checks_fail(stubbed: Any, instance: str, system: str, expected: bool) -> None:
    one = {"InstanceStatus": {"Status": instance}, "SystemStatus": {"Status": system}}
    stubbed(live, "ec2").add_response("describe_instance_status", {"InstanceStatuses": [one]})
    assert live.impaired(MACHINE) is expected


def test_one_without_a_status_is_not_known_to_be_impaired(stubbed: Any) -> None:
    stubbed(live, "ec2").add_response("describe_instance_status", {"InstanceStatuses": []})
    assert not live.impaired(MACHINE)


def test_what_cannot_be_asked_is_not_gone(stubbed: Any) -> None:
    stubbed(live, "ec2").add_client_error("describe_instances", "RequestExpired")
    with pytest.raises(ProvisionError, match="RequestExpired"):
        live.ended(MACHINE)
