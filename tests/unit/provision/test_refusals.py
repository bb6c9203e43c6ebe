"""What the cloud's words mean for a slot, by the texts of Pulumi's AWS provider."""

from __future__ import annotations

import pytest

from hostler.errors import Exit
from hostler.provision.refusals import NEXT, Reason, error_of, reason_of

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
