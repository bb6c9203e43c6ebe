"""How long certificates last: the user's own, and those that hosts made; what cannot be read is unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from hostler.controller.service import certificates
from hostler.hosts.types import Seen, Value
from hostler.stackfile.load import load
from worlds import configure_world

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def pem(days: float) -> str:
    key, name = Ed25519PrivateKey.generate(), x509.Name([])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, None)
    )
    return made.public_bytes(Encoding.PEM).decode()


def seen(host: str, **made: str) -> Seen:
    observed = {f"made:{name}": Value({"pem": text}, 0.0) for name, text in made.items()}
    return Seen(host=host, at=0.0, seconds=0.0, observed=observed)


def test_those_that_hosts_made() -> None:
    there = {
        "gpu-1": seen("gpu-1", edge=pem(300), controller="ssh-ed25519 AAAA"),
        "gpu-2": seen("gpu-2", edge=pem(3)),
    }
    found = certificates.rows(configure_world.stack(), "gpu-1", there, NOW.timestamp())
    assert found == [
        {"host": "gpu-1", "name": "edge", "days": pytest.approx(300)},
        {"host": "gpu-2", "name": "edge", "days": pytest.approx(3)},
    ]


def test_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "stack.yaml"
    path.write_text(configure_world.STACK + "gateway: {tls: {cert: llm.pem, key: llm.key}}\n")
    own = {"host": "gpu-1", "name": "gateway.tls.cert"}
    assert certificates.rows(load(path), "gpu-1", {}, NOW.timestamp()) == [{**own, "days": None}]
    (tmp_path / "llm.pem").write_text(pem(9))
    assert certificates.rows(load(path), "gpu-1", {}, NOW.timestamp()) == [{**own, "days": pytest.approx(9)}]
