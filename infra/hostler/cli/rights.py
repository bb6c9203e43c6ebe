"""hostler rights: what the controller may do in AWS where it rents."""

from __future__ import annotations

import click

from hostler.cli import options
from hostler.console.out import Out


@click.command()
@options.stack
@options.as_json
def command(file: str | None, as_json: bool) -> None:
    """Show the least rights in AWS with which the controller rents again what was given back.

    As a policy document, for the user or role whose credentials `controller.rents` names:

    \b
      hostler rights > rights.json
      aws iam create-policy --policy-name hostler --policy-document file://rights.json
      aws iam create-user --user-name hostler
      aws iam attach-user-policy --user-name hostler --policy-arn ARN   # that of the policy
      aws iam create-access-key --user-name hostler

    They are limited to this stack: its bucket, its regions and instance types, and what has its tag. Nothing is changed.
    """
    from hostler.cloud import rights
    from hostler.rollout.rights import document

    out, found = Out(as_json=as_json), document(options.load(file))
    if (size := rights.size(found)) > rights.LIMIT:
        out.say(f"warning: it has {size} characters, and a policy of AWS {rights.LIMIT} at most: make it two")
    out.json(found)
