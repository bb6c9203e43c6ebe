"""A small web server for many host names: TLS, ranges, a request log, and faults on demand."""

import json
import re
import shutil
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

CHUNK = 1 << 16


@dataclass(frozen=True)
class Request:
    host: str
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]


@dataclass(frozen=True)
class Response:
    """A file as a body is what slow, cut and wrong faults act on."""

    status: int
    body: bytes | Path = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def json(cls, value: object, status: int = 200, **headers: str) -> "Response":
        named = {key.replace("_", "-"): text for key, text in headers.items()}
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json"} | named)


class Site(Protocol):
    def answer(self, request: Request) -> Response: ...


class Control:
    """The lab's wishes, read again for each request from a file that the lab's owner writes."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "control.json"
        self.log_file = directory / "requests.jsonl"
        self.lock = threading.Lock()
        self.free = 0.0  # when the line to the outside has carried what was put on it
        self.used: Counter[str] = Counter()

    def read(self) -> dict[str, Any]:
        try:
            return json.loads(self.file.read_text())
        except OSError:
            return {}

    def fault(self, site: str, request: Request, client: str) -> dict[str, Any]:
        for one in self.read().get("faults", []):
            if one["site"] != site or not re.search(one["path"], request.path):
                continue
            if one["client"] not in ("", client):
                continue
            with self.lock:
                if one["times"] and self.used[one["id"]] >= one["times"]:
                    continue
                self.used[one["id"]] += 1
            return one
        return {}

    def carry(self, size: int, rate: int) -> None:
        """Waits while a line of so many bytes a second carries these, after what others have put on it."""
        with self.lock:
            self.free = max(self.free, time.monotonic()) + size / rate
            until = self.free
        time.sleep(max(until - time.monotonic(), 0))

    def log(self, **fields: object) -> None:
        with self.lock, self.log_file.open("a") as out:
            out.write(json.dumps(fields) + "\n")


class Web(ThreadingHTTPServer):
    """Answers for all sites; a client that connects and says nothing holds nobody up."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], sites: dict[str, tuple[str, Site]], control: Control
    ) -> None:
        super().__init__(address, Handler)
        self.sites = sites
        self.control = control

    def use_tls(self, certificate: Path, key: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that went away


def _range(header: str, size: int) -> tuple[int, int] | None:
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if not match or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        return max(size - int(last), 0), size
    return int(first), min(int(last) + 1 if last else size, size)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Web  # pyright: ignore[reportIncompatibleVariableOverride]
    sent = 0

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        headers = {key.lower(): value for key, value in self.headers.items()}
        host = headers.get("host", "").split(":")[0].lower()
        request = Request(host, self.command, unquote(parts.path), parse_qs(parts.query), headers)
        name, site = self.server.sites.get(host, ("", None))
        fault = self.server.control.fault(name, request, self.client_address[0])
        if site is None:
            response = Response(421, b"no such site in the lab\n")
        elif fault.get("status"):
            response = Response.json({"error": "a fault of the lab"}, fault["status"])
        else:
            response = site.answer(request)
        self.sent = 0
        try:
            status = self.reply(response, headers.get("range", ""), fault)
        finally:
            self.note(request, response.status)
        if status == 0:
            self.close_connection = True

    do_HEAD = do_GET

    def note(self, request: Request, status: int) -> None:
        self.server.control.log(
            time=time.time(),
            client=self.client_address[0],
            host=request.host,
            method=request.method,
            path=request.path,
            status=status,
            sent=self.sent,
            range=request.headers.get("range", ""),
            agent=request.headers.get("user-agent", ""),
        )

    def reply(self, response: Response, wanted: str, fault: dict[str, Any]) -> int:
        body, status = response.body, response.status
        size = body.stat().st_size if isinstance(body, Path) else len(body)
        start, end = 0, size
        headers = {"Content-Type": "application/octet-stream"} | response.headers
        if isinstance(body, Path):
            headers["Accept-Ranges"] = "bytes"
            part = _range(wanted, size) if wanted and status == 200 else None
            if part and part[0] >= size:
                status, start, end, headers["Content-Range"] = 416, 0, 0, f"bytes */{size}"
            elif part:
                start, end = part
                status, headers["Content-Range"] = 206, f"bytes {start}-{end - 1}/{size}"
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        if self.command == "HEAD" or start == end:
            return status
        if isinstance(body, bytes):
            self.wfile.write(body)
            self.sent = len(body)
            return status
        return self.send_file(body, start, end, fault, status)

    def send_file(self, body: Path, start: int, end: int, fault: dict[str, Any], status: int) -> int:
        slow, cut, wrong = fault.get("slow") or 0, fault.get("cut"), fault.get("wrong")
        line = fault.get("line") or 0
        with body.open("rb") as handle:
            handle.seek(start)
            if not (slow or line or wrong or cut is not None) and end - start == body.stat().st_size:
                shutil.copyfileobj(handle, self.wfile, 1 << 20)
                self.sent = end
                return status
            step = max(min(CHUNK, (slow or line) // 10), 1) if slow or line else CHUNK
            while self.sent < end - start:
                data = handle.read(min(step, end - start - self.sent))
                if cut is not None and self.sent + len(data) > cut:
                    self.wfile.write(data[: cut - self.sent])
                    self.connection.close()
                    return 0
                self.wfile.write(bytes([data[0] ^ 1]) + data[1:] if wrong else data)
                self.sent += len(data)
                if slow:
                    time.sleep(len(data) / slow)
                if line:
                    self.server.control.carry(len(data), line)
        return status

    def log_message(self, format: str, *args: object) -> None:
        pass
