"""A question to something on this host over HTTP: the gateway without a key, an engine on loopback."""

from __future__ import annotations

import time
from typing import Any, Dict

from ..base import files, wire
from ..base.protocol import Answers, NodeError, Request, number, text

INTERNAL = files.GATEWAY_RUN + "/internal.sock"
LARGEST = 4 << 20  # bytes of a body that are handed on


def ask(request: Request, answers: Answers) -> int:
    """`ask -` with {"method", "path", "body", "headers", "unix" or "port", "timeout", "stream"}.

    Says {"status", "headers", "body", "seconds", "first_s", "chunks"}: times in seconds, `chunks` counts the lines
    `data:` of a stream. `stream`: each such line is also said at once, as {"chunk": text}.
    """
    where: wire.Where = int(number(request, "port")) if "port" in request else text(request, "unix", INTERNAL)
    headers: Dict[str, str] = request.get("headers") or {}
    started = time.monotonic()
    try:
        with wire.opened(
            where,
            text(request, "method", "GET"),
            text(request, "path"),
            request.get("body"),
            number(request, "timeout", 60),
            headers,
        ) as response:
            body, chunks, first = _read(response, bool(request.get("stream")), answers, started)
            found = {name.lower(): value for name, value in response.getheaders()}
    except OSError as error:
        raise NodeError("no-answer", "%s: %s" % (where, error), "hostler status") from error
    answers.say(
        status=response.status,
        headers=found,
        body=body.decode("utf-8", "replace"),
        chunks=chunks,
        first_s=first,
        seconds=round(time.monotonic() - started, 4),
    )
    return 0


def _read(response: Any, stream: bool, answers: Answers, started: float) -> Any:
    """The body, how many events it had, and when its first line came."""
    lines: "list[bytes]" = []
    chunks, size, first = 0, 0, 0.0
    for line in response:
        first = first or round(time.monotonic() - started, 4)
        size += len(line)
        if size <= LARGEST:
            lines.append(line)
        if line.startswith(b"data:"):
            chunks += 1
            if stream:
                answers.say(chunk=line[5:].strip().decode("utf-8", "replace"))
    return b"".join(lines), chunks, first
