"""What a host gets from the operator's machine, asked with the host's own program."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest

from hostler.carry.giver import Giver
from hostler.carry.origins import Address, Body, LocalFile, Origin
from hostler.models.http import Http
from hostler.node.base import files
from hostler.node.base.protocol import NodeError
from hostler.node.weights import fetch, transfer
from unit.node.fakes import Heard
from unit.node.web import CONTENT, Web
from unit.node.web import SHA256 as SHA
from unit.node.web import web as hub

PATH = files.MODELS + "/ab/m.gguf"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files, "root", str(tmp_path / "host"))
    monkeypatch.setattr(transfer, "PAUSE_S", 0.01)
    return tmp_path


@pytest.fixture
def site() -> Generator[Web]:
    with hub() as running:
        yield running


class Door:
    """A giver behind a port, as sshd's on a host."""

    def __init__(self, offers: Mapping[str, Origin]) -> None:
        self.said: list[str] = []
        self.giver = Giver({"gpu-1": offers}, self.said.append, self.said.append)
        self.cut = 0  # bytes after which a connection is lost, once
        self.changed: Callable[[], object] = lambda: None  # done then
        door = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                door.giver.answer("gpu-1", Cut(self.request, door) if door.cut else self.request)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


class Cut:
    """A socket that breaks once."""

    def __init__(self, socket: Any, door: Door) -> None:
        self._socket, self._door, self._left = socket, door, door.cut

    def sendall(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._door.cut = 0
            self._door.changed()
            self._socket.sendall(data[: max(0, len(data) + self._left)])
            raise ConnectionResetError
        self._socket.sendall(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


@contextmanager
def opened(offers: Mapping[str, Origin]) -> Generator[Door]:
    door = Door(offers)
    yield door
    door.server.shutdown()
    door.server.server_close()


def local(root: Path, content: bytes = CONTENT) -> LocalFile:
    path = root / "m.gguf"
    path.write_bytes(content)
    return LocalFile(name="m.gguf", path=path, size=len(content), sha256=sha256(content).hexdigest())


def fetched(door: Door, **request: Any) -> dict[str, Any]:
    heard = Heard()
    url = f"operator:{door.port}/ab/m.gguf"
    asked = {"url": url, "path": PATH, "sha256": SHA, "size": len(CONTENT), "token": door.giver.token}
    fetch.fetch({"op": "fetch", **asked, **request}, heard)
    return heard.last


def refused(door: Door, **request: Any) -> str:
    with pytest.raises(NodeError) as error:
        fetched(door, **request)
    assert door.giver.token not in str(error.value.as_json())
    return f"{error.value.message}; next: {error.value.next_step}"


def test_a_file_of_this_machine(root: Path) -> None:
    with opened({"/ab/m.gguf": local(root)}) as door:
        assert fetched(door)["why"] == "from the operator's machine"
        assert Path(files.at(PATH)).read_bytes() == CONTENT
        assert fetched(door)["changed"] is False
        assert door.said[-1] == "sent     gpu-1: m.gguf: 2.9 MiB from this machine"


def test_a_connection_that_breaks_is_gone_on_with(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[int] = []
    real = LocalFile.opened

    def watched(self: LocalFile, start: int, tag: str = "") -> Any:
        starts.append(start)
        return real(self, start, tag)

    monkeypatch.setattr(LocalFile, "opened", watched)
    with opened({"/ab/m.gguf": local(root)}) as door:
        door.cut = 700_000
        fetched(door)
        assert not [line for line in door.said if line.startswith("warning")], "it asks again"
    assert Path(files.at(PATH)).read_bytes() == CONTENT
    assert starts[0] == 0
    assert 600_000 < starts[1] < 700_000


def test_without_this_runs_token_nothing(root: Path) -> None:
    with opened({"/ab/m.gguf": local(root)}) as door:
        for token in ("", "another", door.giver.token + "x"):
            assert "(HTTP 401)" in refused(door, token=token)
        assert not Path(files.at(PATH)).exists()


@pytest.mark.parametrize("path", ["/ab/n.gguf", "/ab/../m.gguf", "/", "/m.gguf", "/ab/m.gguf/"])
def test_what_is_not_offered_is_not_there(path: str, root: Path) -> None:
    with opened({"/ab/m.gguf": local(root)}) as door:
        assert "there is no such file (HTTP 404)" in refused(door, url=f"operator:{door.port}{path}")
        assert door.giver.offered("gpu-2", "/ab/m.gguf") is None, "another host is offered nothing"


def test_a_file_that_changed_while_it_was_given(root: Path) -> None:
    origin = local(root)
    (root / "m.gguf").write_bytes(CONTENT[:-1] + b"x")
    with opened({"/ab/m.gguf": origin}) as door:
        assert f"expected SHA-256 {SHA}; got" in refused(door)
        (root / "m.gguf").write_bytes(CONTENT + b"x")
        assert "the operator's machine: /ab/m.gguf: the file is gone (HTTP 410)" in refused(door)
        assert f"has {len(CONTENT) + 1} bytes now; the release names {len(CONTENT)}" in door.said[-1]


def through(site: Web, token: str = "") -> dict[str, Origin]:
    return {"/ab/m.gguf": Address(name="m.gguf", url=site.url(), token=token, http=Http(timeout=5))}


def test_a_file_of_the_hub_is_read_through(root: Path, site: Web) -> None:
    """It lies nowhere here, the token stays here, and what breaks off is gone on with."""
    site.cuts = [1_000_000]
    with opened(through(site, "hf_secret")) as door:
        assert fetched(door)["why"] == "from the operator's machine"
        assert "hf_secret" not in "".join(door.said)
        (warned,) = [line for line in door.said if line.startswith("warning")]
        assert "m.gguf broke off: it ended after 1.0 MiB of 2.9 MiB" in warned
    assert Path(files.at(PATH)).read_bytes() == CONTENT
    assert [asked.get("range", "") for asked in site.asked] == ["", "bytes=1000000-"]
    assert {asked["authorization"] for asked in site.asked} == {"Bearer hf_secret"}
    assert [path.name for path in root.iterdir()] == ["host"]


def test_a_hubs_token_goes_to_no_other_place(site: Web) -> None:
    with hub() as other:
        site.redirect = other.url().replace("127.0.0.1", "localhost")
        with opened(through(site, "hf_secret")) as door:
            fetched(door)
        assert "authorization" in site.asked[0]
        assert "authorization" not in other.asked[0]


def test_a_file_without_a_checksum_that_changed_in_between(site: Web) -> None:
    """Its ETag tells, and it is fetched anew."""
    other = bytes(reversed(CONTENT))
    with opened(through(site)) as door:
        door.cut = 700_000
        site.etag = '"v1"'
        door.changed = lambda: (setattr(site, "content", other), setattr(site, "etag", '"v2"'))
        fetched(door, sha256="")
    assert Path(files.at(PATH)).read_bytes() == other


@pytest.mark.parametrize(("status", "words"), [(403, "access is refused"), (404, "there is no such file")])
def test_a_hub_that_refuses_is_named_here(status: int, words: str, site: Web) -> None:
    site.statuses = [status]
    with opened(through(site)) as door:
        assert f"{words} (HTTP {status})" in refused(door)
        assert door.said == [f"warning: gpu-1 asked for m.gguf: {site.url()}: status {status}"]


def test_a_hub_that_is_away_is_tried_again() -> None:
    origin = Address(name="m.gguf", url="http://127.0.0.1:1/m.gguf", token="", http=Http(timeout=5))
    with opened({"/ab/m.gguf": origin}) as door:
        assert "tried 6 times" in refused(door)
        assert len(door.said) == 1, "once, not each time"


class Breaks:
    """A source whose connection breaks once."""

    name = "m.gguf"

    def __init__(self, error: Exception) -> None:
        self._errors = [error]

    @contextmanager
    def opened(self, start: int, tag: str = "") -> Generator[Body]:  # noqa: ARG002
        yield Body(chunks=self._chunks(start), start=start, total=len(CONTENT))

    def _chunks(self, start: int) -> Generator[bytes]:
        yield CONTENT[start : start + 1_000_000]
        if self._errors:
            raise self._errors.pop()
        yield CONTENT[start + 1_000_000 :]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError("timed out"), "timed out"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (ConnectionResetError(), "ConnectionResetError"),
        (IncompleteRead(b"", 9), "IncompleteRead"),
    ],
)
def test_a_source_that_breaks_off_is_told(error: Exception, words: str) -> None:
    with opened({"/ab/m.gguf": Breaks(error)}) as door:
        fetched(door)
        told = [line for line in door.said if line.startswith("warning")]
        assert len(told) == 1
        assert told[0].startswith("warning: gpu-1 asked for m.gguf: m.gguf broke off: ")
        assert words in told[0]
    assert Path(files.at(PATH)).read_bytes() == CONTENT


def test_nobody_gives_it_in_this_run() -> None:
    asked = {"op": "fetch", "url": "operator:/ab/m.gguf", "path": PATH, "sha256": SHA, "size": len(CONTENT)}
    with pytest.raises(NodeError, match="gives it, and not to this host in this run") as error:
        fetch.fetch(dict(asked), Heard())
    assert "run `hostler up` where the file is; or copy it to this path" in error.value.next_step
    Path(files.at(PATH)).write_bytes(CONTENT)
    heard = Heard()
    fetch.fetch(dict(asked), heard)
    assert heard.last["sha256"] == SHA, "copied by hand: checked, not fetched"
