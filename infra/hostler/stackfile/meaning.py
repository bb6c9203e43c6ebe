"""What the types cannot say: names that must be there, and keys that exclude each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from . import alarms, idling, rented, spending, updating
from .defaults import ends
from .notes import Notes, nearest
from .sections import HostEntry, Model, Pool, Stack

OWN_PORTS = {22: "SSH", 8443: "the edges", 9404: "metrics", 9405: "metrics", 9410: "health answers"}
ACCOUNT = "hostler"  # on every host; nobody can log in to it
HUB_TOKEN = "HF_TOKEN"  # noqa: S105 the name of a secret, not one
ENGINE_PORTS = range(18080, 20080)  # each with its second one, 1000 above


def check(stack: Stack, notes: Notes) -> None:
    """Notes all impossible combinations. What was wrong already is not reported in other words too."""
    _pools(stack.pools, notes)
    _hosts(stack.pools, notes)
    rented.check_state(stack, notes)
    rented.check_clients(stack, notes)
    for name, model in stack.models.items():
        _model(f"models.{name}", model, stack, notes)
    if not stack.models and not notes.troubled("models"):
        notes.about(
            "models", "at least one model", "none", 'add one, such as chat: "hf:ORG/REPO-GGUF:Q4_K_M"'
        )
    idling.check(stack, notes)
    _gateway(stack, notes)
    idling.check_controller(stack, notes)
    _secrets(stack, notes)
    _mirror(stack, notes)
    updating.check(stack, notes)
    alarms.told("alarms", stack.alarms, stack, notes)
    spending.check(stack, notes)


def _mirror(stack: Stack, notes: Notes) -> None:
    """{registry} is for images alone; a token does not cross a network in the clear."""
    for key in ("hub", "apt"):
        if stack.mirror and "{" in (getattr(stack.mirror, key) or ""):
            notes.about(f"mirror.{key}", "an address", "{registry}, which is for images", "take it out")
    if stack.mirror and (stack.mirror.hub or "").startswith("http:") and HUB_TOKEN in stack.secrets:
        notes.about(
            "mirror.hub",
            f"an https address, since {HUB_TOKEN} is sent there",
            "http, over which anybody could read it",
            f"write https, or take {HUB_TOKEN} out of `secrets`",
        )


def _pools(pools: Mapping[str, Pool], notes: Notes) -> None:
    if not pools and not notes.troubled("pools"):
        notes.about("pools", "at least one pool", "none", "add one, such as home: [basement]")
    for name, pool in pools.items():
        path = f"pools.{name}"
        if pool.hosts and pool.aws:
            notes.about(path, "hosts or aws", "both", "make it two pools; a model may name both")
        elif not pool.hosts and not pool.aws and not notes.troubled(path):
            notes.about(
                path,
                "at least one host",
                "none",
                "add one, such as hosts: [basement]; `local` is this machine",
            )
        rented.check(path, pool, notes)


def _all_hosts(pools: Mapping[str, Pool]) -> Iterator[tuple[str, HostEntry]]:
    for name, pool in pools.items():
        for index, host in enumerate(pool.hosts):
            yield f"pools.{name}.hosts[{index}]", host


def _hosts(pools: Mapping[str, Pool], notes: Notes) -> None:
    """One name and one door for each machine."""
    names: dict[str, str] = {}
    doors: dict[tuple[str, int | None, str | None], str] = {}
    for path, host in _all_hosts(pools):
        door = (host.address.lower(), host.port, host.jump)
        name = host.name or ""
        if door in doors:
            line = notes.place(doors[door])[0]
            notes.about(
                path, "each machine once", f"{host.address}, as in line {line}", "take one of the two out"
            )
        elif name in names:
            line = notes.place(names[name])[0]
            got = f"{name}, as in line {line}"
            notes.about(path, "a name of its own for each host", got, "add `name:` to one of the two")
        elif slot := next((pool for pool in pools if pools[pool].aws and rented.is_slot(name, pool)), ""):
            got = f"{name}, which is a rented host of pool {slot}"
            notes.about(path, "a name of its own for each host", got, "add `name:` to it")
        if host.address == "local" and (extra := _ssh_keys(host)):
            notes.about(
                path,
                "no SSH keys beside `address: local`",
                extra,
                "take it out; this machine is not logged in to",
            )
        _login(path, host, notes)
        names.setdefault(name, path)
        doors.setdefault(door, path)


def _login(path: str, host: HostEntry, notes: Notes) -> None:
    if host.user == ACCOUNT:
        notes.about(
            f"{path}.user",
            "a login of its own",
            f"{ACCOUNT}, the account that containers run as and nobody can log in to",
            "name the user that you log in as",
        )


def _ssh_keys(host: HostEntry) -> str:
    given = {
        "user": host.user,
        "port": host.port,
        "key": host.key,
        "jump": host.jump,
        "host_key": host.host_key,
    }
    return ", ".join(key for key, value in given.items() if value is not None)


def _model(path: str, model: Model, stack: Stack, notes: Notes) -> None:
    if model.cloud and model.source:
        notes.about(
            path, "source or cloud", "both", "make it two models; `else` of the one may name the other"
        )
    elif not model.cloud and not model.source and model.engine != "container" and not notes.troubled(path):
        notes.about(path, "a source", "a model without one", 'add source: "hf:ORG/REPO-GGUF:Q4_K_M"')
    if model.engine == "embeddings" and model.smoke.expect:
        notes.about(
            f"{path}.smoke.expect",
            "a question alone: an answer of `engine: embeddings` is a vector",
            model.smoke.expect,
            "take `expect` out; the vector is looked at anyway",
        )
    _model_pools(path, model, stack, notes)
    if model.sha256 and model.source and model.source.startswith("hf:"):
        notes.about(
            f"{path}.sha256",
            "sha256 beside an https address or a path",
            "a hub's repository, which tells its checksums",
            "take it out; @REVISION pins a repository",
        )
    _otherwise(path, model, stack, notes)


def _otherwise(path: str, model: Model, stack: Stack, notes: Notes) -> None:
    """Two models may name each other: who stands in is taken from the list of the model that was asked alone."""
    for index, name in enumerate(model.otherwise):
        where, other = f"{path}.else[{index}]", stack.models.get(name)
        if f"models.{name}" == path:
            notes.about(where, "another model", f"{name} itself", "take it out")
        elif name in model.otherwise[:index]:
            notes.about(where, "each model once", f"{name}, twice", "take one of the two out")
        elif other is None:
            _known(where, name, stack.models, "models", notes)
        elif _kind(other) != _kind(model):
            expected = f"a model that answers what this one answers: {_kind(model)}"
            notes.about(
                where, expected, f"{name}, which gives {_kind(other)}", "name another, or take it out"
            )
        elif model.private and other.cloud:
            expected = "a model of your own, as this one is never sent to a cloud API"
            notes.about(where, expected, f"{name}, which is a cloud API's", "take it out, or `private`")


def _kind(model: Model) -> str:
    return "vectors (`engine: embeddings`)" if model.engine == "embeddings" else "text"


def _model_pools(path: str, model: Model, stack: Stack, notes: Notes) -> None:
    if model.cloud and model.pool:
        notes.about(f"{path}.pool", "no pool beside `cloud`", ", ".join(model.pool), "take it out")
    if (
        not model.pool
        and not model.cloud
        and len(notes.names.get("pools", ())) > 1
        and not notes.troubled(f"{path}.pool")
    ):
        pools = ", ".join(stack.pools)
        notes.about(
            path,
            f"a pool, since there are several: {pools}",
            "a model without one",
            f"add `pool: {next(iter(stack.pools), '')}`",
        )
    for index, name in enumerate(model.pool):
        if f"{path}.pool" in notes.given:
            _known(f"{path}.pool[{index}]", name, stack.pools, "pools", notes)
    if len(set(model.pool)) < len(model.pool):
        notes.about(f"{path}.pool", "each pool once", ", ".join(model.pool), "take out what is there twice")


def _known(path: str, name: str, known: Mapping[str, object], section: str, notes: Notes) -> None:
    if name in notes.names.get(section, ()):
        return
    near = nearest(name, known)
    got = name + (f": did you mean {near}?" if near else "")
    notes.about(
        path,
        f"one of {section}: {', '.join(known)}",
        got,
        f"write {near}" if near else f"add it to {section}",
    )


def _gateway(stack: Stack, notes: Notes) -> None:
    _gateway_host(stack, notes)
    port = stack.gateway.port
    if port in OWN_PORTS or port in ENGINE_PORTS:
        used = OWN_PORTS.get(port, "engines")
        notes.about(
            "gateway.port",
            "a port that nothing else uses",
            f"{port}, which is for {used}",
            "choose another, such as 8000",
        )


def _gateway_host(stack: Stack, notes: Notes) -> None:
    hosts = {host.name or "": pool for pool in stack.pools.values() for host in pool.hosts}
    name = stack.gateway.host
    if name not in hosts and (notes.troubled("pools") or (name is None and "pools" in notes.unbuilt)):
        return
    step = "name an owned host that stays"
    if name is None and any(not ends(pool) for pool in stack.pools.values()):
        return  # the first rented host of a pool that stays
    if name is None:
        notes.about(
            "gateway",
            "a host that stays, for the gateway",
            "only pools whose hosts may be given back, taken back by the spot market, or suspended",
            "add a pool with `hosts`, or one of `aws` with `spot: never` and a count of 1 or more; its `idle` may say `sleep` "
            "or `never`",
        )
    elif name in hosts and ends(hosts[name]):
        notes.about(
            "gateway.host", "a host that stays", f"{name}, of a pool whose idle hosts are suspended", step
        )
    elif name not in hosts and (pool := _rented(name, stack)):
        if ends(pool):
            notes.about(
                "gateway.host", "a host that stays", f"{name}, of a rented pool that terminates", step
            )
    elif name not in hosts:
        near = nearest(name, hosts) or next(
            (host.name or "" for _, host in _all_hosts(stack.pools) if host.address == name), ""
        )
        got = name + (f": did you mean {near}?" if near else "")
        notes.about(
            "gateway.host", f"one of the hosts {', '.join(hosts)}", got, f"write {near}" if near else step
        )


def _rented(name: str, stack: Stack) -> Pool | None:
    """The pool of which it would be a slot."""
    return next(
        (
            section
            for pool, section in stack.pools.items()
            if section.aws and re.fullmatch(rf"{re.escape(pool)}(-[0-9]+)?", name)
        ),
        None,
    )


def _secrets(stack: Stack, notes: Notes) -> None:
    for name, secret in stack.secrets.items():
        ways = [key for key in ("env", "command", "file") if getattr(secret, key) is not None]
        if len(ways) != 1 and not notes.troubled(f"secrets.{name}"):
            got = " and ".join(ways) or "none of them"
            notes.about(f"secrets.{name}", "one of env, command, file", got, "keep one")
    for name, model in stack.models.items():
        if model.key and model.key not in stack.secrets and not notes.troubled("secrets"):
            notes.about(
                f"models.{name}.key",
                "a name under `secrets`",
                f"{model.key}, which is not there",
                f"add it to secrets: {{{model.key}: env}}",
            )
