"""What the cloud's words mean for a slot, by the texts of Pulumi's AWS provider."""

from __future__ import annotations

import pytest

from hostler.cloud.types import Candidate, Rented
from hostler.errors import Exit
from hostler.provision.refusals import NEXT, NOT_AGAIN, Reason, error_of, reason_of, said_by_cli, still_there

RUN = "operation error EC2: RunInstances, https response error StatusCode: 500, RequestID: 1f, "


def said(code: str, text: str = "No.") -> str:
    return f"1 error occurred:\n\t* creating EC2 Instance: {RUN}api error {code}: {text}\n\n"


@pytest.mark.parametrize("code", sorted(NEXT))
def test_another_candidate_may_do(code: str) -> None:
    assert reason_of(said(code)) == Reason(code=code, text="No.", operation="ec2:RunInstances")
    assert reason_of(said(code)).meaning == "next"


@pytest.mark.parametrize(
    ("message", "code", "meaning"),
    [
        (said("RequestLimitExceeded"), "RequestLimitExceeded", "again"),
        (said("InternalError"), "InternalError", "again"),
        (said("UnauthorizedOperation"), "UnauthorizedOperation", "stop"),
        (said("InvalidAMIID.NotFound"), "InvalidAMIID.NotFound", "stop"),
        (said("NobodyKnowsThis"), "NobodyKnowsThis", "stop"),
        (
            "waiting for EC2 Instance (i-1) create: unexpected state 'terminated', wanted target 'running'. "
            "last error: Server.InsufficientInstanceCapacity: Insufficient capacity",
            "InsufficientInstanceCapacity",
            "next",
        ),
        (
            "waiting for EC2 Instance (i-1) create: unexpected state 'shutting-down', wanted target 'running'",
            "lost",
            "again",
        ),
        (f'creating EC2 Instance: {RUN}request send failed, Post "https://ec2": EOF', "lost", "again"),
        ("creating EC2 Instance: context canceled", "lost", "again"),
        ("waiting for EC2 Instance (i-1) create: timeout while waiting for state", "lost", "again"),
        ("unable to validate AWS credentials. No valid credential sources found.", "no-credentials", "stop"),
        (f'before hook "burst-0" failed: {NOT_AGAIN}', "ended", "stop"),
        ("update failed", "", "stop"),
    ],
)
def test_reasons(message: str, code: str, meaning: str) -> None:
    found = reason_of(message)
    assert (found.code, found.meaning) == (code, meaning)


@pytest.mark.parametrize(
    ("message", "expected", "next_step"),
    [
        (said("ExpiredToken"), "credentials that are valid now", "aws sso login"),
        (said("AuthFailure"), "credentials that AWS accepts", "AWS_PROFILE"),
        ("No valid credential sources found", "AWS credentials", "AWS_PROFILE"),
        (f"a hook failed: {NOT_AGAIN}", "an instance that runs", "`hostler up` rents another"),
        (said("UnauthorizedOperation"), "to be permitted ec2:RunInstances", "permit ec2:RunInstances"),
        (
            said("InvalidKeyPair.NotFound", "The key pair 'x' does not exist"),
            "AWS to accept it",
            "see what AWS says",
        ),
    ],
)
def test_errors_say_what_to_type(message: str, expected: str, next_step: str) -> None:
    error = error_of("burst-0", reason_of(message))
    (problem,) = error.problems
    assert error.code == Exit.PROVISION
    assert problem.expected == expected
    assert next_step in problem.next_step


def test_what_did_not_end_is_named_with_its_id() -> None:
    has = Candidate(region="eu-central-1", zone="eu-central-1a", instance="g5.xlarge", market="spot")
    machine = Rented(slot="a-0", pool="a", id="i-1", candidate=has, public_ip="", private_ip="", uid="u")
    denied, late = reason_of(said("UnauthorizedOperation")), Reason(code="timeout", text="no answer")
    first, second = still_there({"a-0": machine}, {"a-0": late, "a-1": denied}).problems
    assert str(first) == "a-0 (i-1 in eu-central-1): expected it to end; got timeout: no answer"
    assert first.next_step == "run the same command again: it costs until it is gone"
    assert second.where == "a-1"
    assert second.next_step.startswith(
        "let the account's administrator permit ec2:RunInstances; then run the same"
    )


@pytest.mark.parametrize(
    ("code", "stderr", "got", "next_step"),
    [
        (255, "error: one\nWARN x\nerror: no stack", "255: no stack", "hostler doctor"),
        (255, "", "255: no reason given", "hostler doctor"),
        (-9, "", "killed by signal 9", "the same command again"),
        (
            255,
            "error: failed to save: operation error S3: PutObject, api error ExpiredToken: it has expired",
            "ExpiredToken: it has expired",
            "aws sso login",
        ),
        (
            255,
            "error: operation error S3: GetObject, api error NoSuchKey: no",
            "255: operation",
            "hostler doctor",
        ),
    ],
)
def test_what_the_cli_says_where_no_event_says_why(code: int, stderr: str, got: str, next_step: str) -> None:
    (problem,) = said_by_cli("pulumi", code, stderr).problems
    assert problem.got.startswith(got)
    assert next_step in problem.next_step
