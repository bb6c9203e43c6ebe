"""The same questions to every transport, and a place with keys, a configuration and known hosts of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.transports import sshd
from hostler.hosts.connect import transport_for
from hostler.hosts.local import LocalTransport
from hostler.hosts.recording import RecordingTransport
from hostler.hosts.transport import Transport
from hostler.hosts.types import Host, Ssh

Settings = Callable[..., None]
Key = tuple[Path, str]


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The user's key: its file and its public half."""
    path = tmp_path_factory.mktemp("user") / "id"
    return path, sshd.new_key(path)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, key: tuple[Path, str]) -> Iterator[sshd.Server]:
    with sshd.server(tmp_path_factory.mktemp("sshd") / "one", key[1]) as started:
        yield started


@pytest.fixture
def settings(tmp_path: Path, key: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes the ssh configuration and known_hosts of this test."""

    def write(known: str = "", config: str = "", identity: Path | None = None) -> None:
        (tmp_path / "known_hosts").write_text(known)
        head = f"UserKnownHostsFile {tmp_path}/known_hosts\nIdentityFile {identity or key[0]}\nConnectTimeout 3\n"
        (tmp_path / "config").write_text(config + "\nHost *\n" + head)

    monkeypatch.setenv("HOSTLER_SSH_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return write


def host(port: int, **words: str) -> Host:
    return Host(name="h", pool="p", ssh=Ssh(address="127.0.0.1", port=port, user=sshd.user(), **words))


@pytest.fixture(params=["local", "recording", "ssh"])
def transport(request: pytest.FixtureRequest, settings: Callable[..., None]) -> Iterator[Transport]:
    if request.param == "local":
        yield LocalTransport("h")
        return
    if request.param == "recording":
        real = LocalTransport("h")
        yield RecordingTransport("h", lambda call: real.run(call.argv, stdin=call.stdin))
        return
    server = request.getfixturevalue("server")
    settings(known=server.known)
    door = transport_for(host(server.port))
    yield door
    door.close()
