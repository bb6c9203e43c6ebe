"""Who answers what: models by name, long bodies, uploads, headers."""

from __future__ import annotations

import socket
from collections import Counter

import pytest

from contract.gateway.rig import Rig

JSON = {"content-type": "application/json"}


def test_model_decides_the_replica(office: Rig) -> None:
    assert office.chat("big").json()["name"] == "big-0"


def test_replicas_share_the_work(office: Rig) -> None:
    names = Counter(office.chat("chat").json()["name"] for _ in range(20))
    assert set(names) == {"chat-0", "chat-1"}
    assert min(names.values()) >= 5


@pytest.mark.parametrize("megabytes", [2, 20, 29])
def test_model_after_a_long_prompt(office: Rig, megabytes: int) -> None:
    body = {"messages": [{"role": "user", "content": "x" * (megabytes << 20)}], "model": "big"}
    answer = office.ask("POST", "/v1/chat/completions", body)
    assert (answer.status, answer.json()["name"]) == (200, "big-0")
    assert answer.json()["size"] > megabytes << 20


def test_a_body_in_chunks(office: Rig) -> None:
    chunks = (b'{"messages": "', *(b"x" * 1000 for _ in range(2000)), b'", "model": "big"}')
    answer = office.ask("POST", "/v1/chat/completions", iter(chunks), headers=JSON)
    assert (answer.status, answer.json()["name"]) == (200, "big-0")


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/v1/audio/transcriptions", {"x-model": "big"}), ("/m/big/v1/audio/transcriptions", {})],
)
def test_uploads_name_the_model_outside_the_body(office: Rig, path: str, headers: dict[str, str]) -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}
    seen = office.ask("POST", path, b"--x\r\n" + b"\0" * 1_000_000, headers=headers | kind).json()
    assert (seen["name"], seen["path"]) == ("big-0", "/v1/audio/transcriptions")


def test_engine_sees_no_key_and_no_forged_header(office: Rig) -> None:
    forged = {"x-hostler-key": "root", "x-forwarded-for": "6.6.6.6", "x-request-id": "mine-1"}
    body = {"model": "big", "messages": []}
    seen = office.ask("POST", "/v1/chat/completions", body, headers=forged).json()["headers"]
    assert not {"authorization", "x-hostler-key", "x-forwarded-for"} & seen.keys()
    assert seen["x-request-id"] == "mine-1"


def test_headers_say_who_served(office: Rig) -> None:
    answer = office.chat("big")
    found = {
        name: answer.headers.get_all(name) for name in ("x-hostler-model", "x-hostler-replica", "server")
    }
    assert found == {"x-hostler-model": ["big"], "x-hostler-replica": ["big-0"], "server": None}
    assert len(answer.headers["x-request-id"]) == 36


def test_a_browser_may_ask(office: Rig) -> None:
    asked = {"origin": "https://ui.example", "access-control-request-method": "POST"}
    answer = office.ask("OPTIONS", "/v1/chat/completions", headers=asked, key="")
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "authorization" in answer.headers["access-control-allow-headers"]


def test_the_internal_socket_needs_no_key(office: Rig) -> None:
    body = b'{"model":"big","messages":[]}'
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(office.proxies[0].run / "internal.sock"))
        connection.sendall(head.encode() + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b" 200 " in answer.splitlines()[0]
    assert (office.proxies[0].run / "internal.sock").stat().st_mode & 0o777 == 0o600
