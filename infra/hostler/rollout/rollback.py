"""hostler rollback: a release of before becomes the next one."""

from __future__ import annotations

from dataclasses import replace

from hostler.console.out import Out
from hostler.rollout import home, networks, releases
from hostler.rollout.planning import Draft
from hostler.rollout.up import Options, look, up
from hostler.stackfile.asked import asked_digests
from hostler.stackfile.sections import StackFile

__all__ = ["Options", "rollback"]


def rollback(file: StackFile, number: int | None, out: Out, options: Options) -> Draft | None:
    """The same way as any `up`: planned, asked for, rolled, proved. None: it was answered with no."""
    record = home.running(look(file, options, out, pulumi=False))
    made = releases.again(record, number, asked_digests(file.stack))
    why = f"{releases.ROLLBACK} to {number}" if number else releases.ROLLBACK
    if made.number != record.release:
        made = replace(made, who=networks.owner(), when=releases.now(), why=why)
    return up(file, out, replace(options, release=made, why=why))
