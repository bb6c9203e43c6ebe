"""Defaults that depend on the rest of the file: names, the only pool, the gateway's host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from . import forms
from .fields import Range
from .hosts import host_name
from .notes import Notes
from .sections import Gateway, HostEntry, Model, Pool, Stack


def filled(stack: Stack, notes: Notes) -> Stack:
    """The same wish with nothing left open that the file itself can tell."""
    pools = {name: _pool(pool) for name, pool in stack.pools.items()}
    return replace(
        stack,
        stack=stack.stack or _stack_name(notes),
        pools=pools,
        models={name: _model(model, pools) for name, model in stack.models.items()},
        gateway=_gateway(stack.gateway, pools),
    )


def _stack_name(notes: Notes) -> str:
    """The file's name as a name; a problem is noted where it gives none."""
    stem = Path(notes.path).name.partition(".")[0]
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:32].rstrip("-")
    try:
        return forms.parse("name", name)
    except forms.FormError:
        if "stack" not in notes.given:
            expected = "the key `stack`, where the file's name gives no name"
            notes.about("stack", expected, "a section without it", "add `stack: office`, or rename the file")
        return "stack"


def _pool(pool: Pool) -> Pool:
    count = pool.count or (Range(1, 1) if pool.aws else None)
    return replace(pool, hosts=tuple(_host(host) for host in pool.hosts), count=count)


def _host(host: HostEntry) -> HostEntry:
    return replace(host, name=host.name or host_name(host.address))


def _model(model: Model, pools: Mapping[str, Pool]) -> Model:
    if model.pool or model.cloud or len(pools) != 1:
        return model
    return replace(model, pool=tuple(pools))


def _gateway(gateway: Gateway, pools: Mapping[str, Pool]) -> Gateway:
    if gateway.host:
        return gateway
    stays = (host.name for pool in pools.values() if not ends(pool) for host in pool.hosts)
    if (host := next(stays, None)) is None and gateway.tls is None:
        return replace(gateway, tls="private-ca")  # on a rented host, whose address is public
    return replace(gateway, host=host)


def ends(pool: Pool) -> bool:
    """Whether hosts of the pool may be gone tomorrow: given back, or taken back by the spot market."""
    if pool.idle is not None and pool.idle.do != "sleep":
        return True
    return pool.aws is not None and (pool.aws.spot != "never" or pool.count is None or pool.count.low < 1)
