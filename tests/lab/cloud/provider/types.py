"""What a resource type of the stand-in is, and what one call of the provider works with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .values import Values, aws_tags

TAGGED = ("arn", "tagsAll")


class Partial(Exception):
    """The resource exists but is not as it should be: the engine must keep it in the state."""

    def __init__(self, id: str, reason: str) -> None:
        super().__init__(reason)
        self.id = id


class Cancelled(Exception):
    def __init__(self) -> None:
        super().__init__("context canceled")


class Account(Protocol):
    """What a call needs of the provider."""

    cancelled: threading.Event
    region: str
    account: str
    default_tags: Values

    def client(self, service: str, region: str) -> Any: ...


class Call:
    """Clients for the resource's own region, waiting, and tags with the provider's default ones."""

    def __init__(self, provider: Account, name: str, inputs: Values) -> None:
        self.provider, self.name = provider, name
        self.region: str = inputs.get("region") or provider.region
        self.tags: Values = {**provider.default_tags, **(inputs.get("tags") or {})}

    @property
    def ec2(self) -> Any:
        return self.provider.client("ec2", self.region)

    @property
    def iam(self) -> Any:
        return self.provider.client("iam", self.region)

    @property
    def ssm(self) -> Any:
        return self.provider.client("ssm", self.region)

    @property
    def sts(self) -> Any:
        return self.provider.client("sts", self.region)

    def spec(self, kind: str, tags: Values | None = None) -> list[Values]:
        """TagSpecifications of a kind; none where there are no tags."""
        found = aws_tags(self.tags if tags is None else tags)
        return [{"ResourceType": kind, "Tags": found}] if found else []

    def wait[T](self, done: Callable[[], T], what: str, limit: float = 600) -> T:
        end, pause = time.monotonic() + limit, 0.02
        while not (answer := done()):
            if time.monotonic() > end:
                raise TimeoutError(f"timeout while waiting for {what}")
            if self.provider.cancelled.wait(pause):
                raise Cancelled
            pause = min(pause * 1.5, 2)
        return answer

    def retag(self, id: str, old: Values) -> None:
        """EC2's tags as they are wanted now."""
        self.set_tags(id, old.get("tagsAll") or {}, self.tags)

    def set_tags(self, id: str, before: Values, wanted: Values) -> None:
        """Asks for what differs only, as the AWS provider does: a right may be for some keys alone."""
        if dead := [{"Key": key} for key in before if key not in wanted]:
            self.ec2.delete_tags(Resources=[id], Tags=dead)
        if fresh := {key: value for key, value in wanted.items() if before.get(key) != value}:
            self.ec2.create_tags(Resources=[id], Tags=aws_tags(fresh))

    def arn(self, service: str, tail: str) -> str:
        region = "" if service == "iam" else self.region
        return f"arn:aws:{service}:{region}:{self.provider.account}:{tail}"


@dataclass(frozen=True)
class Type:
    """A resource type. `label` is the AWS provider's word in its messages.

    replace: changes to these, or below them, replace. drift: inputs that a refresh takes from the cloud. computed:
    unknown in the preview of a create. name: the input that is named after the resource where it is not given.
    """

    label: str
    create: Callable[[Call, Values], str]
    read: Callable[[Call, str, Values], Values | None]
    delete: Callable[[Call, str, Values], None]
    update: Callable[[Call, str, Values, Values, set[str]], None] | None = None
    required: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    name: str = ""
    drift: tuple[str, ...] = ()
    computed: tuple[str, ...] = ("arn",)
    enums: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    check: Callable[[Values], dict[str, str]] | None = None

    def replaces(self, path: str) -> bool:
        words = path.replace("[", ".").split(".")
        every = (*self.replace, "region")
        return any(one == "*" or words[: one.count(".") + 1] == one.split(".") for one in every)


def retags(call: Call, id: str, old: Values, new: Values, changed: set[str]) -> None:
    """The update of types of which only tags change in place."""
    if "tags" in changed:
        call.retag(id, old)
