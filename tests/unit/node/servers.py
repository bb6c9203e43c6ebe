"""Small servers that stand in for an engine, and what all of them are made of."""

import json
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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


STORY = (
    "As I stood at the edge of the old lighthouse, the creaking of the wooden beam seemed to echo through the darkness, "
    "a haunting reminder of the past. The keeper, a grizzled old man with a bushy white beard, stood at the end of the "
    "beam, his eyes fixed on the horizon."
)
SAYS = {
    "wrong": "Lyon",
    "mute": "",
    "garbage": "Paris " * 32,
    "loop": "It is Paris. I am sure. " * 12,
}
NO_TEMPLATE = (
    "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template if the "
    "tokenizer does not define one."
)  # vLLM's
STEADY_S = {"steady": 0.3, "half": 0.8}  # of an answer to the load


class FakeEngine:
    """llama-server's signals: `good`, `slow`, `small` context, `wrong`, `mute`, `broken` stream and others by name."""

    def __init__(self, port: int, behaviour: str, context: int, path: str = "") -> None:
        self.behaviour, self.context, self.busy, self.path = behaviour, context, 0, path
        self.port = port
        self.metrics = ""  # more of them
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
            request.say(200, (text + self.metrics).encode(), "text/plain")
        elif path == "/props":
            request.say(200, self.props())
        elif path == "/v1/models":
            request.say(200, {"data": [{"id": "talk" if self.behaviour == "renamed" else "chat"}]})
        elif self.behaviour == "base" and "messages" in body:
            request.say(400, {"error": {"message": NO_TEMPLATE, "type": "BadRequestError", "code": 400}})
        elif body and body["stream"]:
            lines = "".join(f"data: {event}\n\n" for event in self.events())
            request.say(200, lines.encode(), "text/event-stream")
        else:
            request.say(200, self.said(body))

    def props(self) -> dict[str, Any]:
        context = self.context // 2 if self.behaviour == "small" else self.context
        found = {"default_generation_settings": {"n_ctx": context}, "total_slots": 2}
        if self.path:
            found["model_path"] = "/models/other.gguf" if self.behaviour == "other" else self.path
        if self.behaviour in ("calls", "calls not"):
            found["chat_template"] = "{% if tools %}"
        return found

    def events(self) -> list[str]:
        words = {"broken": [], "one piece": ["Pa" * 16]}.get(self.behaviour, ["Pa", "ris"])
        base = self.behaviour == "base"
        told = [{"choices": [{"text": word} if base else {"delta": {"content": word}}]} for word in words]
        told += [{"choices": [{"delta": {}, "finish_reason": "stop"}]}]
        told += [{"choices": [], "usage": {"completion_tokens": 8 * len(words)}}]
        end = [] if self.behaviour == "cut" else ["[DONE]"]
        return [json.dumps(event) for event in told] + end

    def said(self, body: Any) -> dict[str, Any]:
        """The smoke question, the load, or the question for a tool."""
        text, tokens = SAYS.get(self.behaviour, "It is Paris."), 5
        if body["max_tokens"] == 64:
            time.sleep(STEADY_S.get(self.behaviour, 0))
            text, tokens = SAYS["loop"] if self.behaviour == "looping" else STORY, 64
        if self.behaviour == "garbage":
            tokens = 32
        tokens = 0 if self.behaviour == "no tokens" else tokens
        finish = "abort" if self.behaviour == "aborts" else "stop"
        message: dict[str, Any] = {"content": text}
        if body.get("tools") and self.behaviour == "calls":
            function = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
            message = {"content": None, "tool_calls": [{"function": function}]}
        if self.behaviour == "thinks":
            message, finish = {"content": None, "reasoning": STORY}, "length"
        choice = {"message": message, "finish_reason": finish}
        if self.behaviour == "base":
            choice = {"text": text, "finish_reason": finish}
        return {"choices": [choice], "usage": {"completion_tokens": tokens}}
