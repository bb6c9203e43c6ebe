"""The gateway's and the edges' files and containers, from specs. Pure: the same spec gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from hostler import resources
from hostler.gateway.specs import EdgeSpec, GatewaySpec, OwnTls, ServedModel
from hostler.manifest.contents import Content, MadeOnHost, Text
from hostler.manifest.items import Container, Directory, Effect, File, Health, Mount, Part

if TYPE_CHECKING:
    from jinja2 import Environment

# requests that HAProxy cannot parse: status, its reason, our message, our code
_UNREADABLE = {
    400: ("Bad Request", "The request is not valid HTTP", "bad_request"),
    408: ("Request Timeout", "The request did not arrive in time", "request_timeout"),
    414: ("URI Too Long", "The address is too long", "uri_too_long"),
    431: ("Request Header Fields Too Large", "The headers are too long", "headers_too_long"),
}
_SOFT_STOP = "SIGUSR1"  # HAProxy then finishes what it serves


def gateway_files(spec: GatewaySpec) -> tuple[File, ...]:
    """All files of the gateway, those under tls/ included."""
    etc = spec.paths.etc
    return (
        _gateway_file(f"{etc}/haproxy.cfg", _configuration(spec)),
        *(_gateway_file(f"{etc}/{status}.http", _unreadable(status)) for status in _UNREADABLE),
        _gateway_file(f"{etc}/models.map", "".join(f"{m.name} model_{m.name}\n" for m in spec.models)),
        _gateway_file(f"{etc}/models.lua", _render("gateway/models.lua.j2", spec=spec)),
        _gateway_file(f"{etc}/hold.lua", _render("gateway/hold.lua.j2", models=spec.models)),
        _gateway_file(f"{etc}/drain.lua", _render("drain.lua")),
        _gateway_file(f"{etc}/keys.map", keys_map(spec.keys), mode="0640"),
        *((_gateway_file(f"{etc}/admins.map", keys_map(spec.admins), mode="0640"),) if spec.page else ()),
        *_tls_files(spec),
        *(
            _gateway_pin(f"{spec.paths.tls}/peers/{host}.crt", host, spec.pins.get(host))
            for host in spec.remote_hosts
        ),
    )


def edge_files(spec: EdgeSpec) -> tuple[File, ...]:
    """All files of one host's edge, the gateway's pinned certificate included."""
    etc = spec.paths.etc
    return (
        _file(Part.EDGE, f"{etc}/haproxy.cfg", Text(text=_render("edge/haproxy.cfg.j2", spec=spec))),
        _file(Part.EDGE, f"{etc}/drain.lua", Text(text=_render("drain.lua"))),
        *(_file(Part.EDGE, path, content) for path, content in _edge_pins(spec)),
    )


def _edge_pins(spec: EdgeSpec) -> Iterator[tuple[str, Content]]:
    """The gateway's certificate, where it has something to ask for; those of hosts that share files."""
    gateway = MadeOnHost(host=spec.gateway_host, made="gateway.crt", sha256=spec.gateway_pin)
    if spec.host != spec.gateway_host:
        yield f"{spec.paths.tls}/peers/{spec.gateway_host}.crt", gateway
    if not spec.neighbours:
        return
    yield f"{spec.paths.etc}/pinned.lua", Text(text=_render("pinned.lua"))
    if spec.host != spec.gateway_host:
        yield f"{spec.sharing}/_gateway.crt", gateway
    for host, sha256 in spec.neighbours.items():
        yield f"{spec.sharing}/{host}.crt", MadeOnHost(host=host, made="edge.crt", sha256=sha256)


def gateway_container(spec: GatewaySpec) -> Container:
    return Container(
        id="gateway",
        part=Part.GATEWAY,
        image=spec.image,
        argv=_argv(spec.paths.etc, spec.paths.run),
        uid=spec.uid,
        user=spec.account,
        mounts=_mounts(spec),
        stop_signal=_SOFT_STOP,
        stop_s=120,
        health=Health(port=spec.port, path="/health", limit_s=60, unix=f"{spec.paths.run}/internal.sock"),
        effect=Effect.RESTART,
    )


def edge_container(spec: EdgeSpec) -> Container:
    return Container(
        id="edge",
        part=Part.EDGE,
        image=spec.image,
        argv=_argv(spec.paths.etc, spec.paths.run),
        uid=spec.uid,
        user=spec.account,
        mounts=_mounts(spec),
        stop_signal=_SOFT_STOP,
        stop_s=120,
        health=Health(port=spec.ports.edge_metrics, path="/health", limit_s=60),
        effect=Effect.RESTART,
    )


def gateway_directories(spec: GatewaySpec) -> tuple[Directory, ...]:
    return _directories(Part.GATEWAY, spec)


def edge_directories(spec: EdgeSpec) -> tuple[Directory, ...]:
    sharing = (Directory(path=spec.sharing, part=Part.EDGE),) if spec.neighbours else ()
    return (*_directories(Part.EDGE, spec), *sharing)


def gateway_made(spec: GatewaySpec) -> tuple[str, ...]:
    """Certificates to make on the gateway's host: `ca` issues `server`, which clients see."""
    own = ("gateway",) if spec.remote_hosts else ()
    return (*own, "ca", "server") if spec.tls == "private-ca" else own


def edge_made(_spec: EdgeSpec) -> tuple[str, ...]:
    return ("edge",)


def keys_map(rows: tuple[tuple[str, str], ...]) -> str:
    """The file of keys, of clients or of admins: one row a key, `SHA-256 name`, sorted by name."""
    return "".join(f"{digest} {name}\n" for digest, name in sorted(rows, key=lambda row: row[::-1]))


def _argv(etc: str, run: str) -> tuple[str, ...]:
    """ports.cfg is the host's own: on which of its two ports a replica listens (hostler.node.doors.ports)."""
    files = ("-f", f"{run}/ports.cfg", "-f", f"{etc}/haproxy.cfg")
    return ("haproxy", "-W", "-db", "-S", f"{run}/master.sock,mode,600", *files)


def _mounts(spec: GatewaySpec | EdgeSpec) -> tuple[Mount, ...]:
    """Whole folders, not files: a replaced file is then seen by a reload."""
    paths = spec.paths
    return (
        Mount(source=paths.etc, target=paths.etc),
        Mount(source=paths.tls, target=paths.tls),
        Mount(source=paths.drain, target=paths.drain),
        Mount(source=paths.run, target=paths.run, read_only=False),
    )


def _directories(part: Part, spec: GatewaySpec | EdgeSpec) -> tuple[Directory, ...]:
    account = spec.account
    return (
        Directory(path=spec.paths.etc, part=part),
        Directory(path=spec.paths.tls, part=part),
        Directory(path=f"{spec.paths.tls}/peers", part=part),
        Directory(path=spec.paths.drain, part=part),
        Directory(path=spec.paths.run, part=part, mode="0750", owner=account, group=account),
    )


def _tls_files(spec: GatewaySpec) -> tuple[File, ...]:
    if not isinstance(spec.tls, OwnTls):
        return ()
    server = f"{spec.paths.tls}/server"
    return (
        _gateway_file(f"{server}.crt", spec.tls.certificate),
        _file(Part.GATEWAY, f"{server}.key", spec.tls.key, mode="0640"),
    )


def _gateway_file(path: str, text: str, mode: str = "0644") -> File:
    return _file(Part.GATEWAY, path, Text(text=text), mode=mode)


def _gateway_pin(path: str, host: str, sha256: str | None) -> File:
    return _file(Part.GATEWAY, path, MadeOnHost(host=host, made="edge.crt", sha256=sha256))


def _file(part: Part, path: str, content: Content, mode: str = "0644") -> File:
    group = "root" if mode == "0644" else "hostler"
    unit = f"hostler@{part.value}.service"
    return File(
        path=path, part=part, content=content, mode=mode, group=group, effect=Effect.RELOAD, reload=unit
    )


def _configuration(spec: GatewaySpec) -> str:
    return _render("gateway/haproxy.cfg.j2", spec=spec, unreadable=tuple(_UNREADABLE))


def _unreadable(status: int) -> str:
    reason, message, code = _UNREADABLE[status]
    return _render("gateway/error.http.j2", status=status, reason=reason, message=message, code=code)


def _render(name: str, **values: Any) -> str:
    return _environment().get_template(name).render(**values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # slow to import

    environment = Environment(
        loader=FileSystemLoader(resources.templates()),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  configuration, no HTML; specs check every word
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "lua": _lua,
        "json": _json,
        "model_json": _model_json,
        "bracketed": _bracketed,
    }
    environment.filters.update(filters)  # pyright: ignore[reportUnknownMemberType]  jinja2 leaves its values untyped
    return environment


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _lua(text: str) -> str:
    """A Lua string literal; JSON's escapes of ASCII text mean the same in Lua."""
    return json.dumps(text)


def _model_json(model: ServedModel) -> str:
    value: dict[str, Any] = {
        "id": model.name,
        "object": "model",
        "created": model.created,
        "owned_by": "hostler",
    }
    return _json(value | ({"max_model_len": model.context} if model.context else {}))
