"""Faults of an engine on demand, inside the real one: a middleware that looks up what to spoil for each request.

The file holds {PATH: FAULT}; FAULT is a status to answer with, "hang" (no answer until the client goes), or "cut" (the
connection ends after the first part of the answer).
"""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

FILE = Path("/tmp/lab-faults.json")

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Cut(Exception):
    """Ends the connection: the server closes it when a started answer fails."""


def fault(path: str) -> int | str | None:
    """What is wanted for this path now."""
    try:
        return json.loads(FILE.read_text()).get(path)
    except FileNotFoundError:
        return None


class Faults:
    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = fault(scope["path"]) if scope["type"] == "http" else None
        if wanted is None:
            await self.app(scope, receive, send)
        elif wanted == "cut":
            await self.app(scope, receive, _cutting(send))
        elif wanted == "hang":
            while (await receive())["type"] != "http.disconnect":
                pass
        else:
            await send({"type": "http.response.start", "status": wanted, "headers": []})
            await send({"type": "http.response.body", "body": b"a fault of the lab\n"})


def _cutting(send: Send) -> Send:
    sent = 0

    async def cut(message: Message) -> None:
        nonlocal sent
        if message["type"] == "http.response.body":
            sent += 1
            if sent > 1 or not message.get("more_body"):
                raise Cut
        await send(message)

    return cut
