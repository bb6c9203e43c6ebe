"""Which pools can sleep and be woken: rented ones, and not the one that the gateway is on."""

from __future__ import annotations

from hostler.errors import RefusedError, UsageError
from hostler.stackfile.defaults import ends
from hostler.stackfile.notes import nearest
from hostler.stackfile.rented import is_slot
from hostler.stackfile.sections import StackFile


def pool_of(file: StackFile, name: str, *, sleep: bool) -> str:
    """The pool's name. Raises UsageError for one that is not rented, RefusedError for the gateway's."""
    pools = [pool for pool, section in file.stack.pools.items() if section.aws]
    if name not in pools:
        near = nearest(name, pools) or next(iter(pools), "")
        raise UsageError.of(
            f"hostler {'sleep' if sleep else 'wake'}",
            expected=f"one of the rented pools: {', '.join(pools) or 'the stack file has none'}",
            got=f"{name}, whose machines are your own" if name in file.stack.pools else name,
            next_step=f"write {near}" if near else "a pool with `aws` is rented: see stacks/hybrid.yaml",
        )
    if sleep and name == _home(file):
        raise RefusedError.of(
            f"pool {name}",
            expected="a pool without the gateway",
            got="the one that it runs on: the stack would have no address, and lose its record",
            next_step="`hostler down` takes the whole stack away",
        )
    return name


def _home(file: StackFile) -> str:
    """The rented pool with the gateway's host; empty: an owned host has it."""
    rented = {pool: section for pool, section in file.stack.pools.items() if section.aws}
    if named := file.stack.gateway.host:
        return next((pool for pool in rented if is_slot(named, pool)), "")
    return next((pool for pool, section in rented.items() if not ends(section)), "")
