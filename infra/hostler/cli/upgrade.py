"""hostler upgrade: what is under the replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import Exit

if TYPE_CHECKING:
    from hostler.rollout.observe import Observation
    from hostler.rollout.upgrading import Outlook

KINDS = ("security", "packages", "docker", "driver", "kernel")


@click.command()
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
@options.stack
@options.as_json
@click.option(
    "--security", is_flag=True, help="The distribution's security fixes; what --apply takes by itself."
)
@click.option("--packages", is_flag=True, help="All other packages that nothing has to stop for.")
@click.option("--docker", is_flag=True, help="Docker, containerd, runc, NVIDIA's container toolkit.")
@click.option("--driver", is_flag=True, help="NVIDIA's driver, within its branch; with a reboot.")
@click.option("--kernel", is_flag=True, help="The kernel; with a reboot.")
@click.option(
    "--reboot", is_flag=True, help="Reboot hosts that wait for it; hosts that are named, in any case."
)
@click.option("--all", "every", is_flag=True, help="All of these.")
@click.option("--apply", "apply_", is_flag=True, help="Do it, host by host.")
@options.yes
@options.allow_downtime
@options.cut
def command(
    hosts: tuple[str, ...],
    file: str | None,
    as_json: bool,
    every: bool,
    reboot: bool,
    apply_: bool,
    yes: bool,
    allow_downtime: bool,
    cut: bool,
    **kinds: bool,
) -> int:
    """Show what is newer under the replicas of HOSTs, or of all; --apply upgrades it without losing a request.

    Fixes that nothing has to stop for are installed while everything serves. For Docker, driver, kernel and reboots one
    host after the other is drained, upgraded, asked, and only then sent requests again; the gateway's host comes last.
    What cannot be had without downtime says for how long, and needs --allow-downtime. A host that fails stays drained,
    and no other one is touched; `hostler up` asks it again, and lets it serve.
    """
    from hostler.console import upgrade as show
    from hostler.rollout import upgrade, upgrading

    out = Out(as_json=as_json)
    asked = tuple(kind for kind in KINDS if every or kinds[kind])
    shows_all = not asked and not reboot and not apply_
    chosen = upgrade.Options(
        hosts=hosts,
        kinds=KINDS if shows_all else asked or (() if reboot else ("security",)),
        reboot=reboot or every or shows_all,
        in_any_case=reboot,
        yes=yes,
        allow_downtime=allow_downtime,
        cut=cut,
    )
    observation, found = upgrade.look(options.load(file), chosen, out, changes=apply_)
    rows = upgrading.as_rows(found)
    if as_json:
        out.json(rows)
    spelled = {gap.seconds: upgrading.spell(gap.seconds) for gap in found.away}
    show.show(rows, out.narrating(), spelled)
    for turn in found.turns:
        for warning in turn.looked.warnings:
            out.say(f"warning: {turn.host}: {warning}")
    if found.empty:
        which = "every other host" if found.failed else "every host"
        out.say(f"nothing to do: {which} has the newest of that")
        return _code(observation, found, hosts)
    if not apply_:
        out.say(
            "`hostler upgrade --apply` takes security fixes; with --docker, --driver, --kernel, --all those"
        )
        return int(Exit.CONFIGURE if found.failed else Exit.DONE)
    upgrade.refuse(observation, found, chosen)
    if not out.confirm("Upgrade?", yes=yes):
        out.say("nothing was changed")
        return int(Exit.CONFIGURE if found.failed else Exit.DONE)
    upgrade.apply(observation, found, out, chosen)
    return _code(observation, found, hosts)


def _code(observation: Observation, found: Outlook, named: tuple[str, ...]) -> int:
    """6 where a host's package manager must be mended, 4 where hosts of the stack did not answer: they were left out."""
    if found.failed:
        return int(Exit.CONFIGURE)
    silent = [one for one in observation.seen.values() if not one.reached and one.error_kind != "absent"]
    return int(Exit.HOST if silent and not named else Exit.DONE)
