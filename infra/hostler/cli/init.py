"""hostler init: a first stack file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import UsageError

if TYPE_CHECKING:
    from hostler.proposal.catalogue import Use


@click.command()
@click.argument("hosts", nargs=-1)
@options.yes
@click.option(
    "--for",
    "uses",
    multiple=True,
    type=click.Choice(("chat", "code", "embeddings")),
    help="What the models are for, once for each; asked on a terminal, else chat and what fits beside it.",
)
@click.option(
    "-o",
    "--out",
    "out_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("hostler.yaml"),
    show_default=True,
)
def command(hosts: tuple[str, ...], yes: bool, uses: tuple[Use, ...], out_file: Path) -> None:
    """Look at HOSTS (names of ~/.ssh/config, addresses, or `local`) and write a commented stack file
    with models that fit them."""
    from hostler.rollout import init

    out = Out()
    if out_file.exists():
        raise UsageError.of(
            str(out_file),
            expected="no file there yet",
            got="a file",
            next_step="choose another name with -o, or edit that one",
        )
    text = init.propose(hosts or ("local",), out, yes=yes, uses=uses)
    out_file.write_text(text, encoding="utf-8")
    out.say(f"wrote {out_file}; next: read it, then `hostler up`")
