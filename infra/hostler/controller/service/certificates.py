"""When certificates end: the user's own, and those that hosts made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hostler.configure import doors
from hostler.errors import HostlerError
from hostler.hosts.types import Seen, Value
from hostler.stackfile.sections import StackFile, TlsFiles

DAY_S = 86400.0


def rows(file: StackFile, home: str, seen: Mapping[str, Seen], wall: float) -> list[dict[str, Any]]:
    """{"host", "name", "days"}: `days` None where it cannot be read."""
    return [
        {"host": host, "name": name, "days": _days(pem, wall)} for host, name, pem in _all(file, home, seen)
    ]


def _all(file: StackFile, home: str, seen: Mapping[str, Seen]) -> Iterator[tuple[str, str, str]]:
    tls = file.stack.gateway.tls
    if isinstance(tls, TlsFiles):
        try:
            yield home, "gateway.tls.cert", doors.own_file(file, tls.cert, "cert").decode()
        except HostlerError:
            yield home, "gateway.tls.cert", ""
    for host, one in sorted(seen.items()):
        for key, found in sorted(one.observed.items()):
            if key.startswith("made:") and isinstance(found, Value) and "CERTIFICATE" in _pem(found):
                yield host, key.removeprefix("made:"), _pem(found)


def _pem(found: Value) -> str:
    return str(found.value.get("pem", ""))


def _days(pem: str, wall: float) -> float | None:
    from cryptography import x509

    try:
        return (x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc.timestamp() - wall) / DAY_S
    except ValueError:
        return None
