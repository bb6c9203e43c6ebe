"""Part base: what every host of a stack has. Account, folders, the agent, the unit template, certificates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from hashlib import sha256

from hostler import resources
from hostler.configure import observed, systems
from hostler.configure.types import Notice
from hostler.hosts import agent
from hostler.hosts.types import Host, Seen
from hostler.manifest.contents import Packed, Text
from hostler.manifest.items import Directory, File, Item, Package, Part
from hostler.record.types import Record

NODE = "/usr/local/lib/hostler/hostler-node"
STACK = "/etc/hostler/stack.json"
UNIT = "/etc/systemd/system/hostler@.service"
ACCOUNT = "hostler"
TEMPLATE = "hostler@.service.j2"

# Path, mode, group. Directories that only root needs are closed to others.
DIRECTORIES = (
    ("/usr/local/lib/hostler", "0755", "root"),
    ("/etc/hostler", "0755", "root"),
    ("/etc/hostler/wanted", "0755", "root"),
    ("/etc/hostler/tls", "0750", ACCOUNT),
    ("/etc/hostler/tls/peers", "0755", "root"),
    ("/var/lib/hostler", "0755", "root"),
    ("/var/lib/hostler/applied", "0755", "root"),
    ("/var/lib/hostler/models", "0755", "root"),
    ("/run/hostler", "0755", "root"),
    ("/run/hostler/drain", "0755", "root"),
)
BOOT = "/etc/tmpfiles.d/hostler.conf"
BOOT_TEXT = """# Written by hostler; edits here are lost. /run is empty after a boot.
d /run/hostler 0755 root root
d /run/hostler/drain 0755 root root
d /run/hostler/gateway 0750 hostler hostler
d /run/hostler/edge 0750 hostler hostler
"""
# Where Ubuntu's needrestart is: after updates without anyone it restarts units whose libraries are new, and ours would end
# their containers in the middle of requests.
NEEDRESTART = "/etc/needrestart/conf.d"
SPARED = f"{NEEDRESTART}/hostler.conf"
SPARED_TEXT = """# Written by hostler; edits here are lost. A restart of these ends containers in the middle of requests.
$nrconf{override_rc}{qr(^hostler)} = 0;
"""


def items(record: Record, host: Host, seen: Seen | None) -> tuple[Item, ...]:
    return (
        *(Package(name=name, part=Part.BASE) for name in systems.of_seen(seen).packages),
        *(Directory(path=p, part=Part.BASE, mode=mode, group=group) for p, mode, group in DIRECTORIES),
        File(path=NODE, part=Part.BASE, content=_node(), mode="0755"),
        File(path=STACK, part=Part.BASE, content=Text(text=stack_text(record, host.name))),
        File(path=BOOT, part=Part.BASE, content=Text(text=BOOT_TEXT)),
        File(path=UNIT, part=Part.BASE, content=Text(text=unit_text())),
        *_spared(seen),
    )


def _spared(seen: Seen | None) -> tuple[File, ...]:
    there = seen is not None and observed.value(seen, f"path:{NEEDRESTART}") is not None
    return (File(path=SPARED, part=Part.BASE, content=Text(text=SPARED_TEXT)),) if there else ()


def account_notices(seen: Seen) -> Iterator[Notice]:
    """An account of our name that is somebody's, and not the one that we made, must not become ours."""
    found = observed.value(seen, f"account:{ACCOUNT}")
    made = seen.baseline is not None and ACCOUNT not in seen.baseline.get("accounts", ())
    if found and not found["like_ours"] and not made:
        shell = found["shell"] or "(the default)"
        yield Notice(
            level="refuse",
            where=seen.host,
            text=f"the account {ACCOUNT} is somebody else's (uid {found['uid']}, home {found['home']}, shell {shell}), "
            "and containers would run as it; rename that account, or take this host out of the stack",
        )


def stack_text(record: Record, host: str) -> str:
    """The words of stack.json: which stack this host belongs to; `hostler-node claim` writes the same bytes."""
    values = {"uid": record.uid, "stack": record.stack, "epoch": record.epoch, "host": host}
    return json.dumps(values, indent=1, sort_keys=True) + "\n"


@cache
def unit_text() -> str:
    """The template unit, the same on every host and for every replica: it changes with the product only."""
    from jinja2 import Environment, StrictUndefined

    source = (resources.templates() / TEMPLATE).read_text()
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - a unit, no HTML
    return environment.from_string(source).render(node=NODE)


@cache
def _node() -> Packed:
    return Packed(name="hostler-node", sha256=sha256(agent.program()).hexdigest())


def packed(name: str) -> bytes:
    """The bytes of a packed file; KeyError for an unknown name."""
    return {"hostler-node": agent.program}[name]()
