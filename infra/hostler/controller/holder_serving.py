"""The holder on its socket, in the controller's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Generator
from typing import Protocol

import uvicorn
from starlette.types import Receive, Scope, Send

BACKLOG = 512
SETTLE_S = 1.0  # whoever was connected when the socket went has said by then what he asks


class Served(Protocol):
    """An ASGI application that is told of its end: `stop` before, `close` after the last answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def stop(self) -> None: ...

    async def close(self) -> None: ...


def listening(path: str) -> socket.socket:
    """A socket for whom its folder lets in, which is the gateway; it takes the place of a predecessor's in one step."""
    beside = f"{path}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    made = socket.socket(socket.AF_UNIX)
    made.bind(beside)
    os.chmod(beside, 0o666)  # noqa: S103 - its folder is closed to others
    made.listen(BACKLOG)
    os.rename(beside, path)
    return made


class Serving:
    """`run` until `stop`. `grace_s`: how long answers under way may go on after that; `settle_s`: until then a connection on
    which nothing was asked yet stays, as the gateway cannot ask again what is over its buffer."""

    def __init__(self, app: Served, path: str, grace_s: float = 30.0, settle_s: float = SETTLE_S) -> None:
        self._app, self._path, self.settle_s = app, path, settle_s
        self._socket = listening(path)
        self._inode = os.stat(path).st_ino
        config = uvicorn.Config(
            app, http="h11", lifespan="off", ws="none", log_level="error", access_log=False,
            server_header=False, date_header=False, timeout_graceful_shutdown=int(grace_s),
        )  # fmt: skip
        self.server = Server(config)

    async def run(self) -> None:
        try:
            await self.server.serve(sockets=[self._socket])
        finally:
            self._away()
            self._socket.close()
            await self._app.close()

    def stop(self) -> None:
        """The socket goes first: who is sent back to the gateway must not come to this one again."""
        self._away()
        self._app.stop()
        asyncio.get_running_loop().call_later(self.settle_s, self._exit)

    def _exit(self) -> None:
        self.server.end()

    def _away(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if os.stat(self._path).st_ino == self._inode:
                os.unlink(self._path)


class Server(uvicorn.Server):
    """Waits for its end instead of looking ten times a second whether it is there."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._over = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self._over.set()

    async def main_loop(self) -> None:
        if not await self.on_tick(0):  # the headers of all answers
            await self._over.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are the controller's."""
        yield
