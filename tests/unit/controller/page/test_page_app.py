"""The page's routes: what they answer, how the stream flows, and which headers stand in front of it."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import Callable, Coroutine
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from hostler.configure import program
from hostler.controller.page import app as page
from hostler.controller.page.source import Board
from worlds import page_world as world

ASSETS = sorted(path.name for path in page.STATIC.iterdir())


def board(snapshot: dict[str, Any] | None = None) -> Board:
    made = Board()
    made.put(world.snapshot() if snapshot is None else snapshot, world.SERIES)
    return made


def get(path: str, source: Board | None = None, method: str = "GET") -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=page.app(source or board()))
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            return await client.request(method, path)

    return asyncio.run(ask())


ANSWERS = [
    ("/hostler", "text/html; charset=utf-8"),
    ("/hostler/", "text/html; charset=utf-8"),
    ("/hostler/status.json", "application/json"),
    ("/hostler/metrics", "text/plain; version=0.0.4; charset=utf-8"),
    ("/hostler/grafana.json", "application/json"),
    *((f"/hostler/static/{name}", "") for name in ASSETS),
]


@pytest.mark.parametrize(("path", "kind"), ANSWERS)
def test_it_answers(path: str, kind: str) -> None:
    answer = get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert {name: answer.headers[name] for name in page.HEADERS} == page.HEADERS


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/docs",
        "/openapi.json",
        "/hostler/docs",
        "/hostler/static/..%2Fapp.py",
        "/hostler/static/none.js",
    ],
)
def test_nothing_else_is_there(path: str) -> None:
    answer = get(path)
    assert answer.status_code == 404
    assert answer.headers["content-security-policy"] == page.POLICY


@pytest.mark.parametrize("path", [path for path, _ in ANSWERS])
def test_it_is_only_read(path: str) -> None:
    assert get(path, method="POST").status_code == 405


def test_the_status_is_the_snapshot() -> None:
    found = world.snapshot()
    assert get("/hostler/status.json", board(found)).json() == found


def test_before_the_first_look_it_says_when_to_come_back() -> None:
    answer = get("/hostler/status.json", Board())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert get("/hostler", Board()).status_code == get("/hostler/metrics", Board()).status_code == 200


class Assets(HTMLParser):
    """Everything that the page loads, and everything that its policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self.tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        wanted = {"script": "src", "link": "href", "img": "src"}.get(tag)
        if wanted:
            self.loaded.append(names.get(wanted) or "")
        self.inline += [name for name in names if name == "style" or name.startswith("on")]
        self.tag = tag

    def handle_data(self, data: str) -> None:
        if self.tag in ("script", "style") and data.strip():
            self.inline.append(data)


def test_the_page_loads_only_its_own_files() -> None:
    found = Assets()
    found.feed(get("/hostler").text)
    assert found.loaded
    assert {name.removeprefix("/hostler/static/") for name in found.loaded} <= set(ASSETS)
    assert not found.inline


@pytest.mark.parametrize("name", [name for name in ASSETS if name.endswith((".js", ".css"))])
def test_data_never_become_markup(name: str) -> None:
    text = (page.STATIC / name).read_text(encoding="utf-8")
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "http:",
        "@import",
        "url(",
    ):
        assert word not in text.replace("http://www.w3.org/2000/svg", ""), word


def test_hostile_names_stay_json() -> None:
    found = world.hostile()
    answer = get("/hostler/status.json", board(found))
    assert answer.json() == found
    assert world.HOSTILE not in get("/hostler", board(found)).text


def test_the_controllers_archive_has_the_page() -> None:
    with zipfile.ZipFile(io.BytesIO(program.archive())) as packed:
        names = set(packed.namelist())
    assert {f"hostler/controller/page/static/{name}" for name in ASSETS} <= names
    assert "hostler/share/templates/grafana/hostler.json" in names


def events(text: str) -> list[tuple[str, str]]:
    """(event, data) of each message; a comment has neither name nor data."""
    found: list[tuple[str, str]] = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        found.append((fields.get("event", ""), fields.get("data", "")))
    return found


def within(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(work(), 20)

    asyncio.run(limited())


def test_the_stream_has_the_snapshot_and_then_what_changed() -> None:
    source = board()

    async def work() -> None:
        flow = page.stream(page.News(source), beat_s=60, gap_s=0)
        assert await anext(flow) == f"retry: {page.RETRY_MS}\n\n"
        for number in (1, 2, 3):
            if number > 1:
                await asyncio.to_thread(source.put, world.snapshot(release=number))
            assert events(await anext(flow))[0][0] == "beat"
            text = await anext(flow)
            assert f"id: {number}\n" in text
            name, data = events(text)[0]
            assert name == "snapshot"
            assert json.loads(data) == source.snapshot()
            assert data == page.News(source).text()
        await flow.aclose()  # pyright: ignore[reportAttributeAccessIssue]

    within(work)


def test_what_changed_while_nobody_looked_comes_at_once_and_once() -> None:
    source = board()

    async def work() -> None:
        flow = page.stream(page.News(source), beat_s=60, gap_s=0)
        for _ in range(3):
            await anext(flow)
        for number in range(5):
            source.put(world.snapshot(release=100 + number))
        await anext(flow)
        assert json.loads(events(await anext(flow))[0][1])["release"] == 104

    within(work)


def test_a_quiet_stream_is_kept_open() -> None:
    async def work() -> None:
        flow = page.stream(page.News(board()), beat_s=0.01, gap_s=0)
        for _ in range(3):
            await anext(flow)
        for _ in range(3):
            text = await anext(flow)
            assert text.startswith(": ")
            assert events(text)[1][0] == "beat"

    within(work)


def test_it_waits_for_the_first_snapshot() -> None:
    source = Board()

    async def work() -> None:
        flow = page.stream(page.News(source), beat_s=60, gap_s=0)
        assert [events(await anext(flow))[0][0] for _ in range(2)] == ["", "beat"]
        waiting = asyncio.ensure_future(anext(flow))  # pyright: ignore[reportArgumentType, reportUnknownVariableType]
        source.put(world.snapshot())
        await waiting
        assert events(await anext(flow))[0][0] == "snapshot"

    within(work)


def test_the_stream_is_no_file_for_caches_and_ends_with_its_reader() -> None:
    source = board()
    sent: list[dict[str, Any]] = []
    gone = asyncio.Event()

    async def send(message: Any) -> None:
        sent.append(message)
        if b"event: snapshot" in message.get("body", b""):
            gone.set()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def work() -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/hostler/events",
            "headers": [],
            "query_string": b"",
            "raw_path": b"",
        }
        await page.app(source)(scope, receive, send)

    within(work)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"] == page.POLICY


def test_streams_end_when_the_page_does() -> None:
    async def work() -> None:
        made = page.app(board())
        flow = page.stream(made.news, beat_s=60, gap_s=0)
        for _ in range(3):
            await anext(flow)
        asyncio.get_running_loop().call_soon(made.stop)
        with pytest.raises(StopAsyncIteration):
            await anext(flow)
        await made.close()

    within(work)


def test_a_source_that_fails_is_no_silence() -> None:
    class Broken(Board):
        async def after(self, version: int) -> None:
            raise OSError(f"gone after {version}")

    source = Broken()
    source.put(world.snapshot())

    async def work() -> None:
        flow = page.stream(page.News(source), beat_s=60, gap_s=0)
        for _ in range(3):
            await anext(flow)
        with pytest.raises(OSError, match="gone"):
            await anext(flow)

    within(work)


def test_a_board_forgets_who_left() -> None:
    source = Board()

    async def work() -> None:
        for _ in range(50):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(source.after(0), 0.001)

    within(work)
    assert not source._waiting
    source.put({})
    assert source.version() == 1


def test_the_room_names_its_files() -> None:
    room = Path(page.__file__).parent
    text = (room / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 40
    names = [*(path.name for path in room.glob("[!_]*.py")), *ASSETS]
    assert not [name for name in names if name not in text]
