"""hostler update: newer versions of what floats."""

from __future__ import annotations

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import Exit


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL|gateway|controller]...")
@options.stack
@options.as_json
@click.option("--apply", "apply_", is_flag=True, help="Roll out what nothing stops.")
@click.option("--now", is_flag=True, help="Take what is younger than `updates.min_age`, too.")
@click.option("--again", is_flag=True, help="Take what went back before, too.")
@click.option(
    "--bake",
    metavar="TIME",
    help="Watch the first replica so long under real requests (`updates.bake`, where the stack file has `updates`).",
)
@click.option("--pause", metavar="WHY", help="Let the controller change nothing from now on.")
@click.option("--for", "lasting", metavar="TIME", help="With --pause: go on after so long, such as 3d.")
@click.option("--go-on", is_flag=True, help="Let the controller go on, after --pause or when it has halted.")
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
    bake: str | None,
    pause: str | None,
    lasting: str | None,
    go_on: bool,
    yes: bool,
    allow_downtime: bool,
    cut: bool,
) -> int:
    """Show newer versions of what floats: tags of engine images, revisions of models, HAProxy's image of gateway and edges.
    --apply rolls them out.

    Of images none is taken that is older than what runs, or was made less than `updates.min_age` ago; a model's new
    revision has no such wait when you apply it. Nothing is taken that a release went back from. Without --apply nothing moves, unless the stack file says `daily`, `weekly` or `monthly`: then the
    controller on the gateway's host takes it in the window, when it has known it for `min_age`; `hostler status` has its
    last word.
    """
    from hostler.rollout import holding, up, update

    out = Out(as_json=as_json)
    loaded = options.load(file)
    watched = options.seconds("--bake", bake)
    lasts = options.seconds("--for", lasting)
    if (pause or "").startswith("-"):
        raise click.UsageError("--pause says why: --pause 'exam week' --for 7d")
    if (pause or go_on) and (models or apply_ or (pause and go_on)):
        raise click.UsageError("--pause WHY and --go-on stand alone: they are a word to the controller.")
    if lasting and not pause:
        raise click.UsageError("--for says how long --pause lasts.")
    if pause or go_on:
        holding.hold(loaded, out, why=pause or "", lasting=lasts)
        return int(Exit.DONE)
    observation, found = update.candidates(loaded, out, models, yes=yes, changes=apply_)
    taken = update.taken(found, now=now, again=again) if apply_ else []
    if as_json and not taken:
        out.json(update.rows(found))
        return int(Exit.DONE)
    if not found:
        out.say("nothing newer: everything runs what its tag and its source mean now")
        return int(Exit.DONE)
    out.narrating().table(
        ("WHAT", "CHANGES", "NOT TAKEN"), [(one.model, "; ".join(one.changed), one.why_not) for one in found]
    )
    if not apply_:
        free = update.taken(found, now=False, again=False)
        if free:
            out.say(f"`hostler update {' '.join(one.model for one in free)} --apply` rolls it out")
        return int(Exit.DONE)
    if not taken:
        out.say("nothing is taken")
        return int(Exit.DONE)
    bake_s = update.bake_of(loaded) if watched is None else int(watched)
    chosen = up.Options(yes=yes, allow_downtime=allow_downtime, cut=cut, bake_s=bake_s)
    update.apply(loaded, observation, taken, out, chosen)
    return int(Exit.DONE)
