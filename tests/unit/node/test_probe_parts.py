"""Units, containers, engines, the machine: what they say in our words."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import units
from hostler.node.base.protocol import NodeError
from hostler.node.docker import containers
from hostler.node.docker.dockerapi import NotAnswering, NotInstalled, short
from hostler.node.probe import machine, paths, probe, signals
from unit.node.conftest import Call

SHOWN = """Id=hostler@chat-0.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
StateChangeTimestampMonotonic=5000000
NeedDaemonReload=no"""


@pytest.mark.parametrize("cached", ["enabled", "disabled"])
@pytest.mark.parametrize("linked", [True, False])
def test_links_decide_what_a_boot_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: str, linked: bool
) -> None:
    """We link without a reload, and systemd goes on saying what it found when the unit was loaded."""
    monkeypatch.setattr(units.files, "root", str(tmp_path))
    if linked:
        link = tmp_path / "etc/systemd/system/multi-user.target.wants/hostler@chat-0.service"
        link.parent.mkdir(parents=True)
        link.symlink_to("/etc/systemd/system/hostler@.service")
    shown = SHOWN.replace("UnitFileState=enabled", f"UnitFileState={cached}")
    assert units.state(units.pairs(shown))["enabled"] is linked


@pytest.mark.parametrize(("said", "enabled"), [("static", True), ("masked", False), ("", False)])
def test_states_without_links(said: str, enabled: bool) -> None:
    assert units.is_enabled("a.service", said) is enabled


def test_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units.files, "root", str(tmp_path))
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "hostler@chat-0.service").touch()
    state = units.state(units.pairs(SHOWN))
    assert {key: state[key] for key in ("enabled", "active", "sub")} == {
        "enabled": True,
        "active": "active",
        "sub": "running",
    }
    assert state["since"] > 0
    assert units.state(units.pairs("LoadState=not-found\nActiveState=inactive")) is None


def test_units_without_systemd_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        units.shell,
        "run",
        lambda *_: units.shell.Result(("systemctl",), 1, "", "System has not been booted with systemd"),
    )
    assert units.states(["a.service"]) == {"a.service": "systemctl: System has not been booted with systemd"}


class FakeDocker:
    """Answers of an Engine API."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def get(self, path: str, **_: Any) -> Any:
        answer = self.answers.get(path)
        if isinstance(answer, Exception):
            raise answer
        return answer


MARKS = {"hostler.uid": "u", "hostler.id": "chat-0", "hostler.spec": "d1"}
LISTED = [
    {"Id": "abc", "Names": ["/hostler-chat-0"], "Labels": MARKS},
    {"Id": "old", "Names": ["/hostler-chat-0-before"], "Labels": MARKS},
    {"Id": "xyz", "Names": ["/postgres"], "Labels": None},
]
DETAILS = {
    "Name": "/hostler-chat-0", "Image": "sha256:1", "RestartCount": 2, "Config": {"Labels": MARKS},
    "State": {"Running": False, "Status": "exited", "ExitCode": 137, "StartedAt": "2026-11-24T10:00:00Z"},
}  # fmt: skip
IMAGES = [
    {"Id": "sha256:1", "Size": 5, "RepoTags": ["haproxy:3.4"], "RepoDigests": ["haproxy@sha256:aa"]},
    {"Id": "sha256:2", "Size": 6, "RepoTags": None, "RepoDigests": ["ghcr.io/ggml-org/llama.cpp@sha256:bb"]},
]


def engine(**more: Any) -> containers.Engine:
    answers = {
        "/version": {"Version": "26.1"}, "/containers/json": LISTED, "/containers/abc/json": DETAILS, "/images/json": IMAGES, **more,
    }  # fmt: skip
    return containers.Engine(FakeDocker(answers))  # type: ignore[arg-type]


def test_containers() -> None:
    seen = engine()
    assert (seen.version, seen.foreign) == ("26.1", 1)
    assert [name for _, name in seen.ours] == ["chat-0", "chat-0-before"]
    assert seen.container("chat-0") == {
        "spec": "d1", "id": "chat-0", "uid": "u", "image": "sha256:1", "running": False, "status": "exited", "exit_code": 137,
        "started": "2026-11-24T10:00:00Z", "restarts": 2, "name": "hostler-chat-0",
    }  # fmt: skip
    assert seen.container("other") is None
    assert engine(**{"/containers/abc/json": None}).container("chat-0") is None  # gone in between


@pytest.mark.parametrize(
    ("info", "kept", "state"),
    [
        ({"Swarm": {"LocalNodeState": "active"}}, False, "active"),
        ({"Swarm": {"LocalNodeState": "locked"}}, False, "locked"),
        ({"Swarm": {"LocalNodeState": "inactive"}}, True, ""),
        ({"Swarm": None}, True, ""),
        ({}, True, "stopped"),
        (NotAnswering("Docker is not running"), True, "stopped"),
        (NotAnswering("Docker is not running"), False, ""),
    ],
)
def test_swarm(root: Path, info: Any, kept: bool, state: str) -> None:
    """A daemon that does not run has its swarm on disk, and would go on with it."""
    if kept:
        write(root / "var/lib/docker/swarm/docker-state.json", {})
    found = engine(**{"/info": info})
    assert found.swarm == state
    assert found.reason == ""  # containers and images are seen all the same


@pytest.mark.parametrize("silent", [NotAnswering("Docker is not running"), NotInstalled()])
def test_a_swarm_that_the_next_docker_would_go_on_with(root: Path, silent: Exception) -> None:
    assert engine(**{"/version": silent}).swarm == ""
    write(root / "var/lib/docker/swarm/docker-state.json", {})
    assert engine(**{"/version": silent}).swarm == "stopped"


def test_images_by_digest_and_by_tag() -> None:
    seen = engine()
    assert seen.image("docker.io/library/haproxy@sha256:aa") == {"id": "sha256:1", "size": 5}
    assert seen.image("ghcr.io/ggml-org/llama.cpp@sha256:bb") == {"id": "sha256:2", "size": 6}
    assert seen.image("haproxy@sha256:cc") is None
    assert seen.image("ghcr.io/from/elsewhere@sha256:bb") == {"id": "sha256:2", "size": 6}, "as from a mirror"
    assert seen.tag("haproxy:3.4") == {"digest": "sha256:aa"}
    assert seen.tag("haproxy:3.3") is None
    assert short("registry:5000/library/x") == "registry:5000/library/x"


def test_docker_down_is_unknown_and_no_docker_is_absent() -> None:
    asked = {"container": ["a"], "image": ["b"]}
    down = engine(**{"/version": NotAnswering("Docker is not running")})
    assert probe.observe_docker(down, asked) == {
        "container:a": {"unknown": "Docker is not running"}, "image:b": {"unknown": "Docker is not running"},
    }  # fmt: skip
    none = engine(**{"/version": NotInstalled()})
    assert probe.observe_docker(none, asked) == {"container:a": {"absent": True}, "image:b": {"absent": True}}
    failing = engine(**{"/images/json": NotAnswering("Docker does not answer in time")})
    assert probe.observe_docker(failing, {"image": ["b"]}) == {
        "image:b": {"unknown": "Docker does not answer in time"}
    }


LLAMA = """# HELP llamacpp:requests_processing Number of requests processing.
# TYPE llamacpp:requests_processing gauge
llamacpp:prompt_tokens_total 1200
llamacpp:tokens_predicted_total 340
llamacpp:requests_processing 2
llamacpp:requests_deferred 1
"""
VLLM = """vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0",model_name="m"} 1.0
vllm:prompt_tokens_total{engine="0",model_name="m"} 1e3
vllm:generation_tokens_total{engine="0",model_name="m"} 50.0
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LLAMA, {"running": 2, "waiting": 1, "tokens": 1540}),
        (VLLM, {"running": 3, "waiting": 1, "tokens": 1050}),
        ("", {"running": None, "waiting": None, "tokens": None}),
    ],
)
def test_counters(text: str, expected: dict[str, Any]) -> None:
    assert signals.counters(text) == expected


@pytest.fixture
def llama() -> Iterator[int]:
    """A port that answers as llama-server does."""
    pages = {
        "/health": '{"status":"ok"}', "/metrics": LLAMA,
        "/props": json.dumps({"default_generation_settings": {"n_ctx": 8192}, "total_slots": 2}),
    }  # fmt: skip

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_replicas(root: Path, llama: int, call: Call) -> None:
    write(root / "var/lib/hostler/applied/chat-0.json", {"port": llama, "health": {"path": "/health"}})
    write(root / "etc/hostler/wanted/chat-1.json", {"port": 1})
    write(root / "etc/hostler/wanted/gateway.json", {"port": 0})
    write(root / "run/hostler/drain/chat-0", {})
    assert signals.replicas(["chat-0", "chat-1", "chat-2", "gateway"]) == {
        "chat-0": {
            "health": 200,
            "running": 2,
            "waiting": 1,
            "tokens": 1540,
            "context": 8192,
            "draining": True,
            "watch": None,
            "asleep": None,
        },
        "chat-1": {
            "health": 0,
            "running": None,
            "waiting": None,
            "tokens": None,
            "context": None,
            "draining": False,
            "watch": None,
            "asleep": None,
        },
        "chat-2": None,
        "gateway": "it has no port to ask",
    }


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def test_paths(root: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/x").write_text("hello")
    (root / "etc/x").chmod(0o640)
    (root / "etc/l").symlink_to("x")
    seen = paths.look("/etc/x", shown=True)
    assert seen is not None
    assert (seen["type"], seen["mode"], seen["size"], seen["text"]) == ("file", "0640", 5, "hello")
    assert seen["sha256"] == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert "text" not in (paths.look("/etc/x") or {})
    link = paths.look("/etc/l")
    assert link is not None
    assert (link["type"], link["target"]) == ("link", "x")
    assert paths.look("/etc/no") is None
    assert paths.look("/etc/x/below") is None


def test_models_believe_only_a_fitting_sidecar(root: Path) -> None:
    path = "/var/lib/hostler/models/a/m.gguf"
    model = root / path[1:]
    model.parent.mkdir(parents=True)
    model.write_bytes(b"12345")
    assert paths.model(path) == {"size": 5, "sha256": ""}
    write(root / (path[1:] + ".hostler"), {"sha256": "ab", "size": 5, "url": "u"})
    assert paths.model(path) == {"size": 5, "sha256": "ab"}
    model.write_bytes(b"1234")
    assert paths.model(path) == {"size": 4, "sha256": ""}
    assert paths.model("/n.gguf") is None


def test_what_cannot_be_looked_at_is_unknown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "bad.json").write_text("{")
    found = probe.observe_files({"json": ["/bad.json", "/none.json"]})
    assert "not JSON" in found["json:/bad.json"]["unknown"]
    assert found["json:/none.json"] == {"absent": True}

    def denied(_: str) -> None:
        raise PermissionError(13, "Permission denied")

    assert probe.attempt(lambda: denied("x")) == {"unknown": "Permission denied"}


def test_ours_lists_what_carries_our_mark(root: Path) -> None:
    for path in (
        "etc/hostler/wanted/chat-0.json", "etc/systemd/system/hostler@.service", "etc/systemd/system/other.service",
        "etc/systemd/system/hostler-lease.timer", "etc/systemd/system/hostler-lease.service",  # what ends a rented host
        "etc/systemd/system/timers.target.wants/hostler-lease.timer",
        "etc/systemd/system/multi-user.target.wants/hostler@chat-0.service", "var/lib/hostler/models/m/a.gguf", "var/lib/hostler/models/m/a.gguf.hostler",
    ):  # fmt: skip
        write(root / path, {})
    found = probe.ours(engine())
    assert found["files"] == [
        "/etc/hostler/wanted/chat-0.json", "/etc/systemd/system/hostler@.service",
        "/etc/systemd/system/multi-user.target.wants/hostler@chat-0.service",
    ]  # fmt: skip
    assert found["units"] == ["hostler@chat-0.service"]
    assert found["containers"] == ["chat-0", "chat-0-before"]
    assert found["models"] == ["/var/lib/hostler/models/m/a.gguf"]


def test_an_unknown_question_is_refused() -> None:
    with pytest.raises(NodeError, match="weather:today"):
        probe.sort(["weather:today"])


FIB = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
           |-- 10.0.0.5
              /32 host LOCAL
           |-- 10.0.0.255
              /32 link BROADCAST
        |-- 127.0.0.1
           /32 host LOCAL
        |-- 172.17.0.1
           /32 host LOCAL
"""
INET6 = """00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000005 02 40 00 80     eth0
fe800000000000000000000000000005 02 40 20 80     eth0
"""


def test_the_machine() -> None:
    assert machine.ipv4(FIB) == ["10.0.0.5"]
    assert machine.ipv6(INET6) == ["2001:db8::5"]
    assert machine.memory("MemTotal:       65784240 kB\nMemFree: 1 kB\n") == 65784240 * 1024
    release = machine.os_release(
        'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n# x=y\nVERSION_ID="12"\n'
    )
    assert release == {"PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)", "ID": "debian", "VERSION_ID": "12"}
