"""The program and the probe for the Pulumi CLI by hand, where no hostler process stands beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hostler.errors import HostlerError, StackFileError
from hostler.hosts.types import Host, Seen, Ssh


def run() -> None:
    """Registers the hosts of the stack file as they are seen now."""
    import pulumi

    from hostler.hosts.probe import probe
    from hostler.provision.program import program

    try:
        hosts = stack_hosts(pulumi.Config("hostler").get("stackFile"))
    except HostlerError as error:
        raise pulumi.RunError(str(error)) from None
    answers = probe(hosts)
    for name, seen in answers.items():
        if not seen.reached:
            pulumi.log.warn(f"{name}: {seen.error}; what was expected of it stays expected")
    program(hosts, answers.__getitem__)()


def stack_hosts(path: str | None) -> Sequence[Host]:
    """Raises StackFileError for a stack that rents: this program would end what it does not declare."""
    from hostler.stackfile.hosts import hosts_of
    from hostler.stackfile.load import find, load

    file = load(find(path or os.environ.get("HOSTLER_STACK")))
    if renting := [name for name, pool in file.stack.pools.items() if pool.aws]:
        raise StackFileError.of(
            f"pools {', '.join(renting)}",
            expected="owned hosts, where the Pulumi CLI is driven by hand",
            got="machines that are rented",
            next_step="hostler plan, or hostler pulumi -- preview",
        )
    return hosts_of(file)


def look(inputs: Mapping[str, Any], hosts: Sequence[Host] | None = None) -> Seen:
    """One host, for a refresh: with the stack file's login where there is one, else by its inputs."""
    from hostler.hosts.probe import probe

    known = {host.name: host for host in (_known_hosts() if hosts is None else hosts)}
    host = known.get(inputs["name"]) or Host(name=inputs["name"], pool="", ssh=_ssh(inputs))
    return probe([host])[host.name]


def _known_hosts() -> Sequence[Host]:
    if not Path(os.environ.get("HOSTLER_STACK", "")).is_file():
        return ()
    try:
        return stack_hosts(None)
    except HostlerError:
        return ()  # a refresh does not need the file; `pulumi preview` says what is wrong with it


def _ssh(inputs: Mapping[str, Any]) -> Ssh:
    return Ssh(address=inputs["address"], user=inputs.get("user"), port=inputs.get("port"))
