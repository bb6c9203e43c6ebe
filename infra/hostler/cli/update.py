"""hostler update: newer versions of what floats."""

from __future__ import annotations

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import Exit


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@options.stack
@options.as_json
@click.option("--apply", "apply_", is_flag=True, help="Roll out what nothing stops.")
@click.option("--now", is_flag=True, help="Take what is younger than `updates.min_age`, too.")
@click.option("--again", is_flag=True, help="Take what went back before, too.")
@options.yes
@options.allow_downtime
@options.cut
def command(
    models: tuple[str, ...],
    file: str | None,
    as_json: bool,
    apply_: bool,
    now: bool,
    again: bool,
    yes: bool,
    allow_downtime: bool,
    cut: bool,
) -> int:
    """Show newer versions of what floats: tags of engine images, revisions of models. --apply rolls them out.

    Nothing older than what runs is taken, nothing that a release went back from, and nothing younger than
    `updates.min_age`. What a plain `up` runs never moves by itself.
    """
    from hostler.rollout import up, update

    out = Out(as_json=as_json)
    loaded = options.load(file)
    observation, found = update.candidates(loaded, out, models, yes=yes, changes=apply_)
    taken = update.taken(found, now=now, again=again) if apply_ else []
    if as_json and not taken:
        out.json(update.rows(found))
        return int(Exit.DONE)
    if not found:
        out.say("nothing newer: every model runs what its tag and its source mean now")
        return int(Exit.DONE)
    out.narrating().table(
        ("MODEL", "CHANGES", "NOT TAKEN"), [(one.model, "; ".join(one.changed), one.why_not) for one in found]
    )
    if not apply_:
        free = update.taken(found, now=False, again=False)
        if free:
            out.say(f"`hostler update {' '.join(one.model for one in free)} --apply` rolls it out")
        return int(Exit.DONE)
    if not taken:
        out.say("nothing is taken")
        return int(Exit.DONE)
    chosen = up.Options(yes=yes, allow_downtime=allow_downtime, cut=cut)
    update.apply(loaded, observation, taken, out, chosen)
    return int(Exit.DONE)
