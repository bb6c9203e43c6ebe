"""A gateway and its edges as they run on hosts: the rendered files, the containers' words, a real HAProxy."""

from __future__ import annotations

import csv
import http.client
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hostler.gateway import render, runtime
from hostler.gateway.specs import EdgeSpec, GatewaySpec, Holding, Paths, Ports, Route, ServedModel
from hostler.manifest.contents import MadeOnHost, SecretRef, Text
from hostler.manifest.items import Container, File, ImagePin
from hostler.node.doors.haproxy import expanded, same_servers
from tools.haproxy import haproxy
from worlds.ports import free_port

IMAGE = ImagePin(name="haproxy", tag="3.4", digest="sha256:" + "0" * 64)
KEY = "sk-test-key"
HOLDING = Holding()
STUB = Path(__file__).with_name("stub_engine.py")


def until(what: Callable[[], Any], limit: float = 30.0) -> Any:
    """Waits until `what` is true and returns it; raises after `limit` seconds."""
    end = time.monotonic() + limit
    while not (value := what()):
        assert time.monotonic() < end, f"not within {limit} s: {what}"
        time.sleep(0.02)
    return value


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def certificate(folder: Path, name: str, host: str, *options: str) -> None:
    """What `hostler-node make-cert NAME --cn HOST` makes on a host."""
    words = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650")
    names = f"subjectAltName=DNS:{host},DNS:*.{host}"  # *: the name asked for is REPLICA.HOST
    subject = ("-subj", f"/CN={host}", "-addext", names, "-addext", "extendedKeyUsage=serverAuth,clientAuth")
    files = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt")
    subprocess.run(
        ["openssl", "req", "-x509", *words, *subject, *options, *files], check=True, capture_output=True
    )


def issue(folder: Path, address: str) -> None:
    """What `make-cert ca` and `make-cert server --cn ADDRESS` make: an authority, and a certificate that it signed."""
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256", "-days", "3650")
    openssl(folder, *("req", "-x509", *curve, "-subj", "/CN=Hostler test", "-keyout", "ca.key", "-out", "ca.crt"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"))  # fmt: skip
    kind = "IP" if address.replace(".", "").isdigit() else "DNS"
    extensions = (
        "basicConstraints=critical,CA:FALSE",
        "extendedKeyUsage=serverAuth",
        f"subjectAltName={kind}:{address}",
    )
    added = (word for extension in extensions for word in ("-addext", extension))
    openssl(folder, *("req", "-x509", "-CA", "ca.crt", "-CAkey", "ca.key", *curve, "-subj", f"/CN={address}"),
            *("-keyout", "server.key", "-out", "server.crt", *added))  # fmt: skip


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


class Engine:
    """A stub engine as a process."""

    def __init__(self, folder: Path, name: str, port: int = 0) -> None:
        self.name, self.port, self.folder = name, port or free_port(), folder
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Leaves one that runs."""
        if self.process is not None and self.process.poll() is None:
            return
        words = [sys.executable, "-S", "-E", STUB, str(self.port), self.name]
        self.process = subprocess.Popen(words, cwd=self.folder)
        until(lambda: listens(self.port))

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def health(self, status: int) -> None:
        (self.folder / f"HEALTH-{self.name}").write_text(str(status))

    def state(self) -> dict[str, int]:
        return ask("GET", "/health", port=self.port).json()


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    method: str,
    path: str,
    body: Any = None,
    *,
    port: int,
    headers: Mapping[str, str] | None = None,
    timeout: float = 30,
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        data = body if not isinstance(body, dict | list) else json.dumps(body).encode()
        connection.request(method, path, data, {"content-type": "application/json", **(headers or {})})
        return Answer(connection.getresponse())
    finally:
        connection.close()


class Proxy:
    """One HAProxy, started with its container's own words."""

    def __init__(self, container: Container, run: str) -> None:
        self.container, self.run = container, Path(run)
        self.log = self.run / "log"
        (self.run / "ports.cfg").touch()  # the agent writes it before it starts a door
        words = [haproxy(), *container.argv[1:]]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
        until(lambda: self.process.poll() is not None or self.answers())
        assert self.process.poll() is None, self.logs()

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(self.run / "admin.sock")) == 0

    def logs(self) -> str:
        return self.log.read_text()

    def command(self, text: str, name: str = "admin.sock") -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self.run / name))
            connection.sendall(text.encode() + b"\n")
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def reload(self) -> None:
        """As `hostler-node reload` does: the servers' state first, then the master."""
        self.save_state()
        answer = self.command("reload", "master.sock")
        assert answer.startswith("Success=1"), answer

    def save_state(self) -> None:
        configuration = Path(self.container.argv[-1]).read_text()
        read = expanded(configuration, (self.run / "ports.cfg").read_text())
        (self.run / "servers.state").write_text(same_servers(self.command(runtime.SHOW_STATE), read))

    def rows(self) -> list[dict[str, str]]:
        """`show stat`, a dict a row."""
        return list(csv.DictReader(self.command("show stat").lstrip("# ").splitlines()))

    def replicas(self) -> dict[str, dict[str, str]]:
        """Replica -> its row."""
        rows = (row for row in self.rows() if row["pxname"].startswith("model_"))
        return {row["svname"]: row for row in rows if row["svname"] not in ("BACKEND", "held")}

    def states(self) -> dict[str, str]:
        """Replica -> what the gateway thinks of it: UP, DOWN, NOLB ..."""
        return {name: row["status"] for name, row in self.replicas().items()}

    def in_flight(self, replica: str) -> int:
        return int(self.replicas()[replica]["scur"])

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Rig:
    """A gateway's host, as many other hosts as asked for, and stub engines, on loopback."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gw-"))  # short: socket paths have a limit
        self.engines: dict[str, Engine] = {}
        self.proxies: list[Proxy] = []
        self.port = free_port()
        self.ports = Ports(gateway_metrics=free_port(), edge_metrics=free_port(), health=free_port())

    def paths(self, part: str, host: str) -> Paths:
        top = self.folder / host
        for name in (f"etc/{part}", f"run/{part}", "tls/peers", "drain"):
            (top / name).mkdir(parents=True, exist_ok=True)
        return Paths(etc=f"{top}/etc/{part}", run=f"{top}/run/{part}", tls=f"{top}/tls", drain=f"{top}/drain")

    def engine(self, name: str) -> Engine:
        self.engines[name] = Engine(self.folder, name)
        return self.engines[name]

    def route(self, name: str, **more: Any) -> Route:
        engine = self.engines.get(name) or self.engine(name)
        return Route(**({"id": name, "host": "gpu-1", "port": engine.port} | more))

    def model(self, name: str, replicas: int, hold: Holding | None = HOLDING, **more: Any) -> ServedModel:
        routes = tuple(self.route(f"{name}-{n}", **more) for n in range(replicas))
        return ServedModel(name=name, replicas=routes, hold=hold)

    def spec(self, *models: ServedModel, **more: Any) -> GatewaySpec:
        keys = ((runtime.key_hash(KEY), "me"),)
        paths = self.paths("gateway", "gpu-1")
        values = {
            "uid": "u",
            "host": "gpu-1",
            "image": IMAGE,
            "models": models,
            "keys": keys,
            "port": self.port,
        }
        return GatewaySpec(**(values | {"bind": "127.0.0.1", "paths": paths, "ports": self.ports} | more))

    def edge_spec(self, host: str, port: int, *routes: Route) -> EdgeSpec:
        values: dict[str, Any] = {"uid": "u", "host": host, "image": IMAGE, "replicas": routes, "port": port}
        paths = self.paths("edge", host)
        return EdgeSpec(**values, gateway_host="gpu-1", bind="127.0.0.1", paths=paths, ports=self.ports)

    def make(self, name: str, host: str) -> None:
        certificate(Path(self.paths("gateway" if name == "gateway" else "edge", host).tls), name, host)

    def write(self, files: tuple[File, ...], secrets: Mapping[str, str] | None = None) -> None:
        for file in files:
            match file.content:
                case Text(text=text):
                    Path(file.path).write_text(text)
                case MadeOnHost(host=host, made=made):
                    shutil.copy(self.folder / host / "tls" / made, file.path)
                case SecretRef(name=name):
                    Path(file.path).write_text((secrets or {})[name])
                case other:
                    raise AssertionError(f"{file.path}: no file of a gateway: {other}")

    def gateway(self, spec: GatewaySpec, secrets: Mapping[str, str] | None = None) -> Proxy:
        self.write(render.gateway_files(spec), secrets)
        return self.start(render.gateway_container(spec), spec.paths.run)

    def gateway_reload(self, proxy: Proxy, spec: GatewaySpec) -> None:
        self.write(render.gateway_files(spec))
        proxy.reload()

    def edge(self, spec: EdgeSpec) -> Proxy:
        self.write(render.edge_files(spec))
        return self.start(render.edge_container(spec), spec.paths.run)

    def start(self, container: Container, run: str) -> Proxy:
        proxy = Proxy(container, run)
        self.proxies.append(proxy)
        return proxy

    def ask(self, method: str, path: str, body: Any = None, *, key: str = KEY, **more: Any) -> Answer:
        headers = {"authorization": f"Bearer {key}", **more.pop("headers", {})}
        return ask(method, path, body, port=self.port, headers=headers, **more)

    def chat(self, model: str, **more: Any) -> Answer:
        body = {"messages": [{"role": "user", "content": "hi"}], "model": model} | more
        return self.ask("POST", "/v1/chat/completions", body)

    def drain(self, replica: str, host: str = "gpu-1") -> Path:
        file = self.folder / host / "drain" / replica
        file.touch()
        return file

    def close(self) -> None:
        for proxy in self.proxies:
            proxy.stop()
        for engine in self.engines.values():
            engine.kill()
        shutil.rmtree(self.folder)
