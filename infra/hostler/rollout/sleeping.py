"""Which pools can sleep and be woken: rented ones, and not the one that the gateway is on."""

from __future__ import annotations

from hostler.errors import RefusedError, UsageError
from hostler.stackfile.defaults import ends
from hostler.stackfile.sections import StackFile


def pool_of(file: StackFile, name: str, *, sleep: bool) -> str:
    """The pool's name. Raises UsageError for one that is not rented, RefusedError for the gateway's."""
    pools = [pool for pool, section in file.stack.pools.items() if section.aws]
    if name not in pools:
        raise UsageError.of(
            f"hostler {'sleep' if sleep else 'wake'}",
            expected=f"one of the rented pools: {', '.join(pools) or 'the stack file has none'}",
            got=name,
            next_step="owned machines are not given back",
        )
    if (
        sleep
        and file.stack.gateway.host is None
        and name == next(p for p in pools if not ends(file.stack.pools[p]))
    ):
        raise RefusedError.of(
            f"pool {name}",
            expected="a pool without the gateway",
            got="the one that it runs on: the stack would have no address, and lose its record",
            next_step="`hostler down` takes the whole stack away",
        )
    return name
