"""Certificates that are made on a host: there, and for whom and by whom they must be."""

from __future__ import annotations

import ipaddress

from hostler.configure import observed
from hostler.configure.changes import ABSENT, Changes, change, unknown
from hostler.hosts.types import Absent, Seen, Unknown, Value
from hostler.manifest.items import Effect, Manifest, Part

AUTHORITY, SERVER = "ca", "server"
PARTS = {"edge": Part.EDGE, "controller": Part.CONTROLLER}
PINNED = "hosts know each other by pinned certificates"
TRUSTED = "clients that trust the stack's own authority know the gateway by it"
WHY = {
    AUTHORITY: TRUSTED,
    SERVER: TRUSTED,
    "controller": "updates without anyone come from this host; the key never leaves it",
}


def made(manifest: Manifest, seen: Seen, name: str) -> Changes:
    """Base makes it; what loads it is the part that it is for."""
    title, part = f"made:{name}", PARTS.get(name, Part.GATEWAY)
    why = WHY.get(name, PINNED)
    if part is Part.CONTROLLER:
        yield from _key(manifest, seen, title, why)
        return
    match observed.of(seen, title):
        case Absent():
            then = "a certificate made on the host"
            yield change(manifest, part, title, ABSENT, then, why, action="add", effect=Effect.RELOAD)
        case Unknown() as found:
            yield unknown(manifest, part, title, found, "a certificate made on the host")
        case Value(value=value) if name == SERVER:
            address = manifest.made_for.get(SERVER, manifest.host)
            now = wrong(str(value.get("pem", "")), _pem(seen, AUTHORITY), address)
            if now:
                then = f"for {address}, from the stack's own authority"
                yield change(manifest, part, title, now, then, why, effect=Effect.RELOAD)
        case Value():
            return


def _key(manifest: Manifest, seen: Seen, title: str, why: str) -> Changes:
    then = "an SSH key made on the host"
    match observed.of(seen, title):
        case Absent():
            yield change(manifest, Part.CONTROLLER, title, ABSENT, then, why, action="add")
        case Unknown() as found:
            yield unknown(manifest, Part.CONTROLLER, title, found, then)
        case Value():
            return


def _pem(seen: Seen, name: str) -> str:
    found = observed.value(seen, f"made:{name}")
    return str(found.get("pem", "")) if found else ""


def wrong(pem: str, authority: str, address: str) -> str:
    """What is not right about the certificate that clients see; empty when nothing is."""
    from cryptography import x509  # slow to import; it comes with paramiko
    from cryptography.exceptions import InvalidSignature

    try:
        found = x509.load_pem_x509_certificate(pem.encode())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))
    except InvalidSignature:
        return "from another authority"
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return "not a certificate of the stack's own authority"
    named = [str(name.value) for name in names]
    return "" if _plain(address) in map(_plain, named) else f"for {', '.join(named)}"


def _plain(address: str) -> str:
    """Names without case, and IP addresses in their one short form."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.lower()
