"""hostler inventory: Ansible's dynamic inventory protocol."""

from __future__ import annotations

import click

from hostler.cli import options
from hostler.console.out import Out


@click.command()
@click.option("--list", "all_hosts", is_flag=True, help="All hosts and groups.")
@click.option("--host", "host", help="The variables of one host.")
@options.stack
def command(all_hosts: bool, host: str | None, file: str | None) -> None:
    """Answer Ansible's dynamic inventory protocol: ansible-playbook -i <a script that calls this>."""
    from hostler.configure.render import inventory_list
    from hostler.rollout import byhand

    if not all_hosts and not host:
        raise click.UsageError("one of --list or --host NAME")
    draft = byhand.drafted(options.load(file), "inventory")
    answer = inventory_list(draft.observation.hosts, draft.plan.manifests)
    Out().json(answer if all_hosts else answer["_meta"]["hostvars"].get(host, {}))
