"""Idle and wake: what holds for each model and pool when all defaults are worked out, and what cannot be. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import replace

from . import updating
from .notes import Notes
from .saving import Controller, Idle, Rents, Wake
from .sections import HostEntry, Model, Pool, Stack

SHORTEST_S = 10.0  # a shorter window would be over between two looks
AWAY = ("stop", "terminate", "suspend")  # what takes a whole machine away
_POOL_WORDS = {"rented": ("terminate", "stop", "sleep", "none"), "owned": ("sleep", "suspend", "none")}
_DAY_S = 86400.0


def of_pool(stack: Stack, pool_name: str) -> Idle | None:
    """What happens to idle machines of the pool; `do` is stop, terminate or suspend, or `none` where there is only a
    `max_age`. None: nothing, also where `do: sleep` is about the replicas on them."""
    idle = stack.pools[pool_name].idle
    if idle is None or (idle.do not in AWAY and idle.max_age is None):
        return None
    return _plain(idle if idle.do in AWAY else replace(idle, do="none"))


def of_replica(stack: Stack, model_name: str, pool_name: str) -> Idle | None:
    """What happens to an idle replica of the model on a machine of the pool; `do` is sleep. None: nothing. `keep` is at
    most the number of replicas."""
    model = stack.models[model_name]
    idle = model.idle or stack.pools[pool_name].idle
    if idle is None or idle.do != "sleep":
        return None
    return _plain(replace(idle, keep=min(idle.keep, model.replicas), max_age=None))


def of_model(stack: Stack, model_name: str) -> Idle | None:
    """The same of the first of its pools where something happens."""
    every = (of_replica(stack, model_name, pool) for pool in _pools_of(stack, stack.models[model_name]))
    return next((idle for idle in every if idle), None)


def can_sleep(stack: Stack, model_name: str) -> bool:
    """Whether a replica of it may be away on purpose: it sleeps, or its machine is suspended or given back. Not where
    that is only reported, or all are kept."""
    model = stack.models[model_name]
    for name in _pools_of(stack, model):
        asleep, away = of_replica(stack, model_name, name), of_pool(stack, name)
        if asleep and not asleep.shadow and asleep.keep < model.replicas:
            return True
        if away and away.do in AWAY and not away.shadow and away.keep < _size(stack.pools[name]):
            return True
    return False


def waiting(stack: Stack, model_name: str) -> Idle | None:
    """The `idle` whose `queue` and `duration` say how many requests wait until the model is awake, and how long: the
    model's own, else of the first of its pools that puts it away. None: its replicas are never away."""
    if not can_sleep(stack, model_name):
        return None
    model = stack.models[model_name]
    if model.idle:
        return model.idle
    pools = (stack.pools[name].idle for name in _pools_of(stack, model))
    return next((idle for idle in pools if idle and idle.do != "none" and not idle.shadow), None)


def controlled(stack: Stack) -> bool:
    """Whether a controller is wanted that runs all the time; `updates` alone need none."""
    return isinstance(stack.controller, Controller)


def rents(stack: Stack) -> Rents | None:
    """By what that controller rents machines again that were given back; None: people do."""
    return stack.controller.rents if isinstance(stack.controller, Controller) else None


def has_page(stack: Stack) -> bool:
    """Whether that controller shows the status page."""
    return isinstance(stack.controller, Controller) and stack.controller.page


def refuses(stack: Stack) -> bool:
    """Whether the gateway is to refuse keys whose budget is used up: the controller says which."""
    acts = any(one.act for one in stack.budget.keys.values()) if stack.budget else False
    return acts and controlled(stack)


def has_controller(stack: Stack) -> bool:
    """Whether there is a controller at all: one that runs all the time, or one that `updates` have a turn of now and
    then."""
    return controlled(stack) or updating.unattended(stack.updates)


def wake_of(stack: Stack, host_name: str) -> Wake | None:
    """How an owned host is woken."""
    hosts = (host for pool in stack.pools.values() for host in pool.hosts)
    return next((host.wake for host in hosts if host.name == host_name), None)


def _pools_of(stack: Stack, model: Model) -> tuple[str, ...]:
    """Those that it may run in and that there are."""
    if model.cloud:
        return ()
    return tuple(name for name in model.pool or stack.pools if name in stack.pools)


def _plain(idle: Idle) -> Idle:
    """With the zone that its hours are in."""
    bare = idle.hours is not None and idle.hours.split()[-1][0].isdigit()
    return replace(idle, hours=f"{idle.hours} UTC") if bare else idle


def _size(pool: Pool) -> int:
    return len(pool.hosts) or (pool.count.high if pool.count else 1)


def check(stack: Stack, notes: Notes) -> None:
    """Notes what no pool, model or host can do, and what nothing would be there for."""
    for name, pool in stack.pools.items():
        _pool(f"pools.{name}", name, pool, stack, notes)
        for index, host in enumerate(pool.hosts):
            _host(f"pools.{name}.hosts[{index}]", host, pool, notes)
    for name, model in stack.models.items():
        if model.idle:
            _model(f"models.{name}.idle", model, model.idle, notes)


def _model(path: str, model: Model, idle: Idle, notes: Notes) -> None:
    if model.cloud:
        notes.about(path, "no idle beside `cloud`", "a model that takes no card of yours", "take it out")
        return
    _word(f"{path}.do", idle.do, ("sleep", "none"), "a model's replicas", notes)
    if idle.max_age is not None:
        step = "take it out, or give it to its pool"
        notes.about(f"{path}.max_age", "max_age of a rented pool", "one of a model", step)
    _common(path, idle, model.replicas, "replicas", notes)


def _pool(path: str, name: str, pool: Pool, stack: Stack, notes: Notes) -> None:
    if pool.idle is None or bool(pool.hosts) == bool(pool.aws):
        return
    kind = "rented" if pool.aws else "owned"
    _word(f"{path}.idle.do", pool.idle.do, _POOL_WORDS[kind], f"{kind} machines", notes)
    if pool.idle.max_age is not None and kind == "owned":
        got, step = "one of owned machines, which cost the same at any age", "take it out"
        notes.about(f"{path}.idle.max_age", "max_age of a rented pool", got, step)
    if pool.idle.do == "stop" and pool.aws and pool.aws.spot != "never":
        got = f"spot: {pool.aws.spot}, of which AWS stops none"
        notes.about(
            f"{path}.idle.do", "`spot: never` beside `do: stop`", got, "write terminate, or spot: never"
        )
    if pool.idle.do == "sleep":
        here = [model.replicas for model in stack.models.values() if name in model.pool]
        _common(f"{path}.idle", pool.idle, max(here, default=1000), "replicas", notes)
    else:
        _common(f"{path}.idle", pool.idle, _size(pool), "machines", notes)


def _word(path: str, do: str, words: Sequence[str], whose: str, notes: Notes) -> None:
    if do in words or path in notes.unbuilt:
        return
    instead = {"terminate": "suspend", "stop": "suspend", "suspend": "terminate"}.get(do, "")
    near = instead if instead in words else "sleep"
    got = f"{do}: did you mean {near}?"
    notes.about(path, f"for {whose} {' | '.join(words)}", got, f"write {near}")


def _common(path: str, idle: Idle, most: int, what: str, notes: Notes) -> None:
    if idle.after < SHORTEST_S and idle.do != "none":
        expected = f"at least {SHORTEST_S:.0f}s, so that somebody can look"
        notes.about(f"{path}.after", expected, f"{idle.after:g}s", "write 20m")
    if idle.keep > most:
        notes.about(f"{path}.keep", f"at most {most}, the number of {what}", str(idle.keep), f"write {most}")
    if idle.max_age is not None and idle.max_age <= idle.after:
        expected = "a longer time than `after`"
        notes.about(f"{path}.max_age", expected, f"{idle.max_age / 60:g} min", "make it longer")
    if idle.hours and not notes.troubled(f"{path}.hours"):
        found = updating.known_window(f"{path}.hours", idle.hours, notes)
        if found and found.length_s >= _DAY_S and len(found.days) == len(updating.DAYS):
            got, step = "all hours of all days", "make them fewer, or write `idle: never`"
            notes.about(f"{path}.hours", "hours in which something may happen as well", got, step)


def _host(path: str, host: HostEntry, pool: Pool, notes: Notes) -> None:
    if host.wake:
        _wake(f"{path}.wake", host.wake, notes)
    elif pool.idle and pool.idle.do == "suspend" and not notes.troubled(f"{path}.wake"):
        step = 'add wake: "3c:ec:ef:12:34:56", its MAC address, or write `do: sleep`'
        notes.about(path, "`wake`, as its pool suspends what is idle", "a host that nothing could wake", step)


def _wake(path: str, wake: Wake, notes: Notes) -> None:
    ways = [key for key in ("mac", "command") if getattr(wake, key) is not None]
    if len(ways) != 1 and not notes.troubled(path):
        notes.about(path, "one of mac, command", " and ".join(ways) or "none of them", "keep one")
    for key in ("broadcast", "address", "port"):
        if wake.command and not wake.mac and getattr(wake, key) is not None:
            notes.about(f"{path}.{key}", f"{key} beside `mac`", "only `command`", "take it out")
    if wake.broadcast and not _is_ipv4(wake.broadcast):
        step = "write 192.168.20.255 in a network 192.168.20.0/24"
        notes.about(f"{path}.broadcast", "the IPv4 address of a broadcast", wake.broadcast, step)


def _is_ipv4(text: str) -> bool:
    try:
        return isinstance(ipaddress.ip_address(text), ipaddress.IPv4Address)
    except ValueError:
        return False


def check_controller(stack: Stack, notes: Notes) -> None:
    """Who would wake it, and who would tell? A rented gateway is not let in to the other hosts yet."""
    if found := rents(stack):
        _check_rents(found, stack, notes)
    for name, pool in stack.pools.items():
        if pool.start and not away_in_the_cloud(stack, name):
            step = "take it out, or `idle: {after: 30m, do: terminate}` at a rented pool"
            notes.about(f"pools.{name}.start", "a rented pool whose machines are given back", name, step)
        elif pool.start and not found:
            step = "controller: {rents: {credentials: AWS_CREDENTIALS, passphrase: STATE_PASSPHRASE}}"
            notes.about(f"pools.{name}.start", "a controller that may rent", "none", step)
    if notes.troubled("pools") or notes.troubled("gateway") or "pools" in notes.unbuilt:
        return  # where the gateway is, is not known
    needs = list(_needs(stack))
    if stack.gateway.host in {host.name for pool in stack.pools.values() for host in pool.hosts}:
        if stack.controller == "none" and needs:
            who = ", ".join(needs)
            verb = "needs" if len(needs) == 1 else "need"
            notes.about("controller", f"a controller, as {who} {verb} it", "none", f"take it out, or {who}")
        return
    for path in (*needs, *(["controller"] if controlled(stack) else [])):
        expected = "a gateway on a machine of your own: a rented one is not let in to the other hosts yet"
        notes.about(path, expected, "a gateway on a machine of AWS", "take it out")


def _check_rents(found: Rents, stack: Stack, notes: Notes) -> None:
    """It needs what a second laptop needs; and where nothing is given back, nothing is to be rented again."""
    path = "controller.rents"
    for key, name in (("credentials", found.credentials), ("passphrase", found.passphrase)):
        if name and name not in stack.secrets and not notes.troubled("secrets"):
            step = f"add it to secrets: {{{name}: {{file: ~/.config/hostler/{key}}}}}"
            notes.about(f"{path}.{key}", "a name under `secrets`", f"{name}, which is not there", step)
    sealed = stack.state is not None and stack.state.kms is not None
    if not sealed and found.passphrase is None:
        step = "name the secret that holds HOSTLER_PASSPHRASE, or give the state a KMS key: state: {kms: alias/hostler}"
        notes.about(path, "a passphrase, with which the state's secrets are read", "none", step)
    if not any(away_in_the_cloud(stack, name) for name in stack.pools) and not notes.troubled("pools"):
        step = "take it out, or `idle: {after: 30m, do: terminate}` at a rented pool"
        notes.about(path, "a rented pool whose machines are given back", "none", step)


def away_in_the_cloud(stack: Stack, pool_name: str) -> bool:
    """Whether machines of the pool are rented, and given back when they are idle."""
    idle = stack.pools[pool_name].idle
    return bool(stack.pools[pool_name].aws and idle and idle.do in ("terminate", "stop") and not idle.shadow)


def stops_in_the_cloud(stack: Stack, pool_name: str) -> bool:
    """Whether they keep their disks then, and are started again instead of rented."""
    if pool_name not in stack.pools or not away_in_the_cloud(stack, pool_name):
        return False
    idle = stack.pools[pool_name].idle
    return idle is not None and idle.do == "stop"


def _needs(stack: Stack) -> Iterator[str]:
    """What cannot be without a controller."""
    for name, pool in stack.pools.items():
        if pool.idle and pool.idle.do in ("sleep", "suspend"):
            yield f"pools.{name}.idle"
    for name, model in stack.models.items():
        if model.idle and model.idle.do == "sleep":
            yield f"models.{name}.idle"
        if model.otherwise:
            yield f"models.{name}.else"
    if stack.alarms:
        yield "alarms"
    for name, one in stack.budget.keys.items() if stack.budget else ():
        if one.act:
            yield f"budget.keys.{name}.act"
