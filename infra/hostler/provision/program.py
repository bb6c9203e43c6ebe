"""The Pulumi program: one OwnedHost for each host of the stack file. The same inline and by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pulumi

from hostler.hosts.types import Host
from hostler.provision import properties
from hostler.provision.launch import Launches
from hostler.provision.provider import OWNED_HOST
from hostler.provision.types import SeenOf


class OwnedHost(pulumi.CustomResource):
    """A server that its owner made. Inputs: what is expected; outputs: `status` and what was last seen."""

    def __init__(self, inputs: dict[str, Any], options: pulumi.ResourceOptions | None = None) -> None:
        outputs = {"status": None, "seenCards": None, "seenDriver": None, "seenMachineId": None}
        super().__init__(OWNED_HOST, inputs["name"], {**outputs, **inputs}, options)

    def translate_input_property(self, prop: str) -> str:
        return prop

    def translate_output_property(self, prop: str) -> str:
        return prop


def program(
    hosts: Sequence[Host], seen: SeenOf, uid: str = "", launches: Launches | None = None
) -> Callable[[], None]:
    """The program; `seen` waits for each host's answer, so the CLI starts while the probes still run."""

    def run() -> None:
        if launches:
            from hostler.provision.rented import declare

            declare(launches)
        for host in hosts:
            OwnedHost(properties.inputs_of(host, seen(host.name)))
        if uid:
            pulumi.export("uid", uid)

    return run
