"""Stand-ins for what an exchange touches: Docker's Engine API on a socket, engines on a port, systemd."""

import contextlib
import json
import shutil
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hostler.node import container, docker, files, instances
from hostler.node.protocol import Answers, NodeError
from hostler.node.shell import Result

DIGEST = "sha256:" + "a" * 64


class Heard(Answers):
    """Keeps what a command says."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def say_value(self, value: Any) -> None:
        self.lines.append(value)

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1]


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


class FakeDocker:
    """Containers as dicts; a started one runs a FakeEngine as its argv says (or ends at once: `exits`)."""

    def __init__(self, path: Path) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self.engines: dict[str, FakeEngine] = {}
        self.images: dict[str, str] = {}
        self.listed_images: list[dict[str, Any]] = []
        self.smi: tuple[int, str] | None = None  # nvidia-smi in containers; None: it lists what was asked for
        self.pids: list[int] = []  # of every container
        self.refused: set[str] = set()  # images that no registry has
        self.together: threading.Barrier | None = None  # pulls go on when so many have begun
        self.volumes: list[str] = []
        self.networks: list[str] = []
        self.changed = threading.Condition()
        self.most_running = 0
        self.calls: list[str] = []
        fake = self

        class Daemon(Handler):
            def answer(self) -> None:
                fake.answer(self)

        path.parent.mkdir(parents=True, exist_ok=True)
        self.server = serving(UnixServer(str(path), Daemon))

    def close(self) -> None:
        self.power_cut()
        self.server.shutdown()
        self.server.server_close()

    def running(self) -> list[dict[str, Any]]:
        return [c for c in self.containers.values() if c["State"]["Running"]]

    def names(self) -> list[str]:
        return sorted(c["Name"] for c in self.containers.values())

    def power_cut(self) -> None:
        for found in self.running():
            self.end(found, 137)

    def answer(self, request: Handler) -> None:
        request.close_connection = True
        place = urlsplit(request.path)
        query = {k: v[0] for k, v in parse_qs(place.query).items()}
        words, body = place.path.strip("/").split("/"), request.body()
        self.calls.append(f"{request.command} {place.path}")
        if words[0] == "_ping":
            return request.say(200, {})
        if words in (["images", "json"], ["volumes"], ["networks"]):
            named = [{"Name": name} for name in (*self.networks, "bridge", "host", "none")]
            volumes = {"Volumes": [{"Name": name} for name in self.volumes]}
            return request.say(200, {"images": self.listed_images, "volumes": volumes}.get(words[0], named))
        if words[0] == "images" and request.command == "DELETE":
            del self.images["/".join(words[1:])]
            return request.say(200, [])
        if words == ["images", "create"]:
            return self.pull(request, f"{query['fromImage']}@{query['tag']}")
        if words[0] == "images":
            return self.image(request, "/".join(words[1:-1]))
        if words[0] == "exec":
            return self.executed(request, words[1], words[2])
        if words == ["containers", "json"]:
            ours = "hostler.id" if "filters" in query else ""
            found = [c for c in self.containers.values() if not ours or ours in c["Config"]["Labels"]]
            return request.say(200, [self.listed(c) for c in found])
        if words == ["containers", "create"]:
            return self.create(request, query["name"], body)
        found = self.find(words[1])
        if found is None:
            return request.say(404, {"message": f"No such container: {words[1]}"})
        return self.act(request, found, words[2] if len(words) > 2 else "", query)

    def image(self, request: Handler, ref: str) -> None:
        if ref in self.images.values():
            return request.say(200, {"Id": ref})
        if ref in self.images:
            return request.say(200, {"Id": self.images[ref], "Size": 1})
        return request.say(404, {"message": "No such image"})

    def pull(self, request: Handler, ref: str) -> None:
        """As Docker does: 200, and what went wrong as a line of the stream."""
        if self.together is not None:
            self.together.wait(10)
        if ref in self.refused:
            return request.say(200, {"error": "manifest unknown"})
        self.images[ref] = "sha256:" + ref
        return request.say(200, {"status": "Pull complete", "id": "layer"})

    def find(self, name: str) -> dict[str, Any] | None:
        return next((c for c in self.containers.values() if name in (c["Id"], c["Name"].lstrip("/"))), None)

    def listed(self, found: dict[str, Any]) -> dict[str, Any]:
        return {
            "Id": found["Id"],
            "Names": [found["Name"]],
            "Labels": found["Config"]["Labels"],
            "State": found["State"]["Status"],
        }

    def create(self, request: Handler, name: str, body: dict[str, Any]) -> None:
        if self.find(name):
            return request.say(409, {"message": f"name {name} is in use"})
        if "unmountable" in body["Cmd"]:
            return request.say(400, {"message": "bind source path does not exist: /nowhere"})
        made = {
            "Id": f"{len(self.calls):064x}",
            "Name": "/" + name,
            "Image": self.images[body["Image"]],
            "Config": body,
            "HostConfig": body["HostConfig"],
            "State": {"Running": False, "Status": "created", "ExitCode": 0},
            "Log": [],
        }
        self.containers[made["Id"]] = made
        return request.say(201, {"Id": made["Id"]})

    def create_foreign(self, name: str) -> None:
        """Somebody else's container."""
        state = {"Running": False, "Status": "exited", "ExitCode": 0}
        self.containers[name] = {
            "Id": name,
            "Name": "/" + name,
            "Config": {"Labels": {}},
            "State": state,
            "Log": [],
        }

    def act(self, request: Handler, found: dict[str, Any], verb: str, query: dict[str, str]) -> None:
        if request.command == "DELETE":
            self.end(found, 137)
            self.containers.pop(found["Id"], None)
            return request.say(204)
        if verb == "json":
            return request.say(200, found)
        if verb == "start":
            self.start(found)
            return request.say(204)
        if verb == "stop":
            was = found["State"]["Running"]
            self.end(found, 143)
            return request.say(204 if was else 304)
        if verb == "rename":
            found["Name"] = "/" + query["name"]
            return request.say(204)
        if verb == "wait":
            with self.changed:
                self.changed.wait_for(lambda: not found["State"]["Running"], timeout=60)
            return request.say(200, {"StatusCode": found["State"]["ExitCode"]})
        if verb == "exec":
            return request.say(201, {"Id": found["Id"]})
        if verb == "top":
            return request.say(200, {"Titles": ["PID"], "Processes": [[str(pid)] for pid in self.pids]})
        if verb == "logs":
            frames = [b"\2\0\0\0" + len(line).to_bytes(4, "big") + line.encode() for line in found["Log"]]
            return request.say(200, b"".join(frames), "application/octet-stream")
        return request.say(500, {"message": f"the fake does not know {verb}"})

    def executed(self, request: Handler, identity: str, verb: str) -> None:
        """`nvidia-smi -L` in a container; as with Docker, the id of what runs there is asked for its end."""
        status, said = self.smi or (0, self.listing(self.containers[identity]))
        if verb == "json":
            return request.say(200, {"ExitCode": status})
        return request.say(200, said.encode(), "application/octet-stream")

    def listing(self, found: dict[str, Any]) -> str:
        asked = [uuid for one in found["HostConfig"].get("DeviceRequests", ()) for uuid in one["DeviceIDs"]]
        return "".join(f"GPU {i}: NVIDIA A10G (UUID: {uuid})\n" for i, uuid in enumerate(asked))

    def start(self, found: dict[str, Any]) -> None:
        behaviour, port, context = found["Config"]["Cmd"][:3]
        found["State"].update(Running=True, Status="running")
        found["Log"].append("loading\n")
        self.most_running = max(self.most_running, len(self.running()))
        if behaviour == "exits":
            found["Log"].append("error: out of memory\n")
            self.end(found, 1)
        else:
            self.engines[found["Id"]] = FakeEngine(int(port), behaviour, int(context))

    def end(self, found: dict[str, Any], status: int) -> None:
        with self.changed:
            if found["State"]["Running"]:
                found["State"].update(Running=False, Status="exited", ExitCode=status)
            engine = self.engines.pop(found["Id"], None)
            self.changed.notify_all()
        if engine:
            engine.close()


class FakeSystemd:
    """Instances as threads that do what `run` does; stopping one stops its container, as ExecStop does."""

    def __init__(self) -> None:
        self.threads: dict[str, threading.Thread] = {}

    def systemctl(self, *words: str, timeout: float = 60.0) -> Result:  # noqa: ARG002 - as the real one
        verb, name = words[0], words[-1].removeprefix("hostler@").removesuffix(".service")
        said = ""
        if verb == "start" and not self.alive(name):
            self.threads[name] = threading.Thread(target=self.run, args=(name,), daemon=True)
            self.threads[name].start()
        elif verb == "stop" and self.alive(name):
            until(lambda: self.ended(name), "the waiter ends")
        elif verb == "is-active":
            said = "active" if self.alive(name) else "inactive"
        return Result(words, 0 if said != "inactive" else 3, said, "")

    def ended(self, name: str) -> bool:
        """ExecStop, and again for a `run` that was about to start it: systemd would end that one by SIGTERM."""
        docker.stop("hostler-" + name, 1)
        return not self.alive(name)

    def alive(self, name: str) -> bool:
        thread = self.threads.get(name)
        return thread is not None and thread.is_alive()

    def run(self, name: str) -> None:
        with contextlib.suppress(NodeError, OSError):
            container.run_until_end(name, Heard())

    def boot(self) -> None:
        """Every enabled instance, as multi-user.target does."""
        for link in Path(files.at(instances.WANTS)).glob("hostler@*"):
            self.systemctl("start", link.name)


def until(holds: Callable[[], bool], what: str, limit: float = 10.0) -> None:
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end, f"not in {limit} s: {what}"
        time.sleep(0.01)


@dataclass
class Host:
    """A whole host below a directory."""

    root: Path
    docker: FakeDocker
    systemd: FakeSystemd
    port: int

    def want(
        self, behaviour: str = "good", name: str = "chat-0", tag: str = "", **more: Any
    ) -> dict[str, Any]:
        """Write a wanted specification; another `tag` is another digest."""
        spec: dict[str, Any] = {
            "id": name,
            "uid": "u1",
            "part": "engine",
            "effect": "drain",
            "image": {"name": "llama", "tag": "b1", "digest": DIGEST},
            "argv": [behaviour, str(self.port), "4096"],
            "model": "chat",
            "user": "hostler",
            "port": self.port,
            "context": 4096,
            "slots": 2,
            "health": {"port": self.port, "path": "/health", "limit_s": 2, "unix": ""},
            "drain_s": 1,
            "stop_s": 1,
            "smoke": ["What is the capital of France?", "Paris"],
            **more,
        }
        spec["spec"] = "-".join(spec["argv"]) + tag
        files.write_json(f"{files.WANTED}/{name}.json", spec)
        return spec

    def runs(self, name: str = "chat-0") -> str:
        """The specification that a running container carries; empty when none runs."""
        found = docker.inspect("hostler-" + name)
        return docker.label(found, "hostler.spec") if docker.running(found) else ""

    def dark(self) -> bool:
        self.docker.power_cut()
        return not any(thread.is_alive() for thread in self.systemd.threads.values())

    def reboot(self) -> None:
        """Power cut: nothing runs, /run is empty; then boot."""
        until(self.dark, "the waiters end")
        shutil.rmtree(self.root / "run")
        self.systemd.boot()
