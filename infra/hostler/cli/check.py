"""hostler check: all mistakes of the stack file at once."""

from __future__ import annotations

import click

from hostler.cli import options
from hostler.console.out import Out


@click.command()
@options.stack
@options.as_json
def command(file: str | None, as_json: bool) -> None:
    """Look for mistakes in the stack file.

    Every mistake is shown at once, with its line, what was expected, and the nearest right word.
    Nothing is contacted. Files of this machine that it names must be there (certificates, keys of a mirror); weights
    that are not are a note, for the hosts may have them. What is in these files is not looked at.
    """
    from hostler.rollout import here

    loaded = options.load(file)
    out = Out(as_json=as_json)
    here.check(loaded)
    stack = loaded.stack
    hosts = sum(len(pool.hosts) for pool in stack.pools.values())
    rented = sum(pool.count.high for pool in stack.pools.values() if pool.aws and pool.count)
    if as_json:
        out.json({"file": loaded.path, "stack": stack.stack, "hosts": hosts, "models": sorted(stack.models)})
    else:
        own = f"{hosts} host{'s' * (hosts != 1)}" + (f" and up to {rented} rented" if rented else "")
        out.data(f"{loaded.path}: good: stack {stack.stack}, {own}, models {', '.join(sorted(stack.models))}")
    for line in here.weights_elsewhere(loaded):
        out.say(f"note: {line}")
