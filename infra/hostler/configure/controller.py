"""Part controller: what works without anyone, updates and what is idle. An account with a sudo rule on each host, a key that the
gateway's host makes and that is let in from there alone, and on the gateway's host Hostler itself with the applied stack
file, the secrets that it needs, and a timer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

from hostler import operator, resources
from hostler.configure import doors, observed, program
from hostler.gateway import specs
from hostler.hosts import ways
from hostler.hosts.connect import address_of
from hostler.hosts.types import Host, Seen, is_address
from hostler.manifest.contents import MadeOnHost, Packed, SecretRef, Text
from hostler.manifest.items import Directory, File, Item, Package, Part, Unit
from hostler.models import mirror as mirrors
from hostler.stackfile import idling, updating
from hostler.stackfile.sections import Stack, StackFile

if TYPE_CHECKING:
    from hostler.configure.wish import Wish

PART = "controller"  # of a release: the image that it runs in
MADE = "controller"  # the key that the gateway's host makes
FOLDER = "/etc/hostler/controller"
HOME = "/var/lib/hostler/updates"  # of the account
KEYS = f"{HOME}/.ssh/authorized_keys"
SUDO = "/etc/sudoers.d/hostler-updates"
TIMER, SERVICE = "hostler-updates.timer", "hostler-controller.service"
STARTED = (TIMER, SERVICE)
RENTING = "hostler-rent@.service"  # an instance for each slot of which it rents
FILES = ("hostler-updates.service", RENTING, *STARTED)
UNIT_FOLDER = "/etc/systemd/system"
STATUS = "/var/lib/hostler/controller/state/status.json"  # what it did and will do, for `status`
SPENT = specs.GATEWAY.spent  # keys that it has the gateway refuse
HUB = "HF_TOKEN"
RULE = f"""# Written by hostler; edits here are lost. Updates that `hostler up` was told to make without anyone.
{ways.ACCOUNT} ALL=(root) NOPASSWD: ALL
"""
_WRITTEN = re.compile(r'restrict,from="([^"]*)" ')
HOST_KEYS = tuple(f"/etc/ssh/ssh_host_{kind}_key.pub" for kind in ("ed25519", "ecdsa", "rsa"))
FOLDERS = (FOLDER, f"{FOLDER}/files", f"{FOLDER}/secrets")
SUDO_PACKAGE = "sudo"
ASKED = (*FOLDERS, SUDO, HOME, f"{HOME}/.ssh", *(f"{UNIT_FOLDER}/{name}" for name in FILES))


def wanted(wish: Wish) -> bool:
    """Whether the stack file wants it and the release has its image; what is rolled back to may be older than it."""
    return idling.has_controller(wish.file.stack) and PART in wish.release.parts


def units(stack: Stack) -> dict[str, bool]:
    """Which of its units run: a timer for updates, and what watches all the time."""
    return {TIMER: updating.unattended(stack.updates), SERVICE: idling.controlled(stack)}


def made(wish: Wish, host: Host) -> tuple[str, ...]:
    return (MADE,) if wanted(wish) and host.name == wish.record.gateway_host else ()


def items(wish: Wish, host: Host) -> tuple[Item, ...]:
    if not wanted(wish):
        return ()
    home = _home(wish) if host.name == wish.record.gateway_host else ()
    return (
        Package(name=SUDO_PACKAGE, part=Part.CONTROLLER),
        Directory(path=HOME, part=Part.CONTROLLER),
        Directory(path=f"{HOME}/.ssh", part=Part.CONTROLLER),
        File(path=SUDO, part=Part.CONTROLLER, content=Text(text=RULE), mode="0440"),
        File(path=KEYS, part=Part.CONTROLLER, content=_let_in(wish, host)),
        *home,
    )


def _let_in(wish: Wish, host: Host) -> MadeOnHost:
    """The key's line: from the gateway's host alone, and for commands alone. To a rented host that one comes by an address
    of a router's; whence SSH is let in there, its security group says."""
    home = wish.record.gateway_host
    before = f'restrict,from="{",".join(_froms(wish, home, host))}" ' if host.owned else "restrict "
    _, key = doors.certificate(wish.seen.get(home), MADE)
    text = before + key
    digest = sha256(text.encode()).hexdigest() if key else None
    return MadeOnHost(host=home, made=MADE, sha256=digest, pem=text if key else "", before=before)


def _froms(wish: Wish, home: str, host: Host) -> tuple[str, ...]:
    """Addresses from which the gateway's host comes: its own. What is written stays as long as the one by which the others
    know it is among them: networks of containers and of VPNs, and IPv6 addresses for privacy, come and go."""
    known = doors.known_address(wish, home)
    written = _WRITTEN.match(_seen_text(wish.seen.get(host.name), KEYS))
    if written and known in (there := written[1].split(",")) and all(map(is_address, there)):
        return tuple(there)
    seen = wish.seen.get(home)
    own = seen.facts.addresses if seen and seen.facts else ()
    return tuple(dict.fromkeys(("127.0.0.1", "::1", known, *own)))


def _home(wish: Wish) -> Iterator[Item]:
    """On the gateway's host."""
    file, part = wish.file, Part.CONTROLLER
    yield doors.image_of(wish, part)
    for folder in FOLDERS:
        yield Directory(path=folder, part=part, mode="0700")
    yield _text("stack.yaml", file.text)
    yield _text(ways.HOSTS, hosts_text(wish))
    yield _text("requirements.txt", _requirements(file.stack))
    yield _text("run.json", _settings(wish))
    yield File(
        path=f"{FOLDER}/{program.NAME}",
        part=part,
        content=Packed(name=program.NAME, sha256=program.digest()),
        mode="0600",
    )
    for name, digest in sorted(wish.secrets.items()):
        yield File(
            path=f"{FOLDER}/secrets/{name}",
            part=part,
            content=SecretRef(name=name, sha256=digest),
            mode="0600",
        )
    yield from _own_files(file)
    runs = units(file.stack)
    for name in FILES:
        if runs.get(name, runs[TIMER] if name != RENTING else idling.rents(file.stack) is not None):
            text = (resources.templates() / name).read_text()
            yield File(path=f"{UNIT_FOLDER}/{name}", part=part, content=Text(text=text))
    yield from (Unit(name=name, part=part) for name, wanted in runs.items() if wanted)


def _text(name: str, text: str) -> File:
    return File(path=f"{FOLDER}/{name}", part=Part.CONTROLLER, content=Text(text=text), mode="0600")


def _settings(wish: Wish) -> str:
    """What the agent needs to start it: image, package index, checksums of program and pins."""
    mirror, image = wish.file.stack.mirror, doors.image_of(wish, Part.CONTROLLER)
    values = {
        "image": image.ref,
        "from": mirrors.image(mirror.images if mirror else None, image.ref),
        "index": (mirror and mirror.python) or "",
        "program": program.digest(),
        "requirements": sha256(_requirements(wish.file.stack).encode()).hexdigest(),
        **({"rights": rights} if (rights := _rights(wish.file.stack)) else {}),
    }
    return json.dumps(values, indent=1, sort_keys=True) + "\n"


def _rights(stack: Stack) -> list[str]:
    """Secrets that are for renting alone: what serves requests does not see them."""
    rents = idling.rents(stack)
    if rents is None:
        return []
    told = {one.secret for one in stack.alarms}
    return sorted(name for name in {rents.credentials, rents.passphrase} if name and name not in told)


def _requirements(stack: Stack) -> str:
    return program.requirements(rents=idling.rents(stack) is not None)


def _own_files(file: StackFile) -> Iterator[File]:
    """Files of this machine that the stack file names and that a plan needs: certificates and public keys. The
    gateway's private key is a secret, and named as one."""
    for name, content in doors.own_files(file):
        path = f"{FOLDER}/files/{operator.short_name(name)}"
        yield File(path=path, part=Part.CONTROLLER, content=content, mode="0600")


def secrets_named(file: StackFile) -> tuple[str, ...]:
    """Secrets that the controller needs: for the hub, for those that it tells, and to rent. None where there is none."""
    if not idling.has_controller(file.stack):
        return ()
    notify = file.stack.updates.notify if file.stack.updates else ()
    told = [one.secret for one in (*notify, *file.stack.alarms) if one.secret]
    rents = idling.rents(file.stack)
    rights = (rents.credentials, rents.passphrase) if rents else ()
    return tuple(sorted({name for name in (HUB, *told, *rights) if name and name in file.stack.secrets}))


def hosts_text(wish: Wish) -> str:
    """Where each host is for the controller. What was written down before holds for hosts that do not answer now, and as
    long as address and key are the same: how people come there differs from one to the next."""
    if told := ways.text():
        return _with_fresh(wish, told)
    before = _written(wish.seen.get(wish.record.gateway_host))
    found = {host.name: _same(_way(wish, host), before.get(host.name)) for host in wish.hosts}
    known = {name: way for name, way in sorted(found.items()) if way}
    return json.dumps(known, indent=1, sort_keys=True) + "\n"


def _with_fresh(wish: Wish, told: str) -> str:
    """The controller's own: as it was told, but for machines that it has rented since."""
    fresh = {host.name: _way(wish, host) for host in wish.hosts if ways.is_fresh(host)}
    known = {**json.loads(told), **{name: way for name, way in fresh.items() if way}}
    return json.dumps(dict(sorted(known.items())), indent=1, sort_keys=True) + "\n" if fresh else told


def _same(fresh: dict[str, object] | None, before: dict[str, object] | None) -> dict[str, object] | None:
    same = ("address", "port", "host_key")
    if fresh and before and all(before.get(name) == fresh[name] for name in same):
        return before
    return fresh or before


def _way(wish: Wish, host: Host) -> dict[str, object] | None:
    seen = wish.seen.get(host.name)
    if seen is None or not seen.reached or seen.facts is None:
        return None
    return {
        "used": address_of(host),
        "address": doors.known_address(wish, host.name) or "127.0.0.1",
        "port": seen.facts.ssh_port,
        "host_key": _host_key(seen) or host.ssh.host_key or "",
    }


def _host_key(seen: Seen) -> str:
    """The host's own, as it lies there: it was read over a connection that was trusted."""
    for path in HOST_KEYS:
        words = _seen_text(seen, path).split()
        if len(words) >= 2:
            return " ".join(words[:2])
    return ""


def _written(seen: Seen | None) -> dict[str, dict[str, object]]:
    try:
        return json.loads(_seen_text(seen, f"{FOLDER}/{ways.HOSTS}") or "{}")
    except ValueError:
        return {}


def _seen_text(seen: Seen | None, path: str) -> str:
    found: dict[str, str] = (seen and observed.value(seen, f"path:{path}")) or {}
    return found.get("text") or ""
