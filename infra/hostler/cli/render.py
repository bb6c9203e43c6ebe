"""hostler render: the same thing for plain ansible-playbook."""

from __future__ import annotations

from pathlib import Path

import click

from hostler.cli import options
from hostler.console.out import Out


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@options.stack
def command(directory: Path, file: str | None) -> None:
    """Write inventory, variables, files and playbooks to DIRECTORY: plain ansible-playbook there does the same."""
    from hostler.configure.render import render
    from hostler.rollout import byhand, carrying

    draft = byhand.drafted(options.load(file), "render")
    render(directory, draft.observation.hosts, draft.plan.manifests)
    for line in carrying.by_hand(draft.plan.manifests, draft.plan.changes):
        Out().say(line)
    Out().say(f"written; next: cd {directory} && ansible-playbook -i inventory.yml site.yml")
