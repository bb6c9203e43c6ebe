"""hostler fit: which cards hold a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import UsageError

if TYPE_CHECKING:
    from hostler.stackfile.sections import StackFile


@click.command()
@click.argument("model")
@click.option("--pool", metavar="NAME", help="Only the hosts of this pool.")
@click.option(
    "--card", "cards", multiple=True, metavar="CARD*N", help="Named cards instead of hosts: 'RTX 3090*2'."
)
@options.stack
@options.as_json
def command(model: str, pool: str | None, cards: tuple[str, ...], file: str | None, as_json: bool) -> None:
    """Show which cards hold MODEL, with how much context, how fast, and why others do not.

    MODEL is a source (hf:ORG/REPO:QUANT, https://..., a path) or a model's name in the stack file.
    Only its header is read. Memory of your own replicas counts as free. Tokens a second are those that
    the cards' bandwidth allows one request after 8k tokens.
    """
    from hostler.console import fit
    from hostler.rollout.fit import answer, is_source

    out = Out(as_json=as_json)
    if cards and pool:
        raise UsageError.of(
            "fit",
            expected="--card or --pool",
            got="both",
            next_step="leave --pool out: named cards stand for no host of the stack",
        )
    optional = is_source(model) and not file and not pool
    found = answer(
        model, file=_stack(file, bool(cards)) if optional else options.load(file), pool=pool, cards=cards
    )
    if as_json:
        out.json(fit.report(found.subject, found.fit, found.notes))
    else:
        fit.show(found.subject, found.fit, found.notes, out)


def _stack(file: str | None, unasked: bool) -> StackFile | None:
    """The stack file if there is one; a source is answered without it too."""
    from hostler.errors import StackFileError
    from hostler.stackfile.find import find
    from hostler.stackfile.load import load

    if unasked:
        return None
    try:
        path = find(file)
    except StackFileError:
        return None
    return load(path)
