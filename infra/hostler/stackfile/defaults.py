"""Defaults that depend on the rest of the file: names, the only pool, the gateway's host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from . import forms
from .fields import Range
from .hosts import host_name
from .notes import Notes
from .rented import is_slot
from .saving import Budget, Controller, Idle, Money
from .sections import Gateway, HostEntry, Model, Pool, Stack

RENTED_IDLE = Idle(do="terminate")  # of rented pools where the file says nothing


def filled(stack: Stack, notes: Notes) -> Stack:
    """The same wish with nothing left open that the file itself can tell."""
    pools = {name: _pool(pool) for name, pool in stack.pools.items()}
    gateway = _gateway(stack.gateway, pools)
    homes = home_pools(pools, gateway.host)
    return replace(
        stack,
        stack=stack.stack or _stack_name(notes),
        pools={name: pool if name in homes else _given_back(pool) for name, pool in pools.items()},
        models={name: _model(model, pools) for name, model in stack.models.items()},
        gateway=gateway,
        money=_money(stack.money, stack.budget),
        controller=stack.controller or _controller(stack, gateway, pools),
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
    idle = pool.idle and _idle(pool.idle, "terminate" if pool.aws else "sleep")
    return replace(pool, hosts=tuple(_host(host) for host in pool.hosts), count=count, idle=idle)


def _idle(idle: Idle, do: Literal["sleep", "terminate"]) -> Idle:
    return idle if idle.do else replace(idle, do=do)


def _given_back(pool: Pool) -> Pool:
    """A pool without the gateway: what is rented there is ended when it is idle."""
    return replace(pool, idle=RENTED_IDLE) if pool.aws and not pool.hosts and pool.idle is None else pool


def _host(host: HostEntry) -> HostEntry:
    return replace(host, name=host.name or host_name(host.address))


def _model(model: Model, pools: Mapping[str, Pool]) -> Model:
    model = replace(model, idle=model.idle and _idle(model.idle, "sleep"))
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


def _money(money: Money | None, budget: Budget | None) -> Money | None:
    if money is None or money.currency or budget is None or not budget.month:
        return money
    return replace(money, currency=currency(budget.month))


def currency(price: str) -> str:
    """`EUR` of `0.32 EUR/kWh`."""
    return price.split()[1].partition("/")[0]


def _controller(stack: Stack, gateway: Gateway, pools: Mapping[str, Pool]) -> Controller | Literal["none"]:
    """There where the file itself asks for what it does, which `pools` say without their default `idle`; a rented
    gateway is not let in to the other hosts."""
    given = [
        *(pool.idle for pool in pools.values()),
        *(model.idle for model in stack.models.values()),
    ]
    does = any(idle and (idle.do != "none" or idle.max_age) for idle in given)
    does = does or any(model.otherwise for model in stack.models.values())
    owned = {host.name for pool in pools.values() for host in pool.hosts}
    return Controller() if gateway.host in owned and (does or stack.budget or stack.alarms) else "none"


def home_pools(pools: Mapping[str, Pool], host: str | None) -> frozenset[str]:
    """Pools that the gateway is on, or may be: that of its host, or, where the file names none, each rented one whose
    hosts stay. It may go from one to another of those when the file's order changes."""
    if host is None:
        return frozenset(name for name, pool in pools.items() if pool.aws and not ends(pool))
    return frozenset(
        name
        for name, pool in pools.items()
        if is_slot(host, name) or any(one.name == host for one in pool.hosts)
    )


def ends(pool: Pool) -> bool:
    """Whether hosts of the pool may be gone tomorrow: suspended, given back, or taken back by the spot market."""
    if pool.idle is not None and (pool.idle.do not in ("sleep", "none") or pool.idle.max_age is not None):
        return True
    return pool.aws is not None and (pool.aws.spot != "never" or pool.count is None or pool.count.low < 1)
