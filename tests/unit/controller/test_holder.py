"""The holder alone, on its socket, before a stand-in of the gateway's own."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from hostler.controller.holder import MOST_HELD, Holder
from hostler.controller.holder_onward import Onward
from hostler.controller.holder_serving import Server, Serving, listening
from hostler.controller.holder_waking import Pace, WakeError

QUICK = Pace(first=0.05, every=0.05, look=0.01, again=0.02, seen=0.5, seen_else=1.0)


@dataclass
class Gateway:
    """Answers for those that serve, and keeps what it was asked."""

    serving: set[str] = field(default_factory=set[str])
    seeing: set[str] | None = None  # what /v1/models says; None: the truth
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list[Any])
    answer: Callable[[Send], Awaitable[None]] | None = None
    refusing: dict[str, tuple[int, str]] = field(
        default_factory=dict[str, tuple[int, str]]
    )  # status and code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["raw_path"].decode()
        if scope["method"] == "GET":
            name = path.rpartition("/")[2]
            ready = name in (self.serving if self.seeing is None else self.seeing)
            await say(send, 200, {"id": name, "state": "ready" if ready else "asleep"})
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((path + "?" + scope["query_string"].decode(), headers, body))
        model = path.split("/")[2]
        if model in self.refusing:
            status, code = self.refusing[model]
            await say(send, status, {"error": {"code": code}})
        elif model not in self.serving:
            await say(send, 503, {"error": {"code": "model_not_ready"}})
        elif self.answer:
            await self.answer(send)
        else:
            await say(send, 200, {"said": json.loads(body).get("model") if body.startswith(b"{") else "raw"})


async def say(send: Send, status: int, value: Any, **headers: str) -> None:
    said = [(name.encode(), text.encode()) for name, text in headers.items()]
    body = json.dumps(value).encode()
    await start(send, status, *said, (b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.body", "body": body})


async def start(send: Send, status: int, *headers: tuple[bytes, bytes]) -> None:
    kind = (b"content-type", b"application/json")
    found = headers if any(name == b"content-type" for name, _ in headers) else (kind, *headers)
    await send({"type": "http.response.start", "status": status, "headers": list(found)})


@dataclass
class Wakes:
    gateway: Gateway
    fails: dict[str, str] = field(default_factory=dict[str, str])
    others: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    limit: tuple[int, float] = (64, 10)
    limit_of: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])
    eta: float | None = None
    awake: set[str] = field(default_factory=set[str])
    woken: Counter[str] = field(default_factory=Counter[str])
    stale: Counter[str] = field(default_factory=Counter[str])  # how often it is said to be awake, and is not
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def wake(self, model: str) -> bool:
        self.woken[model] += 1
        if model in self.fails:
            raise WakeError(self.fails[model], 42)
        if self.woken[model] <= self.stale[model]:
            return False
        await self.go.wait()
        self.gateway.serving.add(model)
        return True

    def eta_s(self, model: str) -> float | None:  # noqa: ARG002
        return self.eta

    def instead(self, model: str) -> list[str]:
        return self.others.get(model, [])

    def ready(self, model: str) -> bool:
        return model in self.awake

    def limits(self, model: str) -> tuple[int, float]:
        return self.limit_of.get(model, self.limit)


@dataclass
class World:
    gateway: Gateway
    wakes: Wakes
    app: Holder
    serving: Serving
    client: httpx.AsyncClient

    async def ask(
        self, model: str = "chat", body: Any = None, path: str = "/v1/x", **headers: str
    ) -> httpx.Response:
        given = {"x-hostler-model": model, "content-type": "application/json", "x-hostler-key": "me"}
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        content = body if isinstance(body, bytes) else json.dumps(body or {"model": model})
        return await self.client.post(f"http://h{path}", content=content, headers=given | sent)

    def asking(self, count: int = 1, **more: Any) -> list[asyncio.Task[httpx.Response]]:
        return [asyncio.create_task(self.ask(**more)) for _ in range(count)]


@asynccontextmanager
async def world(folder: Path, most_held: int) -> AsyncIterator[World]:
    gateway = Gateway()
    wakes = Wakes(gateway)
    config = uvicorn.Config(gateway, lifespan="off", log_level="error")
    server = Server(config)
    inside = asyncio.create_task(server.serve(sockets=[listening(f"{folder}/internal.sock")]))
    app = Holder(wakes, f"{folder}/internal.sock", QUICK, most_held)
    serving = Serving(app, f"{folder}/holder.sock", grace_s=5, settle_s=0.0)
    outside = asyncio.create_task(serving.run())
    await until(lambda: server.started and serving.server.started)
    transport = httpx.AsyncHTTPTransport(uds=f"{folder}/holder.sock")
    try:
        async with httpx.AsyncClient(transport=transport, timeout=20) as client:
            yield World(gateway, wakes, app, serving, client)
    finally:
        serving.stop()
        server.end()
        await asyncio.gather(inside, outside)


async def until(what: Callable[[], Any], limit: float = 10.0) -> None:
    async with asyncio.timeout(limit):
        while not what():
            await asyncio.sleep(0.005)


def run(folder: Path, test: Callable[[World], Coroutine[Any, Any, None]], most_held: int = MOST_HELD) -> None:
    async def inner() -> None:
        async with world(folder, most_held) as made:
            await test(made)

    asyncio.run(inner())


def test_one_wake_for_all_and_each_its_answer(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        asking = it.asking(20)
        await until(lambda: it.app.waiting("chat") == 20)
        assert it.gateway.asked == []
        it.wakes.go.set()
        assert [(await one).json() for one in asking] == [{"said": "chat"}] * 20
        assert it.wakes.woken == {"chat": 1}
        assert it.app.waiting("chat") == 0

    run(tmp_path, test)


def test_nobody_waits_for_what_comes_after_a_wake(tmp_path: Path) -> None:
    """The gateway sees the replica before its host has put everything in order; meanwhile no other wake begins."""

    async def test(it: World) -> None:
        asking = it.asking(3)
        await until(lambda: it.app.waiting("chat") == 3)
        it.gateway.serving.add("chat")
        assert [(await one).json() for one in asking] == [{"said": "chat"}] * 3
        it.gateway.serving.remove("chat")
        late = it.asking(1)
        await until(lambda: it.app.waiting("chat") == 1)
        it.wakes.go.set()
        assert (await late[0]).json() == {"said": "chat"}
        assert it.wakes.woken == {"chat": 1}

    run(tmp_path, test)


def test_what_is_handed_on_is_what_was_asked(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        it.gateway.serving.add("chat")
        it.wakes.awake.add("chat")
        body = b"--x\r\n\0\xff"
        more = {"content_type": "multipart/form-data; boundary=x", "x_request_id": "r1", "accept": "a/b"}
        answer = await it.ask(body=body, path="/v1/audio?a=%2F", x_hostler_stream="1", **more)
        assert answer.json() == {"said": "raw"}
        path, headers, said = it.gateway.asked[0]
        assert (path, said) == ("/m/chat/v1/audio?a=%2F", body)
        assert {name: headers.get(name.replace("_", "-")) for name in more} == more
        assert (headers["x-hostler-woken"], headers["x-hostler-key"]) == ("1", "me")
        assert "x-hostler-stream" not in headers
        assert "x-hostler-model" not in headers
        assert it.wakes.woken == {}

    run(tmp_path, test)


def test_the_answer_is_passed_through(tmp_path: Path) -> None:
    async def odd(send: Send) -> None:
        await start(
            send, 418, (b"x-a", b"1"), (b"x-a", b"2"), (b"keep-alive", b"x"), (b"content-type", b"a/b")
        )
        for part in (b"\0\r\n", b"", b"end"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def test(it: World) -> None:
        it.gateway.serving.add("chat")
        it.wakes.awake.add("chat")
        it.gateway.answer = odd
        answer = await it.ask()
        assert (answer.status_code, answer.content) == (418, b"\0\r\nend")
        assert answer.headers.get_list("x-a") == ["1", "2"]
        assert "keep-alive" not in answer.headers
        assert answer.headers["content-type"] == "a/b"

    run(tmp_path, test)


@pytest.mark.parametrize("seeing", [True, False])
def test_it_was_thought_to_be_ready(tmp_path: Path, seeing: bool) -> None:
    """The gateway knows better; a wake puts it right. The gateway's view may be late, too."""

    async def test(it: World) -> None:
        it.wakes.awake.add("chat")
        it.wakes.go.set()
        it.gateway.seeing = None if seeing else set()
        asking = it.asking()
        await until(lambda: it.wakes.woken["chat"])
        it.gateway.seeing = None
        assert (await asking[0]).status_code == 200
        assert it.wakes.woken == {"chat": 1}

    run(tmp_path, test)


def test_it_fell_asleep_a_moment_ago(tmp_path: Path) -> None:
    """What is known of it is a look old: it is woken with the next one. While it wakes its time does not run."""

    async def test(it: World) -> None:
        it.wakes.awake.add("chat")
        it.wakes.stale["chat"] = 5
        asking = it.asking(20)
        await until(lambda: it.wakes.woken["chat"] == 6)
        await asyncio.sleep(QUICK.seen)  # a load is long
        it.wakes.go.set()
        assert {(await one).status_code for one in asking} == {200}
        assert it.wakes.woken == {"chat": 6}

    run(tmp_path, test)


def test_it_is_said_to_be_awake_for_too_long(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        it.wakes.stale["chat"] = 1000
        answer = await it.ask()
        assert answer.status_code == 503
        assert "the gateway does not find it ready" in answer.json()["error"]["message"]

    run(tmp_path, test)


def test_it_is_woken_and_the_gateway_does_not_see_it(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        it.wakes.go.set()
        it.gateway.seeing = set()
        answer = await it.ask()
        assert answer.status_code == 503
        assert "the gateway does not find it ready" in answer.json()["error"]["message"]

    run(tmp_path, test)


@pytest.mark.parametrize(("eta", "said"), [(None, "10"), (0.2, "1"), (90.4, "91")])
def test_one_too_many(tmp_path: Path, eta: float | None, said: str) -> None:
    async def test(it: World) -> None:
        it.wakes.limit, it.wakes.eta = (2, 10), eta
        asking = it.asking(2)
        await until(lambda: it.app.waiting("chat") == 2)
        full = await it.ask()
        assert (full.status_code, full.headers["retry-after"]) == (429, said)
        assert set(full.json()["error"]) == {"message", "type", "param", "code"}
        it.wakes.go.set()
        assert {(await one).status_code for one in asking} == {200}

    run(tmp_path, test)


def test_none_waits_longer_than_it_may(tmp_path: Path) -> None:
    """And wakes nobody else when its time is over."""

    async def test(it: World) -> None:
        it.wakes.limit, it.wakes.eta, it.wakes.others = (2, 0.2), 30, {"chat": ["small"]}
        answer = await it.ask()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert "as long as it may" in answer.json()["error"]["message"]
        assert it.wakes.woken == {"chat": 1}

    run(tmp_path, test)


def test_who_waited_too_long_is_answered_by_another(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        it.wakes.limit, it.wakes.others = (2, 0.2), {"chat": ["small"]}
        it.gateway.serving.add("small")
        assert (await it.ask()).json() == {"said": "small"}

    run(tmp_path, test)


def test_who_stands_in_is_asked_by_its_own_name(tmp_path: Path) -> None:
    """What is ready before what would have to be woken; and only what the list of the model itself names."""

    async def test(it: World) -> None:
        it.wakes.fails, it.wakes.others = {"chat": "no card"}, {"chat": ["b", "c"], "b": ["x"]}
        it.gateway.serving |= {"c", "x"}
        answer = await it.ask(body={"messages": ["\u00e4"], "model": "chat"})
        assert answer.json() == {"said": "c"}
        path, _, body = it.gateway.asked[0]
        assert path.startswith("/m/c/v1/x")
        assert json.loads(body) == {"messages": ["\u00e4"], "model": "c"}
        assert it.wakes.woken == {"chat": 1}

    run(tmp_path, test)


def test_of_those_that_are_ready_the_first(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        it.wakes.fails, it.wakes.others = {"chat": "no card"}, {"chat": ["b", "c"]}
        it.gateway.serving |= {"b", "c"}
        assert (await it.ask()).json() == {"said": "b"}

    run(tmp_path, test)


def test_none_is_ready_and_the_first_that_wakes_answers(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        it.wakes.fails, it.wakes.others = {"chat": "no card", "b": "no host"}, {"chat": ["b", "c"]}
        asking = it.asking()
        await until(lambda: it.app.waiting("c") == 1)
        assert it.app.waiting("chat") == 0
        it.wakes.go.set()
        assert (await asking[0]).json() == {"said": "c"}
        assert it.wakes.woken == {"chat": 1, "b": 1, "c": 1}
        assert it.app.waiting("c") == 0

    run(tmp_path, test)


def test_a_stream_hears_whom_it_waits_for(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        it.wakes.fails, it.wakes.others = {"chat": "no card"}, {"chat": ["c"]}
        headers = {"x-hostler-model": "chat", "x-hostler-stream": "1"}
        async with it.client.stream("POST", "http://h/v1/x", json=STREAM, headers=headers) as response:
            text = ""
            async for part in response.aiter_text():
                text += part
                if ": waking c\n\n" in text:
                    it.wakes.go.set()
        assert it.wakes.go.is_set()
        assert ": waking chat" not in text
        assert '{"said": "c"}' in text

    run(tmp_path, test)


@pytest.mark.parametrize("refusal", [(429, "rate_limit_exceeded"), (404, "model_not_found")])
def test_one_that_the_gateway_does_not_ask_is_passed_over(tmp_path: Path, refusal: tuple[int, str]) -> None:
    async def test(it: World) -> None:
        it.wakes.fails, it.wakes.others = {"chat": "no card"}, {"chat": ["b", "c"]}
        it.gateway.serving |= {"b", "c"}
        it.gateway.refusing["b"] = refusal
        assert (await it.ask()).json() == {"said": "c"}

    run(tmp_path, test)


@pytest.mark.parametrize("others", [[], ["b"], ["c", "b"]])
def test_the_gateway_has_no_room_after_a_wake(tmp_path: Path, others: list[str]) -> None:
    """Where no other answers, that is the answer."""

    async def test(it: World) -> None:
        it.wakes.others, it.wakes.fails["b"] = {"chat": others}, "no host"
        it.gateway.serving |= {"chat", "c"}
        it.gateway.refusing["chat"] = (429, "rate_limit_exceeded")
        it.wakes.awake.add("chat")
        answer = await it.ask()
        assert answer.status_code == (200 if "c" in others else 429)
        assert answer.json() == (
            {"said": "c"} if "c" in others else {"error": {"code": "rate_limit_exceeded"}}
        )

    run(tmp_path, test)


def test_an_error_of_an_engine_is_its_answer(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        it.wakes.others = {"chat": ["c"]}
        it.gateway.serving |= {"chat", "c"}
        it.wakes.awake.add("chat")
        it.gateway.refusing["chat"] = (404, "NotFoundError")
        answer = await it.ask()
        assert (answer.status_code, answer.json()) == (404, {"error": {"code": "NotFoundError"}})

    run(tmp_path, test)


def test_one_too_many_is_answered_by_another(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        it.wakes.limit_of, it.wakes.others = {"chat": (1, 10), "b": (1, 10)}, {"chat": ["b"]}
        asking = it.asking()
        await until(lambda: it.app.waiting("chat") == 1)
        it.gateway.serving.add("b")
        assert (await it.ask()).json() == {"said": "b"}
        it.gateway.serving.clear()
        asking += it.asking()
        await until(lambda: it.app.waiting("b") == 1)
        full = await it.ask()
        assert (full.status_code, full.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert full.json()["error"]["message"].endswith("which is waking; nor does b answer instead")
        it.wakes.go.set()
        assert [(await one).json()["said"] for one in asking] == ["chat", "b"]

    run(tmp_path, test)


def test_the_gateway_says_that_it_has_no_room(tmp_path: Path) -> None:
    """The model itself is not asked, nor woken."""

    async def test(it: World) -> None:
        it.wakes.others = {"chat": ["b"]}
        it.gateway.serving |= {"chat", "b"}
        it.wakes.awake |= {"chat", "b"}
        assert (await it.ask(x_hostler_full="1")).json() == {"said": "b"}
        it.gateway.serving.remove("b")
        it.wakes.fails["b"] = "no host"
        full = await it.ask(x_hostler_full="1")
        assert full.status_code == 429
        assert full.json()["error"]["message"].startswith(
            "Too many requests are waiting for the model chat; nor"
        )
        assert it.wakes.woken == {"b": 1}

    run(tmp_path, test)


def test_what_is_said_to_be_ready_and_is_not_is_waited_for_once(tmp_path: Path) -> None:
    """It drains, or the gateway cannot reach it. When it is seen again it has its time again."""

    async def test(it: World) -> None:
        it.wakes.others, it.gateway.serving = {"chat": ["b"]}, {"b"}
        it.wakes.go.set()
        it.wakes.awake.add("chat")
        it.gateway.seeing = {"b"}
        it.wakes.gateway = Gateway()  # a wake changes nothing
        loop = asyncio.get_running_loop()
        took: list[float] = []
        for _ in range(2):
            began = loop.time()
            assert (await it.ask()).json() == {"said": "b"}
            took.append(loop.time() - began)
        assert took[0] >= QUICK.seen_else > took[1]

    run(tmp_path, test)


def test_all_fail(tmp_path: Path) -> None:
    """Two that name each other, even."""

    async def test(it: World) -> None:
        it.wakes.fails = {"chat": "no card", "b": "no host", "c": "no disk"}
        it.wakes.others = {"chat": ["b", "c"], "b": ["chat"]}
        answer = await it.ask()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "42")
        message = answer.json()["error"]["message"]
        assert message.startswith("The model chat did not wake: no card; nor does b or c answer instead; ")
        assert it.wakes.woken == {"chat": 1, "b": 1, "c": 1}

    run(tmp_path, test)


def test_a_bug_in_waking_is_told_as_one(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        it.wakes.go = None  # type: ignore[assignment]
        assert "the controller failed: AttributeError" in (await it.ask()).json()["error"]["message"]

    run(tmp_path, test)


def test_a_bug_in_looking_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes it for a replica that the gateway sees."""

    async def bug(*_: Any) -> bool:
        raise AttributeError("a bug")

    async def test(it: World) -> None:
        monkeypatch.setattr(Onward, "sees", bug)
        assert "the controller failed: AttributeError" in (await it.ask()).json()["error"]["message"]

    run(tmp_path, test)


STREAM = {"model": "chat", "stream": True}


@pytest.mark.parametrize(
    ("status", "kind", "body", "end"),
    [
        (200, "text/event-stream", b"data: {}\n\ndata: [DONE]\n\n", "data: {}\n\ndata: [DONE]\n\n"),
        (400, "application/json", b'{\n"error": {"code": "x"}}', 'data: {"error": {"code": "x"}}\n\n'),
        (500, "text/html", b"<p>", "<p>"),
    ],
    ids=["events", "an error", "nonsense"],
)
def test_comments_and_then(tmp_path: Path, status: int, kind: str, body: bytes, end: str) -> None:
    async def answer(send: Send) -> None:
        await start(send, status, (b"content-type", kind.encode()))
        await send({"type": "http.response.body", "body": body})

    async def test(it: World) -> None:
        it.gateway.answer, it.wakes.eta = answer, 12.3
        heard, opened = [], asyncio.Event()

        async def listen() -> None:
            headers = {"x-hostler-model": "chat", "content-type": "application/json", "x-hostler-stream": "1"}
            async with it.client.stream("POST", "http://h/v1/x", json=STREAM, headers=headers) as response:
                assert response.status_code == 200
                assert response.headers["content-type"] == "text/event-stream"
                async for text in response.aiter_text():
                    heard.append(text)
                    opened.set()

        task = asyncio.create_task(listen())
        await opened.wait()
        it.wakes.go.set()
        await task
        text = "".join(heard)
        assert text.startswith(": waking chat, about 12 s\n\n")
        assert end in text
        assert ("[DONE]" in text) == ("[DONE]" in end)

    run(tmp_path, test)


@pytest.mark.parametrize(
    "headers", [{}, {"x_hostler_stream": "1"}], ids=["", "marked, because it was not read"]
)
def test_what_is_no_stream_hears_none(tmp_path: Path, headers: dict[str, Any]) -> None:
    async def test(it: World) -> None:
        asking = it.asking(body={"model": "chat"}, **headers)
        await until(lambda: it.app.waiting("chat"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asking[0]), 3 * QUICK.first)
        it.wakes.go.set()
        assert (await asking[0]).headers["content-type"] == "application/json"

    run(tmp_path, test)


def test_a_failure_after_comments_is_an_event(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        it.wakes.limit = (2, 0.2)
        answer = await it.ask(body=STREAM, x_hostler_stream="1")
        assert answer.status_code == 200
        comment, _, event = answer.text.rstrip().rpartition("\n\n")
        assert comment.startswith(": waking chat")
        assert json.loads(event.removeprefix("data: "))["error"]["code"] == "model_not_ready"

    run(tmp_path, test)


def test_who_goes_away_leaves_the_line_and_the_engine(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        left = it.asking(3)
        await until(lambda: it.app.waiting("chat") == 3)
        for task in left:
            task.cancel()
        await until(lambda: it.app.waiting("chat") == 0)
        ended = asyncio.Event()

        async def long(send: Send) -> None:
            await start(send, 200)
            try:
                while True:
                    await send({"type": "http.response.body", "body": b"x", "more_body": True})
                    await asyncio.sleep(0.01)
                    if not it.gateway.serving:
                        ended.set()
                        return
            finally:
                ended.set()

        it.gateway.answer = long
        asking = it.asking()
        it.wakes.go.set()
        await until(lambda: it.gateway.asked)
        asking[0].cancel()
        await until(lambda: not it.app._bytes)
        it.gateway.serving.clear()
        await ended.wait()

    run(tmp_path, test)


def test_an_answer_that_breaks_off_does_so_here(tmp_path: Path) -> None:
    async def torn(send: Send) -> None:
        await start(send, 200, (b"content-length", b"100"))
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ConnectionError

    async def test(it: World) -> None:
        it.gateway.answer = torn
        it.wakes.go.set()
        with pytest.raises(httpx.RemoteProtocolError):
            await it.ask()

    run(tmp_path, test)


def test_who_waits_is_sent_back_when_it_stops(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        asking = it.asking(3)
        await until(lambda: it.app.waiting("chat") == 3)
        it.serving.stop()
        assert not (tmp_path / "holder.sock").exists()
        assert [(await one).status_code for one in asking] == [425] * 3

    run(tmp_path, test)


def test_what_cannot_be_asked_again_waits_on_when_it_stops(tmp_path: Path) -> None:
    """The gateway keeps 16 KB of a request."""

    async def test(it: World) -> None:
        asking = it.asking(3, body={"model": "chat", "pad": "x" * 9000})
        await until(lambda: it.app.waiting("chat") == 3)
        it.serving.stop()
        it.wakes.go.set()
        assert [(await one).status_code for one in asking] == [200] * 3
        assert it.wakes.woken == {"chat": 1}

    run(tmp_path, test)


def test_who_was_connected_when_it_stopped_is_heard(tmp_path: Path) -> None:
    """The gateway has sent it there, and cannot take back what is over its buffer."""

    async def test(it: World) -> None:
        it.serving.settle_s = 5.0
        reader, writer = await asyncio.open_unix_connection(f"{tmp_path}/holder.sock")
        it.serving.stop()
        it.wakes.go.set()
        with pytest.raises(TimeoutError):  # nobody hangs up
            await asyncio.wait_for(reader.read(1), 0.3)
        body = json.dumps({"model": "chat", "pad": "x" * 9000}).encode()
        head = (
            f"POST /v1/x HTTP/1.1\r\nhost: h\r\nx-hostler-model: chat\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        assert b" 200 " in await reader.readline()
        writer.close()

    run(tmp_path, test)


def test_who_has_heard_comments_waits_on_when_it_stops(tmp_path: Path) -> None:
    """It has its status."""

    async def test(it: World) -> None:
        headers = {"x-hostler-model": "chat", "x-hostler-stream": "1"}
        async with it.client.stream("POST", "http://h/v1/x", json=STREAM, headers=headers) as response:
            said = response.aiter_text()
            heard = await anext(said)
            it.serving.stop()
            it.wakes.go.set()
            text = heard + "".join([part async for part in said])
        assert ": waking chat" in text
        assert '{"said": "chat"}' in text

    run(tmp_path, test)


def test_bodies_are_bounded_together_while_they_are_read(tmp_path: Path) -> None:
    """A body that is not over yet has its room, too."""

    async def test(it: World) -> None:
        it.wakes.eta = 7.0
        reader, writer = await asyncio.open_unix_connection(f"{tmp_path}/holder.sock")
        head = "POST /v1/x HTTP/1.1\r\nhost: h\r\nx-hostler-model: chat\r\ncontent-length: 9000\r\n\r\n"
        writer.write(head.encode() + b"x" * 600)
        await until(lambda: it.app.waiting("chat") == 1 and it.app._bytes == 600)
        refused = await it.ask(body=b"x" * 500)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "7")
        assert "too large together" in refused.json()["error"]["message"]
        assert it.app._bytes == 600
        writer.write(b"x" * 500)
        assert b" 503 " in await reader.readline()  # long before its end
        await until(lambda: it.app._bytes == 0 and it.app.waiting("chat") == 0)
        writer.close()
        await writer.wait_closed()

    run(tmp_path, test, most_held=1000)


def test_a_body_over_the_limit(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        answer = await it.ask(body=b"x" * 31_457_281)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
        assert it.app.waiting("chat") == 0

    run(tmp_path, test)


def test_its_health(tmp_path: Path) -> None:
    async def test(it: World) -> None:
        assert (await it.client.get("http://h/health")).status_code == 200

    run(tmp_path, test)


def test_a_socket_takes_the_place_of_a_former_one(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    former, new = listening(path), listening(path)
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o666  # its folder is closed
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        new.settimeout(5)
        new.accept()[0].close()
    former.close()
    new.close()
