"""What a record says of hosts ends in names of files, and in words for ssh and Ansible: no more than a stack file may say.

The record lies on a host. Whoever is root there writes it, and has nothing to say on the machine that reads it.
"""

from __future__ import annotations

from collections.abc import Iterator

from hostler.errors import RefusedError
from hostler.hosts import knownhosts
from hostler.hosts.types import Host
from hostler.record.types import Record
from hostler.stackfile import forms
from hostler.stackfile.scalars import shown
from hostler.stackfile.units import FormError

type Told = tuple[str, str, str]  # where in the record, the form that it must have, the text
PORTS = range(1, 65536)
BRACES = "{}"  # Ansible would evaluate what stands between them


def refuse_strange(record: Record, where: str) -> None:
    """Raises RefusedError for the first of them."""
    for place, form, text in _told(record):
        if expected := _wrong(form, text):
            raise RefusedError.of(
                f"{where}: {place}",
                expected=expected,
                got=shown(text),
                next_step="nobody but root of that host can have written it: see who that is; without the file there, `hostler "
                "up --restore` uses the newest copy",
            )


def _told(record: Record) -> Iterator[Told]:
    for name, host in record.hosts.items():
        yield from _named("hosts", name, host.name, host.pool)
        yield from _ssh(f"hosts.{name}.ssh", host)
    for name, slot in record.slots.items():
        yield from _named("slots", name, slot.name, slot.pool)


def _named(what: str, key: str, name: str, pool: str) -> Iterator[Told]:
    yield f"a name in {what}", "host-name", key
    yield f"{what}.{key}.name", f"={key}", name
    if pool:
        yield f"{what}.{key}.pool", "name", pool


def _ssh(place: str, host: Host) -> Iterator[Told]:
    """An address is empty while there is no machine."""
    ssh = host.ssh
    for name, form, text in (
        ("address", "address", ssh.address),
        ("user", "user", ssh.user),
        ("port", "port", None if ssh.port is None else str(ssh.port)),
        ("key", "path", ssh.key),
        ("jump", "jump", ssh.jump),
        ("host_key", "host-key", ssh.host_key),
    ):
        if text:
            yield f"{place}.{name}", form, text


def _wrong(form: str, text: str) -> str:
    """What was expected instead; empty: it is as it should be."""
    if form.startswith("="):
        return "" if text == form[1:] else f"its own name, {form[1:]}"
    if form == "host-key":
        return "" if knownhosts.one_key(text) else forms.FORMS[form].expected
    if form == "port":
        return "" if int(text) in PORTS else "a port: 1 to 65535"
    if form == "path" and any(brace in text for brace in BRACES):
        return "a path without braces"
    try:
        forms.parse(form, text)
    except FormError:
        return forms.FORMS[form].expected
    return ""
