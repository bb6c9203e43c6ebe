"""A stand-in engine, run as a process of its own so that it can be killed: `stub_engine.py PORT NAME`.

Like llama-server it closes its connection after each streamed answer without saying so. In the request's
body: `x_delay` seconds before the answer, `x_tokens` and `x_every` (seconds) of a stream.
Touching the file HEALTH-<name> in the working directory makes /health answer its content (503, 404).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

NAME = sys.argv[2]
served = 0
busy = 0


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await answer(reader, writer):
            pass
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Answers one request; whether the connection stays open."""
    global served, busy
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    raw = await read_body(reader, headers)
    if path == "/metrics":
        text = f"llamacpp:requests_processing {busy}\nllamacpp:requests_deferred 0\n"
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode())
        return True
    if method == "GET":
        return reply(writer, health() if path == "/health" else 404, {"served": served, "busy": busy})
    busy += 1
    try:
        body = json.loads(raw) if raw.startswith(b"{") else {}
        await asyncio.sleep(body.get("x_delay", 0))
        served += 1
        if body.get("stream"):
            await stream(writer, body)
            return False
        size = len(raw)
        return reply(
            writer, 200, completion(body) | {"name": NAME, "size": size, "path": path, "headers": headers}
        )
    finally:
        busy -= 1


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


def health() -> int:
    file = Path(f"HEALTH-{NAME}")
    return int(file.read_text()) if file.exists() else 200


def completion(body: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": f"I am {NAME}"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    model = body.get("model", "")
    usage = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
    return {
        "id": "x", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage,
        "data": [{"object": "embedding", "index": 0, "embedding": [0.0, 1.0]}],
    }  # fmt: skip


def reply(writer: asyncio.StreamWriter, status: int, value: dict[str, Any]) -> bool:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nserver: stub\r\nx-hostler-replica: forged\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return True


async def stream(writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for number in range(body.get("x_tokens", 5)):
        delta = {"index": 0, "delta": {"role": "assistant", "content": f"{number} "}, "finish_reason": None}
        event = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
        send(writer, json.dumps(event | {"choices": [delta], "at": time.monotonic()}))
        await writer.drain()
        await asyncio.sleep(body.get("x_every", 0))
    send(writer, "[DONE]")
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def send(writer: asyncio.StreamWriter, data: str) -> None:
    event = f"data: {data}\n\n".encode()
    writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), limit=2**16)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
