"""Putting a host back: only what is ours goes."""

import contextlib
import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import files
from hostler.node.base.protocol import NodeError
from hostler.node.base.shell import Result
from hostler.node.base.told import Told
from hostler.node.docker import pull, tenants
from hostler.node.leaving import leave, leave_docker, leave_packages, purge
from hostler.node.owning import baseline
from hostler.node.packages import installed
from hostler.node.site import certs
from hostler.node.watch import watched

from .fakes import DIGEST, Heard, Host
from .test_installed import status

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
    assert leave_docker.without_ours(now, was) == rest


def test_dockers_rules_go_from_the_firewall() -> None:
    saved = "*filter\n:FORWARD DROP [0:0]\n:DOCKER - [0:0]\n-A FORWARD -o docker0 -j DOCKER\n-A INPUT -j ACCEPT\nCOMMIT\n"
    assert leave_docker.without_docker(saved) == "*filter\n:FORWARD DROP [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n"


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
    leave_packages.packages_as_found({"packages": ["bash"]}, told, "")
    purged = next(argv for argv in ran if argv[:2] == ("apt-get", "purge"))
    assert purged[-1] == "runc"
    assert "theirs" not in purged
    assert told.removed == ["package runc"]
    assert told.kept == [{"what": "package git", "why": "another package needs it"}]


def test_settings_with_our_name_go(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leave_packages, "refreshed", lambda: None)
    for folder in ("etc/apt/apt.conf.d", "etc/needrestart/conf.d"):
        (root / folder).mkdir(parents=True)
        (root / folder / "hostler.conf").touch()
        (root / folder / "theirs.conf").touch()
    leave._sources(Told())  # pyright: ignore[reportPrivateUsage]
    assert sorted(path.name for path in root.rglob("*.conf")) == ["theirs.conf", "theirs.conf"]


def test_purge_takes_ours_and_leaves_theirs(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    from .test_exchange import exchanged

    host.want()
    exchanged()
    files.write(files.MODELS + "/m/x.gguf", b"x")
    files.write_json(files.STACK, {"uid": "u1", "stack": "s"})
    for path in (watched.LIMITS, *watched.FILES):
        files.write(path, b"{}")
    watched.timer({}, Heard())
    watched.keep("chat-0", {"state": "", "restarts": [1.0]})
    host.docker.create_foreign("theirs")
    monkeypatch.setattr(leave, "as_found", lambda _before, _told: None)
    monkeypatch.setattr(purge, "has_account", lambda _name: False)
    heard = Heard()
    with pytest.raises(NodeError) as caught:
        purge.purge({"op": "purge", "uid": "u2"}, heard)
    assert caught.value.rc == 3
    purge.purge({"op": "purge", "uid": "u1", "keep-models": True}, heard)
    assert "container hostler-chat-0" in heard.last["removed"]
    assert heard.last["kept"] == [{"what": files.MODELS, "why": "--keep-models"}]
    assert heard.last["left"] == []
    assert host.docker.names() == ["/theirs"]
    left = sorted(str(p.relative_to(host.root)) for p in host.root.rglob("*") if p.is_file())
    assert left == ["var/lib/hostler/models/m/x.gguf"]
    assert not [p for p in host.root.rglob("*") if p.is_symlink()]
    purge.purge({"op": "purge", "uid": "u1"}, heard)
    assert heard.last["removed"] == ["/var/lib/hostler/models/m/x.gguf", "/var/lib/hostler"]


def with_daemon() -> None:
    files.write("/usr/sbin/dockerd", b"")


def test_a_silent_docker_is_nobodys_to_remove(short_root: Path) -> None:
    assert tenants.why_stays() == ""
    with_daemon()
    assert tenants.why_stays() == "Docker does not answer, so it is not known who else uses it"
    told = Told()
    purge._containers(told)
    assert told.left == [{"what": "containers", "why": "Docker does not answer"}]


OURS, TAGGED, THEIRS = (
    {"Id": "sha256:image", "RepoDigests": ["llama@sha256:1"], "RepoTags": []},
    {"Id": "sha256:image", "RepoDigests": ["llama@sha256:1"], "RepoTags": ["mine:1"]},
    {"Id": "sha256:other", "RepoDigests": ["x@sha256:2"], "RepoTags": ["<none>:<none>"]},
)


@pytest.mark.parametrize(
    ("kind", "things", "reason"),
    [
        ("listed_images", [OURS], ""),
        ("listed_images", [OURS, TAGGED], "other images are here: mine:1"),
        ("listed_images", [THEIRS], "other images are here: sha256:other"),
        ("volumes", ["data"], "other volumes are here: data"),
        ("networks", ["net"], "other networks are here: net"),
    ],
)
def test_others_things_keep_docker(kind: str, things: list[Any], reason: str, host: Host) -> None:
    files.write_json(pull.PULLED, {"docker.io/library/llama@sha256:1": ""})
    setattr(host.docker, kind, things)
    assert tenants.why_stays() == reason


def test_docker_of_others_keeps_its_packages_and_folders(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    status("bash", "docker.io")
    files.write_json(installed.INSTALLED, {"packages": ["docker.io"]})
    files.write("/var/lib/docker/volumes/data/x", b"x")
    files.write("/proc/sys/net/ipv4/ip_forward", b"1")
    host.docker.volumes = ["data"]
    monkeypatch.setattr(leave.shell, "run", lambda argv, *_rest, **_more: Result(argv, 0, "", ""))
    told = Told()
    leave.as_found({"packages": ["bash"], "sysctl": {"net.ipv4.ip_forward": "0"}}, told)
    why = "other volumes are here: data"
    assert told.kept == [
        {"what": name, "why": why} for name in ("package docker.io", "/var/lib/docker", "net.ipv4.ip_forward")
    ]
    assert (told.removed, told.left) == ([], [])
    assert files.read("/var/lib/docker/volumes/data/x") == b"x"


def test_what_is_listed_is_what_goes(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run changes nothing, and names exactly what the removal then takes."""
    from .test_exchange import exchanged

    host.want()
    exchanged()
    status("bash", "docker.io")
    files.write_json(installed.INSTALLED, {"packages": ["docker.io"]})
    files.write_json(
        files.BASELINE, {"packages": ["bash"], "accounts": [], "groups": [], "daemon_json": None}
    )
    files.write_json(leave_docker.DAEMON, {"live-restore": True, "runtimes": {"nvidia": NVIDIA}})
    files.write_json(files.STACK, {"uid": "u1", "stack": "s", "host": "gpu-1"})
    files.write(files.MODELS + "/m/x.gguf", b"x")
    files.write_json(pull.PULLED, {"llama@" + DIGEST: ""})
    files.write("/var/lib/docker/x", b"")
    with_daemon()

    def run(argv: tuple[str, ...], *_rest: Any, **_more: Any) -> Result:
        if argv[:2] == ("apt-get", "purge"):
            status("bash")
        said = "Remv docker.io [1]\n" if "autoremove" in argv else ""
        return Result(argv, 0 if argv[0] != "iptables-save" else 1, said, "")

    monkeypatch.setattr(leave.shell, "run", run)
    heard = Heard()
    before = {str(p): p.read_bytes() for p in host.root.rglob("*") if p.is_file()}
    purge.purge({"op": "purge", "dry-run": True, "uid": "u1", "host": "gpu-1"}, heard)
    assert {str(p): p.read_bytes() for p in host.root.rglob("*") if p.is_file()} == before
    would = heard.last["would"]
    assert would["containers"] == ["hostler-chat-0"]
    assert would["packages"] == ["docker.io"]
    assert would["images"] == ["llama@" + DIGEST]
    assert would["settings"] == ["daemon.json: live-restore, runtimes.nvidia"]
    assert {"/var/lib/docker", "/etc/docker", "/etc/hostler", "/var/lib/hostler"} <= set(would["folders"])
    assert (heard.last["kept"], heard.last["left"]) == ([], [])
    purge.purge({"op": "purge", "uid": "u1", "host": "gpu-1"}, heard)
    words = {"containers": "container ", "units": "unit ", "images": "image ", "packages": "package "}
    listed = {words.get(kind, "") + name for kind, names in would.items() for name in names}
    enabled = {name for name in listed if ".wants/" in name}  # it goes with its unit
    assert set(heard.last["removed"]) == listed - enabled
    assert heard.last["left"] == []


def test_a_host_of_another_name_is_refused(short_root: Path) -> None:
    files.write_json(files.STACK, {"uid": "u1", "stack": "s", "host": "gpu-1"})
    with pytest.raises(NodeError, match="this host is gpu-1 of stack s, not gpu-2") as caught:
        purge.purge({"op": "purge", "uid": "u1", "host": "gpu-2"}, Heard())
    assert (caught.value.kind, caught.value.rc) == ("other-host", 3)
    assert files.read(files.STACK)


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


def test_links_to_units_that_went_with_their_packages_go(short_root: Path) -> None:
    wants = short_root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    files.write("/usr/lib/systemd/system/theirs.service", b"")
    for name in ("docker.service", "theirs.service", "nvidia-persistenced.service"):
        (wants / name).symlink_to(f"/usr/lib/systemd/system/{name}")
    told = Told()
    leave._services({"services": {"docker.service": None, "theirs.service": None}}, told)
    assert told.removed == ["/etc/systemd/system/multi-user.target.wants/docker.service"]
    assert sorted(os.listdir(wants)) == ["nvidia-persistenced.service", "theirs.service"]


def test_a_folder_that_was_empty_is_empty_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk of its own for Docker is a mount point before Docker is there."""
    status("bash")
    (host.root / "var/lib/docker").mkdir(parents=True)
    files.write("/var/lib/containerd/theirs", b"x")
    before = {"paths": baseline.take()["paths"], "empty": baseline.take()["empty"], "groups": ["docker"]}
    assert before["empty"] == ["/var/lib/docker"]
    for path in ("/var/lib/docker/engine-id", "/var/lib/docker/overlay2/x"):
        files.write(path, b"x")
    monkeypatch.setattr(leave.shell, "run", lambda argv, *_rest, **_more: Result(argv, 1, "", ""))
    dry, told = Told(dry=True), Told()
    leave_docker.folders(before, dry, "")
    assert dry.would["folders"] == ["/var/lib/docker/engine-id", "/var/lib/docker/overlay2"]
    leave_docker.folders(before, told, "other volumes are here")
    assert told.removed == []
    leave_docker.folders(before, told, "")
    assert told.removed == dry.would["folders"]
    assert os.listdir(host.root / "var/lib/docker") == []
    assert files.read("/var/lib/containerd/theirs") == b"x"
