"""Who is told: a real server, a command, and those that cannot be told. No address is ever shown."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import ClassVar

import pytest

from hostler.console.out import Out
from hostler.controller import telling
from hostler.stackfile.load import loads
from worlds import configure_world as world

TOKEN = "xoxb-1234"


class Hook(http.server.BaseHTTPRequestHandler):
    heard: ClassVar[list[bytes]]
    status = 200

    def do_POST(self) -> None:
        self.heard.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """The test says what it needs."""


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[type[Hook], str]]:
    class Own(Hook):
        heard: ClassVar[list[bytes]] = []

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(telling, "TRIES", 1)
        yield Own, f"http://127.0.0.1:{server.server_port}/{TOKEN}"
        server.shutdown()


def tell(notify: str, secrets: str = "") -> str:
    """What is written to the journal."""
    out = StringIO()
    text = world.STACK + f"updates: {{notify: [{notify}]}}\n" + secrets
    telling.tell(
        loads(text.encode(), "office.yaml"), Out(stderr=out), "went back", "chat went back", {"model": "chat"}
    )
    return out.getvalue()


def test_a_webhook_is_told(hook: tuple[type[Hook], str]) -> None:
    own, address = hook
    assert tell(address) == "chat went back\n"
    (body,) = own.heard
    assert json.loads(body) == {
        "stack": "office",
        "event": "went back",
        "text": "office: chat went back",
        "details": {"model": "chat"},
    }


def test_an_address_that_is_a_secret(hook: tuple[type[Hook], str], monkeypatch: pytest.MonkeyPatch) -> None:
    own, address = hook
    monkeypatch.setenv("HOOK", address)
    assert tell("{secret: HOOK}", "secrets: {HOOK: env}\n") == "chat went back\n"
    assert len(own.heard) == 1


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://127.0.0.1:1/" + TOKEN, "refused"),
        ("http://127.0.0.1:1 0/" + TOKEN, "cannot be used"),
        ("ftp://127.0.0.1/" + TOKEN, "cannot be used"),
        ("", "cannot be used"),
    ],
)
def test_one_that_cannot_be_told_holds_nothing_up_and_shows_no_address(
    address: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "TRIES", 1)
    monkeypatch.setenv("HOOK", address)
    said = tell("{secret: HOOK}", "secrets: {HOOK: env}\n")
    assert "updates.notify[0] could not be told" in said
    assert why in said
    assert TOKEN not in said


def test_an_answer_that_is_an_error_is_said(hook: tuple[type[Hook], str]) -> None:
    own, address = hook
    own.status = 404
    said = tell(address)
    assert "it answers 404" in said
    assert TOKEN not in said


def test_a_command_gets_it_on_its_input(tmp_path: Path) -> None:
    assert tell(f'{{command: "cat > {tmp_path}/told"}}') == "chat went back\n"
    assert json.loads((tmp_path / "told").read_text())["event"] == "went back"
    assert "its command ended with 3" in tell('{command: "exit 3"}')
