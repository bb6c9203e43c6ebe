"""AWS's errors in our words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore import exceptions as b

from hostler.cloud.session import ATTEMPTS, asking, client, side_by_side
from hostler.cloud.trouble import AwsError, Trouble, from_aws
from hostler.errors import Exit


def said(code: str, text: str = "words", action: str = "DescribeInstances") -> b.ClientError:
    return b.ClientError({"Error": {"Code": code, "Message": text}}, action)


DENIED = "User: arn:aws:iam::1:user/ann is not authorized to perform: ec2:RunInstances with an explicit deny"
CASES: list[tuple[Exception, Trouble, str, str]] = [
    (said("RequestExpired"), "expired", "credentials that are valid now", "aws sso login"),
    (said("ExpiredToken"), "expired", "credentials that are valid now", "aws sso login"),
    (said("ExpiredTokenException"), "expired", "credentials that are valid now", "aws sso login"),
    (b.UnauthorizedSSOTokenError(), "expired", "credentials that are valid now", "aws sso login"),
    (b.TokenRetrievalError(provider="sso", error_msg="x"), "expired", "credentials that are valid now", "aws sso login"),
    (b.NoCredentialsError(), "no-credentials", "AWS credentials", "AWS_PROFILE"),
    (b.ProfileNotFound(profile="office"), "no-credentials", "AWS credentials", "AWS_PROFILE"),
    (said("AuthFailure"), "wrong-credentials", "credentials that AWS accepts", "get-caller-identity"),
    (said("InvalidClientTokenId"), "wrong-credentials", "credentials that AWS accepts", "get-caller-identity"),
    (said("UnrecognizedClientException"), "wrong-credentials", "credentials that AWS accepts", "AWS_PROFILE"),
    (said("UnauthorizedOperation", DENIED), "forbidden", "to be permitted ec2:RunInstances", "permit ec2:RunInstances"),
    (said("AccessDenied", "no"), "forbidden", "to be permitted DescribeInstances", "permit DescribeInstances"),
    (said("RequestLimitExceeded"), "throttled", "an answer", "in a minute"),
    (said("ThrottlingException"), "throttled", "an answer", "in a minute"),
    (said("OptInRequired"), "closed-region", "a region that is open for this account", "open the region"),
    (b.ConnectTimeoutError(endpoint_url="https://x"), "unreachable", "an answer", "the network"),
    (b.ReadTimeoutError(endpoint_url="https://x"), "unreachable", "an answer", "the network"),
    (b.EndpointConnectionError(endpoint_url="https://x"), "unreachable", "an answer", "the network"),
    (b.SSLError(endpoint_url="https://x", error="bad"), "unreachable", "an answer", "the network"),
    (said("InternalError"), "other", "an answer", "what AWS says"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "kind", "expected", "step"),
    CASES,
    ids=[f"{type(c[0]).__name__}-{i}" for i, c in enumerate(CASES)],
)
def test_each_error_says_what_to_do(error: Exception, kind: Trouble, expected: str, step: str) -> None:
    ours = from_aws(error, "machines of eu-central-1")
    (problem,) = ours.problems
    assert (ours.kind, ours.code) == (kind, Exit.PROVISION)
    assert problem.where == "machines of eu-central-1"
    assert problem.expected == expected
    assert step in problem.next_step


def test_the_clouds_own_code_and_words_are_kept() -> None:
    ours = from_aws(said("InsufficientInstanceCapacity", "not\n  here"), "x")
    assert (ours.aws_code, ours.problems[0].got) == (
        "InsufficientInstanceCapacity",
        "InsufficientInstanceCapacity: not here",
    )
    assert len(from_aws(said("X", "long " * 1000), "x").problems[0].got) < 400


@pytest.mark.parametrize(
    ("region", "expected", "step"),
    [
        ("eu-centrl-1", "a region of AWS", "did you mean eu-central-1?"),
        ("eu-central-1", "an answer", "look at the network"),
    ],
)
def test_a_region_that_does_not_exist(region: str, expected: str, step: str) -> None:
    error = b.EndpointConnectionError(endpoint_url=f"https://ec2.{region}.amazonaws.com")
    with pytest.raises(AwsError) as caught, asking("machines", region):
        raise error
    assert caught.value.problems[0].expected == expected
    assert caught.value.problems[0].next_step.startswith(step)


def test_no_credentials_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(AwsError) as caught, asking("zones"):
        client("ec2", "eu-central-1").describe_availability_zones()
    assert caught.value.kind == "no-credentials"


def test_an_error_of_ours_passes_unchanged() -> None:
    ours = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught, asking("zones"):
        raise ours
    assert caught.value is ours


def test_limits_are_short() -> None:
    config: Any = client("ec2", "eu-central-1").meta.config
    assert (config.connect_timeout, config.read_timeout) == (5, 20)
    assert config.retries["total_max_attempts"] == ATTEMPTS


def ask(key: str) -> str:
    if key.startswith("bad"):
        raise AwsError
    return key.upper()


@pytest.mark.parametrize("keys", [(), ("a",), ("c", "a", "b", "a")])
def test_answers_are_in_the_order_of_the_questions(keys: tuple[str, ...]) -> None:
    asking_: Callable[[str], str] = ask
    assert list(side_by_side(asking_, keys).items()) == [(key, key.upper()) for key in dict.fromkeys(keys)]


def test_an_error_of_one_is_raised() -> None:
    with pytest.raises(AwsError):
        side_by_side(ask, ("a", "bad", "c"))
