"""Who the credentials are."""

from __future__ import annotations

from dataclasses import dataclass

from hostler.cloud.session import asking, client


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    account: str  # 123456789012
    arn: str


def identity(region: str = "us-east-1") -> Identity:
    """Asked of STS in that region; costs one short call, and needs no permission. Raises ProvisionError."""
    with asking("AWS credentials", region):
        said = client("sts", region).get_caller_identity()
    return Identity(account=said["Account"], arn=said["Arn"])
