"""The controller's page behind the gateway: only with an admin's key, live, and told where nobody serves it."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.gateway.rig import KEY, Answer, Proxy, Rig, ask, until
from hostler.gateway import runtime

ADMIN = "sk-admin"
HEAD = b"HTTP/1.1 200 OK\r\nserver: page\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


class Page:
    """Says at `/hostler/events` one event, another when it is told to; elsewhere what it was asked."""

    def __init__(self, path: str) -> None:
        self.more = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        with connection:
            asked = connection.recv(65536)
            connection.sendall(HEAD)
            if b"GET /hostler/events" in asked:
                connection.sendall(b"data: one\n\n")
                self.more.wait(20)
                connection.sendall(b"data: two\n\n")
            else:
                connection.sendall(asked)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def gateway(rig: Rig) -> Proxy:
    return rig.gateway(rig.spec(rig.model("chat", 1), page=True, admins=((runtime.key_hash(ADMIN), "boss"),)))


@pytest.fixture
def page(gateway: Proxy) -> Iterator[Page]:
    made = Page(str(gateway.run / "page.sock"))
    yield made
    made.close()


def basic(password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def see(rig: Rig, path: str = "/hostler", method: str = "GET", **headers: str) -> Answer:
    return ask(
        method, path, port=rig.port, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


REFUSED: dict[str, dict[str, str]] = {
    "no key": {},
    "a client's key": bearer(KEY),
    "a client's key as password": basic(KEY),
    "a wrong password": basic(ADMIN + "x"),
    "no password": basic(""),
    "the hash": bearer(runtime.key_hash(ADMIN)),
    "nonsense": {"authorization": "Basic %%%"},
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_without_an_admin_s_key(rig: Rig, page: Page, name: str, method: str) -> None:
    for path in ("/hostler", "/hostler/events"):
        answer = see(rig, path, method, **REFUSED[name])
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("headers", [bearer(ADMIN), basic(ADMIN)], ids=["bearer", "basic"])
def test_with_one(rig: Rig, page: Page, headers: dict[str, str]) -> None:
    forged = {"x-hostler-admin": "root", "x-hostler-key": "x", "x-forwarded-for": "1.2.3.4"}
    answer = see(rig, "/hostler/a?b=%2F", **headers, **forged)
    assert answer.status == 200
    asked = answer.body.decode().lower()
    assert asked.startswith("get /hostler/a?b=%2f http/1.1")
    assert "x-hostler-admin: boss" in asked
    assert all(word not in asked for word in ("authorization", "root", "x-hostler-key", "1.2.3.4", "sk-"))
    assert {"server", "access-control-allow-origin", "x-hostler-model", "x-hostler-replica"}.isdisjoint(
        name.lower() for name in answer.headers
    )


def test_an_admin_s_key_is_no_client_s(rig: Rig, page: Page) -> None:
    assert rig.ask("GET", "/v1/models", key=ADMIN).status == 401


def test_addresses_beside_it_are_not_the_page_s(rig: Rig, page: Page) -> None:
    for path in ("/hostlerx", "/v1/hostler", "/hostler%2Fx"):
        assert rig.ask("GET", path).status == 404


def test_another_site_s_page_may_not_act(rig: Rig, page: Page) -> None:
    def says(method: str, site: str) -> int:
        return see(rig, "/hostler", method, **basic(ADMIN), sec_fetch_site=site).status

    assert [says("POST", site) for site in ("cross-site", "same-site", "same-origin", "none")] == [
        403,
        403,
        200,
        200,
    ]
    assert says("GET", "cross-site") == 200


def test_events_come_as_they_are_said(rig: Rig, page: Page) -> None:
    with socket.create_connection(("127.0.0.1", rig.port), timeout=20) as client:
        client.sendall(
            f"GET /hostler/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN}\r\n\r\n".encode()
        )
        heard: list[bytes] = []

        def hears(what: bytes) -> Any:
            heard.append(client.recv(65536))
            return what in b"".join(heard)

        until(lambda: hears(b"data: one"))
        page.more.set()
        until(lambda: hears(b"data: two"))


def test_nobody_serves_it(rig: Rig, gateway: Proxy) -> None:
    answer = see(rig, **bearer(ADMIN))
    assert answer.status == 503
    assert answer.headers["content-type"] == "text/plain"
    assert b"hostler logs controller" in answer.body
    assert not Path(gateway.run / "page.sock").exists()


def test_admins_come_and_go_without_a_reload(rig: Rig, gateway: Proxy, page: Page) -> None:
    paths = rig.paths("gateway", "gpu-1")
    live = runtime.shown_keys(gateway.command(runtime.show_keys(paths, runtime.ADMINS)))
    assert live == {runtime.key_hash(ADMIN): "boss"}
    for command in runtime.sync_keys(paths, ((runtime.key_hash("new"), "next"),), live, runtime.ADMINS):
        assert not gateway.command(command).strip()
    assert see(rig, **bearer(ADMIN)).status == 401
    assert see(rig, **bearer("new")).status == 200


def test_without_a_page_there_is_none(rig: Rig) -> None:
    rig.gateway(rig.spec(rig.model("chat", 1)))
    assert rig.ask("GET", "/hostler").status == 404
