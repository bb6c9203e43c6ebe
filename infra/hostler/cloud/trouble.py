"""AWS's errors in our words: what was expected, what came, and what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from difflib import get_close_matches
from typing import Any, Literal

from hostler.errors import Problem, ProvisionError

type Trouble = Literal[
    "expired", "no-credentials", "wrong-credentials", "forbidden", "throttled", "unreachable", "closed-region", "other"
]  # fmt: skip

# AWS's services say the same in different words
CODES: dict[Trouble, frozenset[str]] = {
    "expired": frozenset({"RequestExpired", "ExpiredToken", "ExpiredTokenException", "RequestTimeTooSkewed"}),
    "wrong-credentials": frozenset(
        {
            "AuthFailure",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            "InvalidAccessKeyId",
            "IncompleteSignature",
            "MissingAuthenticationToken",
        }
    ),
    "forbidden": frozenset(
        {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthorizationError", "403"}
    ),
    "throttled": frozenset(
        {
            "RequestLimitExceeded",
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "TooManyRequestsException",
            "RequestThrottled",
            "SlowDown",
        }
    ),
    "closed-region": frozenset({"OptInRequired", "RegionDisabledException"}),
}
# botocore's classes (and their parents) where AWS was not asked, or did not answer
CLASSES: dict[Trouble, frozenset[str]] = {
    "no-credentials": frozenset({"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}),
    "expired": frozenset({"SSOError", "TokenRetrievalError", "LoginError"}),
    "wrong-credentials": frozenset(
        {"CredentialRetrievalError", "ConfigParseError", "RefreshWithMFAUnsupportedError"}
    ),
    "unreachable": frozenset({"HTTPClientError", "ConnectionError", "InvalidRegionError"}),
}
EXPECTED: dict[Trouble, tuple[str, str]] = {  # expected, next step
    "expired": (
        "credentials that are valid now",
        "log in again (`aws sso login`, or new keys), and see that this machine's clock is right; "
        "`aws sts get-caller-identity` shows whether it worked",
    ),
    "no-credentials": (
        "AWS credentials",
        "set AWS_PROFILE, or log in with `aws configure sso`; `aws sts get-caller-identity` shows whether it worked",
    ),
    "wrong-credentials": (
        "credentials that AWS accepts",
        "look at AWS_PROFILE, AWS_ACCESS_KEY_ID and ~/.aws/credentials; `aws sts get-caller-identity` shows who they are",
    ),
    "throttled": ("an answer", "AWS limits how often this account may ask: try again in a minute"),
    "unreachable": ("an answer", "look at the network, the proxy and AWS_ENDPOINT_URL of this machine"),
    "closed-region": (
        "a region that is open for this account",
        "open the region in the account's settings, or take another one",
    ),
    "other": ("an answer", "see what AWS says"),
}
_LONGEST = 300  # characters of AWS's own words that are shown
_ACTION = re.compile(r"perform: ([a-z0-9-]+:[A-Za-z]+)")


class AwsError(ProvisionError):
    """`kind` for programs, `aws_code` as AWS calls it (empty: it said nothing)."""

    kind: Trouble = "other"
    aws_code: str = ""


def from_aws(
    error: Exception, where: str, region: str = "", known: Callable[[], Collection[str]] = tuple
) -> AwsError:
    """An error of botocore's as one of ours. `region`: the one that was asked; `known`: all that there are, to see
    whether it is one of them where nothing answered."""
    code, text = code_of(error)
    kind = kind_of(error)
    expected, step = EXPECTED.get(kind, EXPECTED["other"])
    if kind == "forbidden":
        action = action_of(error, text)
        expected, step = f"to be permitted {action}", f"let the account's administrator permit {action}"
    if kind == "unreachable" and region:
        regions = known()
        if regions and region not in regions:
            near = get_close_matches(region, regions, 1)
            expected, step = (
                "a region of AWS",
                f"did you mean {near[0]}?" if near else "see the list of regions",
            )
    got = f"{code}: {text}" if code else text
    ours = AwsError(Problem(where=where, expected=expected, got=got, next_step=step))
    ours.kind, ours.aws_code = kind, code
    return ours


def code_of(error: Exception) -> tuple[str, str]:
    """AWS's code (empty where no answer came) and its words, shortened."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    said: dict[str, Any] = response.get("Error", {})
    text = " ".join(str(said.get("Message") or error).split())
    return str(said.get("Code", "")), text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def kind_of(error: Exception) -> Trouble:
    code = code_of(error)[0]
    classes = {one.__name__ for one in type(error).__mro__}
    for kind, codes in CODES.items():
        if code in codes:
            return kind
    for kind, names in CLASSES.items():
        if classes & names:
            return kind
    return "other"


def action_of(error: Exception, text: str) -> str:
    """`ec2:DescribeInstances` where AWS says so, else the operation's name alone."""
    named = _ACTION.search(text)
    return named[1] if named else str(getattr(error, "operation_name", "") or "this")
