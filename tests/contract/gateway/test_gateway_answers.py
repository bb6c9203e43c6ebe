"""What the gateway itself answers: errors as OpenAI's client reads them, models, health, metrics."""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.request
from typing import Any

import openai
import pytest

from contract.gateway.rig import KEY, Answer, Rig, until
from hostler.gateway import runtime
from hostler.gateway.specs import Route, ServedModel


def client(rig: Rig, key: str = KEY) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{rig.port}/v1", api_key=key, max_retries=0, timeout=30)


def shape(answer: Answer) -> tuple[int, str]:
    """Status and code of an error; fails where it is not shaped as OpenAI's are."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert answer.headers["content-type"] == "application/json"
    return answer.status, error["code"]


CASES: list[tuple[str, str, str, Any, dict[str, str], tuple[int, str]]] = [
    (
        "no key",
        "POST",
        "/v1/chat/completions",
        {"model": "big"},
        {"authorization": ""},
        (401, "invalid_api_key"),
    ),
    ("wrong key", "GET", "/v1/models", None, {"authorization": "Bearer x"}, (401, "invalid_api_key")),
    ("a hash is no key", "GET", "/v1/models", None, {"authorization": "Basic x"}, (401, "invalid_api_key")),
    ("no model", "POST", "/v1/chat/completions", {"messages": []}, {}, (400, "missing_model")),
    ("not JSON", "POST", "/v1/chat/completions", b"{", {}, (400, "missing_model")),
    ("no body", "POST", "/v1/chat/completions", b"", {}, (400, "missing_model")),
    ("a model that is a number", "POST", "/v1/completions", {"model": [1]}, {}, (404, "model_not_found")),
    ("unknown model", "POST", "/v1/embeddings", {"model": 'no"pe\\%[x]'}, {}, (404, "model_not_found")),
    ("a very long model", "POST", "/v1/embeddings", {"model": "x" * 9000}, {}, (404, "model_not_found")),
    ("unknown address", "POST", "/v1/files", {"model": "big"}, {}, (404, "unknown_url")),
    ("an engine's inside", "POST", "/slots", {"model": "big"}, {}, (404, "unknown_url")),
    ("dots", "POST", "/v1/../slots", {"model": "big"}, {}, (404, "unknown_url")),
    ("wrong method", "GET", "/v1/chat/completions", None, {}, (405, "method_not_allowed")),
    ("models are not made", "POST", "/v1/models", {}, {}, (405, "method_not_allowed")),
    ("no replica", "POST", "/v1/chat/completions", {"model": "absent"}, {}, (503, "model_not_ready")),
    ("unknown model asked for", "GET", "/v1/models/nope", None, {}, (404, "model_not_found")),
]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_errors_are_shaped_as_openai_s(office: Rig, case: Any) -> None:
    _, method, path, body, headers, expected = case
    assert shape(office.ask(method, path, body, headers=headers)) == expected


def test_a_body_over_the_limit(office: Rig) -> None:
    body = {"messages": "x" * (31 << 20), "model": "big"}
    assert shape(office.ask("POST", "/v1/chat/completions", body)) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GARBAGE", (400, "bad_request")),
        ("GET / HTTP/1.1\r\nhost: x\r\nbad header: 3", (400, "bad_request")),
        (f"GET /{'x' * 20000} HTTP/1.1", (414, "uri_too_long")),
        (f"GET / HTTP/1.1\r\nx: {'x' * 20000}", (431, "headers_too_long")),
    ],
    ids=["no HTTP", "header", "address", "headers"],
)
def test_what_cannot_be_parsed(office: Rig, request_line: str, expected: tuple[int, str]) -> None:
    with socket.create_connection(("127.0.0.1", office.port), timeout=10) as connection:
        connection.sendall(f"{request_line}\r\n\r\n".encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert shape(Answer(response)) == expected


@pytest.mark.parametrize(
    ("model", "key", "error"),
    [
        ("big", "wrong", openai.AuthenticationError),
        ("nope", KEY, openai.NotFoundError),
        ("absent", KEY, openai.InternalServerError),
    ],
)
def test_the_openai_client_reads_them(
    office: Rig, model: str, key: str, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as caught:
        client(office, key).chat.completions.create(
            model=model, messages=[{"role": "user", "content": "x" * 3_000_000}]
        )
    assert caught.value.body["message"]  # pyright: ignore


def test_retry_after_is_said(office: Rig) -> None:
    assert office.chat("absent").headers["retry-after"] == "10"


def test_too_many_waiting(rig: Rig) -> None:
    engine = rig.engine("chat-0")
    model = rig.model("chat", 1, slots=1)
    proxy = rig.gateway(rig.spec(type(model)(name="chat", replicas=model.replicas, waiting=1)))
    until(lambda: rig.chat("chat").status == 200)
    slow = [send(rig, delay=20)]
    until(lambda: engine.state()["busy"] == 1)
    slow.append(send(rig, delay=20))
    until(lambda: "1" in [row["qcur"] for row in proxy.rows() if row["svname"] == "BACKEND"])
    answer = rig.chat("chat")
    assert shape(answer) == (429, "rate_limit_exceeded")
    assert answer.headers["retry-after"] == "5"
    assert engine.state()["busy"] == 1  # the second waits in the gateway
    for connection in slow:
        connection.close()


def send(rig: Rig, delay: float) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", rig.port)
    body = json.dumps({"model": "chat", "x_delay": delay})
    connection.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {KEY}"})
    return connection


def test_models_from_the_gateway_s_own_state(office: Rig) -> None:
    found = {model.id: model.model_dump() for model in client(office).models.list()}
    assert {name: model["state"] for name, model in found.items()} == {
        "chat": "ready",
        "big": "ready",
        "absent": "unavailable",
    }
    assert client(office).models.retrieve("chat").owned_by == "hostler"


def test_models_at_once_with_every_engine_dead(rig: Rig) -> None:
    engine = rig.engine("dead")
    replicas = [Route(id=f"m-{n}", host="gpu-1", port=engine.port) for n in range(40)]
    rig.gateway(rig.spec(*(ServedModel(name=f"org.{r.id}:q4_k_m", replicas=(r,)) for r in replicas)))
    engine.kill()
    until(lambda: states(rig) == {"unavailable"})
    start = time.monotonic()
    assert len(rig.ask("GET", "/v1/models").json()["data"]) == 40
    assert time.monotonic() - start < 0.2
    assert rig.ask("GET", "/v1/models/org.m-7%3Aq4_k_m").json()["id"] == "org.m-7:q4_k_m"


def states(rig: Rig) -> set[str]:
    return {model["state"] for model in rig.ask("GET", "/v1/models").json()["data"]}


def test_health_needs_no_key(office: Rig) -> None:
    assert office.ask("GET", "/health", key="").json() == {"status": "ok"}


def test_metrics_on_loopback(office: Rig) -> None:
    office.chat("big")
    with urllib.request.urlopen(
        f"http://127.0.0.1:{office.ports.gateway_metrics}/metrics", timeout=5
    ) as answer:
        text = answer.read().decode()
    assert 'haproxy_server_current_sessions{proxy="model_big",server="big-0"}' in text


def test_keys_come_and_go_without_a_reload(rig: Rig) -> None:
    spec = rig.spec(rig.model("chat", 1))
    proxy = rig.gateway(spec)
    assert rig.ask("GET", "/v1/models", key="new").status == 401
    rows = ((runtime.key_hash("new"), "laptop"),)
    live = runtime.shown_keys(proxy.command(runtime.show_keys(spec.paths)))
    assert live == {runtime.key_hash(KEY): "me"}
    for command in runtime.sync_keys(spec.paths, rows, live):
        assert not proxy.command(command).strip()
    assert rig.ask("GET", "/v1/models", key="new").status == 200
    assert rig.ask("GET", "/v1/models", key=KEY).status == 401
