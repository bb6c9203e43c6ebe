"""Putting a host back: only what is ours goes."""

import contextlib
import ssl
from pathlib import Path
from typing import Any

import pytest

from hostler.node import certs, files, installed, leave, packages, purge, store
from hostler.node.protocol import NodeError
from hostler.node.shell import Result
from hostler.node.told import Told

from .fakes import Heard, Host

NVIDIA = {"path": "nvidia-container-runtime", "args": list[str]()}
DOCUMENTS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("ours alone", {"live-restore": True}, {}, {}),
    ("beside others'", {"live-restore": True, "debug": True}, {"debug": True}, {"debug": True}),
    ("changed since", {"live-restore": False}, {}, {"live-restore": False}),
    ("was there", {"live-restore": True}, {"live-restore": True}, {"live-restore": True}),
    ("was false", {"live-restore": True}, {"live-restore": False}, {"live-restore": False}),
    ("runtime", {"runtimes": {"nvidia": NVIDIA}}, {}, {}),
    ("others' runtime", {"runtimes": {"nvidia": NVIDIA, "kata": {}}}, {}, {"runtimes": {"kata": {}}}),
    (
        "runtime was there",
        {"runtimes": {"nvidia": NVIDIA}},
        {"runtimes": {"nvidia": {}}},
        {"runtimes": {"nvidia": {}}},
    ),
]


@pytest.mark.parametrize(("now", "was", "rest"), [d[1:] for d in DOCUMENTS], ids=[d[0] for d in DOCUMENTS])
def test_our_keys_go(now: dict[str, Any], was: dict[str, Any], rest: dict[str, Any]) -> None:
    assert leave.without_ours(now, was) == rest


def test_dockers_rules_go_from_the_firewall() -> None:
    saved = "*filter\n:FORWARD DROP [0:0]\n:DOCKER - [0:0]\n-A FORWARD -o docker0 -j DOCKER\n-A INPUT -j ACCEPT\nCOMMIT\n"
    assert leave.without_docker(saved) == "*filter\n:FORWARD DROP [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n"


def status(*names: str) -> None:
    text = "".join(f"Package: {name}\nStatus: install ok installed\nVersion: 1\n\n" for name in names)
    files.write(packages.STATUS, text.encode())


def test_the_delta_of_a_transaction(short_root: Path) -> None:
    heard = Heard()
    status("bash")
    installed.packages_before({"op": "packages-before"}, heard)
    status("bash", "docker.io")
    installed.packages_before({"op": "packages-before"}, heard)  # of a run that was interrupted
    assert heard.last == {"changed": False, "continued": True}
    status("bash", "docker.io", "runc")
    installed.packages_after({"op": "packages-after"}, heard)
    assert heard.last == {"changed": True, "new": ["docker.io", "runc"]}
    assert installed.brought() == ["docker.io", "runc"]


def test_packages_need_room(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "free_bytes", lambda _: 30 << 20)
    with pytest.raises(NodeError, match=r"need 512.0 MiB below /var; 30.0 MiB are free there"):
        installed.packages_before({"op": "packages-before"}, Heard())
    assert files.read(installed.BEFORE) is None


def test_what_others_need_stays(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """apt says which of ours nothing needs; only those go, and never the user's own leftovers."""
    status("bash", "runc", "git", "theirs")
    files.write_json(installed.INSTALLED, {"packages": ["runc", "git"]})
    ran: list[tuple[str, ...]] = []

    def run(argv: tuple[str, ...], *_rest: Any, **_more: Any) -> Result:
        ran.append(argv)
        if argv[:2] == ("apt-get", "purge"):
            status("bash", "git", "theirs")
        said = "Remv runc [1]\nRemv theirs [1]\n" if "autoremove" in argv else ""
        return Result(argv, 0, said, "")

    monkeypatch.setattr(leave.shell, "run", run)
    told = Told()
    leave._packages({"packages": ["bash"]}, told, "")
    purged = next(argv for argv in ran if argv[:2] == ("apt-get", "purge"))
    assert purged[-1] == "runc"
    assert "theirs" not in purged
    assert told.removed == ["package runc"]
    assert told.left == [{"what": "package git", "why": "another package needs it"}]


def test_purge_takes_ours_and_leaves_theirs(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    from .test_exchange import exchanged

    host.want()
    exchanged()
    files.write(files.MODELS + "/m/x.gguf", b"x")
    files.write_json(files.STACK, {"uid": "u1", "stack": "s"})
    host.docker.create_foreign("theirs")
    monkeypatch.setattr(leave, "as_found", lambda _before, _told: None)
    monkeypatch.setattr(purge, "_account", lambda _before, _told: None)
    heard = Heard()
    with pytest.raises(NodeError) as caught:
        purge.purge({"op": "purge", "uid": "u2"}, heard)
    assert caught.value.rc == 3
    purge.purge({"op": "purge", "uid": "u1", "keep-models": True}, heard)
    assert "container hostler-chat-0" in heard.last["removed"]
    assert heard.last["left"] == [{"what": files.MODELS, "why": "kept: --keep-models"}]
    assert host.docker.names() == ["/theirs"]
    left = sorted(str(p.relative_to(host.root)) for p in host.root.rglob("*") if p.is_file())
    assert left == ["var/lib/hostler/models/m/x.gguf"]
    purge.purge({"op": "purge", "uid": "u1"}, heard)
    assert heard.last["removed"] == ["/var/lib/hostler/models", "/var/lib/hostler"]


def test_a_certificate_is_made_once_and_mended(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ids", lambda *_names: (-1, -1))
    heard = Heard()
    asked = {"op": "make-cert", "name": "edge", "cn": "gpu-1"}
    certs.make_cert(asked, heard)
    first = heard.last
    assert first["changed"]
    assert first["pem"].startswith("-----BEGIN CERTIFICATE-----")
    certs.make_cert(asked, heard)
    assert (heard.last["changed"], heard.last["sha256"]) == (False, first["sha256"])
    certs.make_cert({**asked, "cn": "gpu-2"}, heard)
    assert heard.last["changed"]
    files.write("/etc/hostler/tls/edge.key", b"damaged")
    certs.make_cert({**asked, "cn": "gpu-2"}, heard)
    assert heard.last["changed"]
    assert Path(files.at("/etc/hostler/tls/edge.key")).stat().st_mode & 0o777 == 0o640


def test_an_authority_issues_what_clients_see(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ids", lambda *_names: (-1, -1))

    def make(name: str, whom: str) -> dict[str, Any]:
        heard = Heard()
        certs.make_cert({"op": "make-cert", "name": name, "cn": whom}, heard)
        return heard.last

    assert make("ca", "office")["changed"]
    assert not make("ca", "office")["changed"]
    assert Path(files.at("/etc/hostler/tls/ca.key")).stat().st_mode & 0o777 == 0o600
    for address in ("192.0.2.7", "llm.office.example", "2001:db8::7"):
        assert make("server", address)["changed"]
        assert not make("server", address)["changed"], address
    assert not make("server", "192.0.2.7")["changed"]  # another operator's address stays good
    assert Path(files.at("/etc/hostler/tls/server.key")).stat().st_mode & 0o777 == 0o640
    assert Path(files.at("/etc/hostler/due/gateway")).exists()
    before = make("server", "192.0.2.7")["pem"]
    Path(files.at("/etc/hostler/tls/ca.key")).unlink()
    assert make("ca", "office")["changed"]
    after = make("server", "192.0.2.7")
    assert after["changed"]
    assert after["pem"] != before
    assert make("server", "llm.office.example")["changed"]  # what another authority issued is forgotten


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost"])
def test_clients_verify_strictly(address: str, short_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Python's own strict checks, as newer clients have them by default."""
    monkeypatch.setattr(files, "ids", lambda *_names: (-1, -1))
    heard = Heard()
    certs.make_cert({"op": "make-cert", "name": "ca", "cn": "office"}, heard)
    trusted = ssl.create_default_context(cadata=heard.last["pem"])
    trusted.verify_flags |= ssl.VERIFY_X509_STRICT
    certs.make_cert({"op": "make-cert", "name": "server", "cn": address}, heard)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.at("/etc/hostler/tls/server.crt"), files.at("/etc/hostler/tls/server.key"))
    _handshake(trusted, server, address)
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(trusted, server, "192.0.2.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(ssl.create_default_context(), server, address)


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext, address: str) -> None:
    """Both ends in memory."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=address), server.wrap_bio(up, down, server_side=True)]
    for _ in range(4):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    assert ends[0].version()
