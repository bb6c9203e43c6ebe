"""Small servers that stand in for an engine, and what all of them are made of."""

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def free_port() -> int:
    with socketserver.TCPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_address[1]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        raise NotImplementedError

    def do_GET(self) -> None:
        self.answer()

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def address_string(self) -> str:
        return "fake"

    def body(self) -> Any:
        length = int(self.headers.get("Content-Length") or 0)
        return json.loads(self.rfile.read(length)) if length else None

    def say(self, status: int, value: Any = b"", kind: str = "application/json") -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if status != 204:
            self.wfile.write(content)


def serving(server: socketserver.BaseServer) -> socketserver.BaseServer:
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


class FakeEngine:
    """llama-server's signals: `good`, `slow`, `small` context, `wrong`, `mute`, `broken` stream."""

    def __init__(self, port: int, behaviour: str, context: int) -> None:
        self.behaviour, self.context, self.busy = behaviour, context, 0
        engine = self

        class Engine(Handler):
            def answer(self) -> None:
                engine.answer(self)

        self.server = serving(Server(("127.0.0.1", port), Engine))

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request: Handler) -> None:
        request.close_connection = True
        path, body = request.path, request.body()
        if path == "/health":
            request.say(503 if self.behaviour == "slow" else 200, {})
        elif path == "/metrics":
            text = f"# HELP x\nllamacpp:requests_processing {self.busy}\nllamacpp:requests_deferred 0\n"
            request.say(200, text.encode(), "text/plain")
        elif path == "/props":
            context = self.context // 2 if self.behaviour == "small" else self.context
            request.say(200, {"default_generation_settings": {"n_ctx": context}, "total_slots": 2})
        elif body and body["stream"]:
            words = [] if self.behaviour == "broken" else ["Pa", "ris"]
            events = [{"choices": [{"delta": {"content": word}}]} for word in words]
            lines = [f"data: {json.dumps(event)}\n\n" for event in events] + ["data: [DONE]\n\n"]
            request.say(200, "".join(lines).encode(), "text/event-stream")
        else:
            said = {"wrong": "Lyon", "mute": ""}.get(self.behaviour, "It is Paris.")
            request.say(200, {"choices": [{"message": {"content": said}}]})
