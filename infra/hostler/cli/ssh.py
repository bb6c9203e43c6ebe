"""hostler ssh: log in, with the stack file's own way."""

from __future__ import annotations

import os
import sys

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import ProvisionError, UsageError


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("host")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@options.stack
def command(host: str, words: tuple[str, ...], file: str | None) -> None:
    """Log in to HOST, or run WORDS there, exactly as Hostler reaches it."""
    from hostler.hosts.openssh import ssh_argv
    from hostler.rollout import lastknown, rented
    from hostler.stackfile.hosts import hosts_of

    loaded = options.load(file)
    hosts = {known.name: known for known in hosts_of(loaded)}
    if host not in hosts and rented.rents(loaded):
        cloud = lastknown.known(loaded, Out().say)
        if cloud.why and host not in cloud.hosts:
            raise ProvisionError(*cloud.why)
        hosts = {**hosts, **cloud.hosts}
    if host not in hosts:
        raise UsageError.of("hostler ssh", expected=f"one of {', '.join(hosts)}", got=host)
    sys.stdout.flush()
    argv = ssh_argv(hosts[host], words)
    os.execvp(argv[0], argv)  # noqa: S606 - a list of words, no shell
