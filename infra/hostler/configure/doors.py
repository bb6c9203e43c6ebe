"""Parts edge and gateway: who is behind which door, handed to the gateway's room, which knows their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from hostler import operator
from hostler.configure import repositories, sharing
from hostler.engines.registry import by_name
from hostler.errors import StackFileError
from hostler.gateway import render
from hostler.gateway.specs import EdgeSpec, GatewaySpec, Holding, OwnTls, Route, ServedModel
from hostler.hosts import ways
from hostler.hosts.types import Host, Seen, Value
from hostler.manifest.contents import MadeOnHost, SecretRef, Text
from hostler.manifest.items import File, ImagePin, Item, Part, Port
from hostler.models.types import ReleasedModel, Replica
from hostler.stackfile import foreign, idling
from hostler.stackfile.sections import Hold, StackFile, TlsFiles

if TYPE_CHECKING:
    from hostler.configure.wish import Wish

TLS_KEY = "gateway.tls.key"  # a secret's name: the file that the stack file names


def made(wish: Wish, host: Host) -> tuple[str, ...]:
    """Names of the certificates that are made on a host."""
    if host.name == wish.record.gateway_host:
        edge = render.edge_made(edge_spec(wish, host)) if neighbours(wish, host) else ()
        return (*edge, *render.gateway_made(gateway_spec(wish)))
    return render.edge_made(edge_spec(wish, host)) if has_edge(wish, host) else ()


def made_for(wish: Wish, made: tuple[str, ...]) -> dict[str, str]:
    """Whom certificates name that are not the host's own: clients know an authority by the stack's name, and the
    gateway by the address that they use."""
    if "server" not in made:
        return {}
    gateway = next(host for host in wish.hosts if host.name == wish.record.gateway_host)
    return {"ca": wish.record.stack, "server": client_address(wish.file, gateway)}


def client_address(file: StackFile, gateway: Host) -> str:
    """The name or IP address that clients use for the gateway."""
    from hostler.hosts.connect import address_of

    return file.stack.gateway.address or address_of(gateway)


def items(wish: Wish, host: Host) -> tuple[Item, ...]:
    if host.name == wish.record.gateway_host:
        spec = gateway_spec(wish)
        found = (
            *render.gateway_directories(spec),
            *render.gateway_files(spec),
            image_of(wish, Part.GATEWAY),
            render.gateway_container(spec),
            Port(number=spec.port, part=Part.GATEWAY),
            *(_edge(wish, host) if neighbours(wish, host) else ()),
        )
    else:
        found = _edge(wish, host) if has_edge(wish, host) else ()
    return tuple(_with_pem(wish, item) for item in found)


def _edge(wish: Wish, host: Host) -> tuple[Item, ...]:
    """The gateway's host has one where it shares files with others; the image is there already, as the gateway's."""
    door = edge_spec(wish, host)
    image = image_of(wish, Part.EDGE)
    there = host.name == door.gateway_host and image.ref == image_of(wish, Part.GATEWAY).ref
    return (
        *render.edge_directories(door),
        *render.edge_files(door),
        *(() if there else (image,)),
        render.edge_container(door),
        Port(number=door.port, part=Part.EDGE),
        *(sharing.units() if door.neighbours else ()),
    )


def has_edge(wish: Wish, host: Host) -> bool:
    """Hosts other than the gateway's that serve a replica."""
    return host.name != wish.record.gateway_host and bool(wish.replicas(host.name))


def neighbours(wish: Wish, host: Host) -> tuple[str, ...]:
    """Hosts that share files of weights with a host, as far as they can be known by a certificate."""
    return tuple(name for name in sharing.near(wish, host) if _can_be_known(wish, name))


def _can_be_known(wish: Wish, name: str) -> bool:
    return not is_off(wish, name) or bool(known_certificate(wish, name, "edge")[0])


def gateway_spec(wish: Wish) -> GatewaySpec:
    others = [h.name for h in wish.hosts if has_edge(wish, h) and is_known(wish, h.name)]
    return GatewaySpec(
        uid=wish.record.uid,
        host=wish.record.gateway_host,
        image=image_of(wish, Part.GATEWAY),
        models=tuple(_served(wish, name, model) for name, model in sorted(wish.release.models.items())),
        keys=tuple((key.sha256, key.name) for key in wish.record.keys if not key.admin),
        page=idling.has_page(wish.file.stack),
        refuses=idling.refuses(wish.file.stack),
        admins=tuple((key.sha256, key.name) for key in wish.record.keys if key.admin),
        port=wish.file.stack.gateway.port,
        tls=_tls(wish.file),
        pins={name: pin for name in others if (pin := known_certificate(wish, name, "edge")[0])},
    )


def edge_spec(wish: Wish, host: Host) -> EdgeSpec:
    home = wish.record.gateway_host
    return EdgeSpec(
        uid=wish.record.uid,
        host=host.name,
        image=image_of(wish, Part.EDGE),
        replicas=()
        if host.name == home
        else tuple(route(wish, replica) for replica in wish.replicas(host.name)),
        neighbours={
            name: known_certificate(wish, name, "edge")[0] or None for name in neighbours(wish, host)
        },
        gateway_host=home,
        gateway_pin=certificate(wish.seen.get(home), "gateway")[0] or None,
    )


def route(wish: Wish, replica: Replica) -> Route:
    """A replica as the gateway sees it: on its own host by loopback, elsewhere through that host's edge."""
    member, runs = replica.members[0], wish.release.models[replica.model].runs
    local = member.host == wish.record.gateway_host
    return Route(
        id=replica.id,
        host=member.host,
        port=member.port,
        edge_address="" if local else known_address(wish, member.host),
        slots=runs.slots,
        health_path=by_name(runs.engine).health,
        keep_alive=by_name(runs.engine).keep_alive,
    )


def is_known(wish: Wish, name: str) -> bool:
    """Whether a host's replicas are reached by loopback, or it answers, or its certificate is remembered. The others
    are left out of the gateway until they answer: it could not tell that it talks to them."""
    if name == wish.record.gateway_host or not is_off(wish, name):
        return True
    return bool(known_certificate(wish, name, "edge")[0])


def is_off(wish: Wish, name: str) -> bool:
    seen = wish.seen.get(name)
    return seen is not None and not seen.reached


def known_certificate(wish: Wish, name: str, made: str) -> tuple[str, str]:
    """(SHA-256, PEM) of a host's certificate; of an edge that is off, of the one that it had when it last answered."""
    if made != "edge" or not is_off(wish, name):
        return certificate(wish.seen.get(name), made)
    expected = wish.record.expected.get(name)
    pem = expected.edge if expected else ""
    return (sha256(pem.encode()).hexdigest(), pem) if pem else ("", "")


def known_address(wish: Wish, name: str) -> str:
    """Where the gateway finds a host's edge; of one that is off, where it was: its name may have gone with it."""
    if name not in wish.addresses:
        wish.addresses[name] = _known_address(wish, name)
    return wish.addresses[name]


def _known_address(wish: Wish, name: str) -> str:
    expected = wish.record.expected.get(name)
    if is_off(wish, name) and expected and expected.address:
        return expected.address
    return edge_address(next(h for h in wish.hosts if h.name == name), wish.seen.get(name))


def edge_address(host: Host, seen: Seen | None) -> str:
    """Under which address the gateway finds a host: the one that people use, where the machine has it as its own; else the
    machine's first own one. A rented machine does not know its public address (AWS translates it), and its firewall lets
    the gateway in by that one alone."""
    from hostler.hosts.sshconfig import route as way

    if (told := ways.inner(host)) is not None:
        return told
    if not host.owned and host.ssh.address:
        return host.ssh.address
    used = "" if host.ssh.local else way(host.ssh, host.where).address
    own = seen.facts.addresses if seen and seen.facts else ()
    return used if used in own or not own else _resolved(used, own)


def _resolved(used: str, own: tuple[str, ...]) -> str:
    """A name stays a name only when the machine has none of its addresses as its own."""
    import socket

    try:
        found = [str(row[4][0]) for row in socket.getaddrinfo(used, None)] if used else []
    except OSError:
        found = []
    return next((a for a in found if a in own), next((a for a in own if ":" not in a), own[0]))


def _served(wish: Wish, name: str, model: ReleasedModel) -> ServedModel:
    replicas = [r for r in wish.placement.replicas if r.model == name and is_known(wish, r.members[0].host)]
    return ServedModel(
        name=name,
        replicas=tuple(route(wish, replica) for replica in replicas),
        context=model.runs.context,
        created=_since(wish, name, model),
        hold=_hold(wish.file, name),
        sleeps=_sleeps(wish.file, name),
        others=_others(wish.file, name),
        wait=_wait(wish.file, name),
    )


def _sleeps(file: StackFile, name: str) -> bool:
    """Whether somebody is there who wakes it."""
    stack = file.stack
    return name in stack.models and idling.controlled(stack) and idling.can_sleep(stack, name)


def _others(file: StackFile, name: str) -> bool:
    """Whether other models stand in for it, and somebody is there who asks them."""
    stack = file.stack
    return name in stack.models and idling.controlled(stack) and bool(stack.models[name].otherwise)


def _wait(file: StackFile, name: str) -> Holding:
    idle = idling.waiting(file.stack, name) if name in file.stack.models else None
    return Holding(queue=idle.queue, seconds=idle.duration) if idle else Holding(seconds=300)


def _hold(file: StackFile, name: str) -> Holding | None:
    section = file.stack.models.get(name)
    if section is None or not isinstance(section.hold, Hold):
        return None
    return Holding(queue=section.hold.queue, seconds=section.hold.duration)


def _since(wish: Wish, name: str, model: ReleasedModel) -> int:
    """When what runs was first released: a release that changes another model does not change this one's."""
    times = [r.when for r in wish.record.releases if name in r.models and r.models[name].runs == model.runs]
    return int(min(times, default=wish.release.when))


def _tls(file: StackFile) -> OwnTls | Literal["none", "private-ca"]:
    tls = file.stack.gateway.tls
    if isinstance(tls, TlsFiles):
        key = sha256(own_file(file, tls.key, "key")).hexdigest()
        certificate = own_file(file, tls.cert, "cert").decode()
        return OwnTls(certificate=certificate, key=SecretRef(name=TLS_KEY, sha256=key))
    return tls or "none"


def own_file(file: StackFile, path: str, what: str) -> bytes:
    """A PEM file of the user's, beside the stack file; raises StackFileError when it cannot be read as text, or only the
    record names it."""
    foreign.refuse(file, "gateway.tls")
    place = operator.named_file(file.path, path)
    try:
        content = place.read_bytes()
        content.decode()
    except (OSError, UnicodeDecodeError) as error:
        got = getattr(error, "strerror", None) or "not text"
        raise StackFileError.of(
            file.where(f"gateway.tls.{what}"), expected="a PEM file", got=f"{place}: {got}"
        ) from error
    return content


def own_files(file: StackFile) -> Iterator[tuple[str, Text | SecretRef]]:
    """What this machine has of what the stack file names, by the name there."""
    tls, mirror = file.stack.gateway.tls, file.stack.mirror
    if isinstance(tls, TlsFiles):
        yield tls.cert, Text(text=own_file(file, tls.cert, "cert").decode())
        yield tls.key, SecretRef(name=TLS_KEY, sha256=sha256(own_file(file, tls.key, "key")).hexdigest())
    for key in ("toolkit_key", "driver_key", "docker_key") if mirror else ():
        if name := getattr(mirror, key):
            yield name, Text(text=repositories.own_key(file, key, name))


def image_of(wish: Wish, part: Part) -> ImagePin:
    return replace(wish.release.parts[part.value], part=part)


def certificate(seen: Seen | None, name: str) -> tuple[str, str]:
    """(SHA-256, PEM) of a certificate that was made on a host; empty as long as it is not."""
    found = seen.observed.get(f"made:{name}") if seen else None
    value: Mapping[str, str] = found.value if isinstance(found, Value) else {}
    return value.get("sha256", ""), value.get("pem", "")


def _with_pem(wish: Wish, item: Item) -> Item:
    """A pinned copy carries the certificate itself, so that its maker need not be asked again."""
    if not isinstance(item, File) or not isinstance(item.content, MadeOnHost):
        return item
    name = item.content.made.removesuffix(".crt")
    sha, pem = known_certificate(wish, item.content.host, name)
    return replace(item, content=replace(item.content, made=name, sha256=sha or None, pem=pem))
