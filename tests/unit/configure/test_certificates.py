"""The gateway's certificate under `tls: private-ca`: for whom it is made, and when it must be made anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from hostler.configure import difference, variables
from hostler.hosts.types import Seen, Value
from hostler.manifest.items import Effect, Manifest, Part
from hostler.node.base import files
from hostler.node.base.protocol import Answers
from hostler.node.site import certs
from worlds import configure_world as world

PRIVATE = "gateway: {tls: private-ca%s}\n"
Make = Callable[[str, str], str]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A host's own `make-cert`: the PEM of what it made."""
    monkeypatch.setattr(files, "root", str(tmp_path))
    monkeypatch.setattr(files, "ids", lambda *_names: (-1, -1))

    class Heard(Answers):
        pem = ""

        def say(self, **values: object) -> None:
            Heard.pem = str(values["pem"])

    def made(name: str, whom: str) -> str:
        certs.make_cert({"op": "make-cert", "name": name, "cn": whom}, Heard())
        return Heard.pem

    return made


def gateway(more: str = "") -> Manifest:
    return world.manifests(file=world.stack(world.STACK + PRIVATE % more))["gpu-1"]


def seen(manifest: Manifest, pems: Mapping[str, str]) -> Seen:
    """A host as it should be, with these certificates."""
    plain = replace(manifest, made=("edge", "gateway"))
    found = world.as_wanted(plain)
    made = {f"made:{name}": Value({"sha256": "0", "pem": pem}, world.AT) for name, pem in pems.items()}
    keys = tuple(f"/etc/hostler/tls/{name}{end}" for name in pems for end in (".crt", ".key"))
    ours = {**found.ours, "files": (*found.ours["files"], *keys)}
    return replace(found, observed={**found.observed, **made}, ours=ours)


def test_what_is_made_for_whom() -> None:
    made = variables.host_variables(gateway())["base_made"]
    assert made == [
        {"name": "edge", "cn": "gpu-1"},
        {"name": "gateway", "cn": "gpu-1"},
        {"name": "ca", "cn": "office"},
        {"name": "server", "cn": "10.0.0.1"},
    ]
    named = variables.host_variables(gateway(", address: llm.office.example"))["base_made"]
    assert named[-1] == {"name": "server", "cn": "llm.office.example"}


def test_one_that_is_right_is_not_mentioned(make: Make) -> None:
    manifest = gateway()
    pems = {"ca": make("ca", "office"), "server": make("server", "10.0.0.1")}
    assert difference.difference(manifest, seen(manifest, pems)) == ()


def test_another_address_needs_another_certificate(make: Make) -> None:
    manifest = gateway(", address: llm.office.example")
    pems = {"ca": make("ca", "office"), "server": make("server", "10.0.0.1")}
    (change,) = difference.difference(manifest, seen(manifest, pems))
    assert (change.item, change.now, change.part, change.effect) == (
        "made:server",
        "for 10.0.0.1",
        Part.GATEWAY,
        Effect.RELOAD,
    )
    parts = variables.host_variables(manifest, [change])
    assert parts["hostler_parts"] == ["base", "gateway"]
    assert parts["base_made"][-1]["cn"] == "llm.office.example"


def test_another_authority_needs_another_certificate(make: Make, tmp_path: Path) -> None:
    manifest = gateway()
    make("ca", "office")
    server = make("server", "10.0.0.1")
    Path(files.at("/etc/hostler/tls/ca.key")).unlink()
    (change,) = difference.difference(
        manifest, seen(manifest, {"ca": make("ca", "office"), "server": server})
    )
    assert (change.item, change.now) == ("made:server", "from another authority")


def test_without_tls_they_go_after_the_gateway_has_let_go(make: Make) -> None:
    pems = {"ca": make("ca", "office"), "server": make("server", "10.0.0.1")}
    plain = world.manifests()["gpu-1"]
    gone = [c for c in difference.difference(plain, seen(plain, pems)) if c.action == "remove"]
    assert {change.part for change in gone} == {Part.GATEWAY}
    assert len(variables.retired(gone)["engine_remove"]) == 4
