"""The runtime sockets: counts, maps, and who is routed to."""

import socketserver
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import files
from hostler.node.base.protocol import NodeError
from hostler.node.doors import drain, haproxy
from hostler.node.probe import probe

from .fakes import Heard
from .servers import UnixServer, serving

STAT = """# pxname,svname,qcur,scur,hrsp_2xx,status,check_status,last_chk,
api,FRONTEND,,7,1,OPEN,,,
model_chat,chat-0,1,2,5,{status},L4CON,refused,
model_chat,chat-1,0,4,5,UP,L7OK,,
model_chat,BACKEND,0,6,5,UP,,,

"""


STATE = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_fqdn srv_port
4 model_chat 1 chat-0 127.0.0.1 2 - 18080
4 model_chat 2 chat-1 10.0.0.2 0 - 8443
4 model_chat 3 chat-2 10.0.0.9 0 gpu-3.lan 8443
4 model_chat 4 chat-3 127.0.0.1 0 - 18083
"""
CONFIGURATION = """
    server-state-file /run/hostler/gateway/servers.state
    server chat-0 127.0.0.1:18099 addr 127.0.0.1 port 9410
    server chat-1 10.0.0.2:8443 ssl
    server chat-2 gpu-3.lan:8443 ssl resolvers host
"""


class FakeHAProxy:
    """Answers one command a connection, as the admin socket does."""

    def __init__(self, path: Path) -> None:
        self.status, self.keys, self.told = "UP", {"aa": "old name", "bb": "x"}, list[str]()
        fake = self

        class Command(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(fake.answer(self.rfile.readline().decode().strip()).encode())

        path.parent.mkdir(parents=True)
        self.server = serving(UnixServer(str(path), Command))

    def answer(self, line: str) -> str:
        self.told.append(line)
        words = line.split(" ", 4)
        if line == "show stat":
            return STAT.format(status=self.status)
        if line == "show servers state":
            return STATE
        if line == "show map":
            return "# id (file) description\n0 (/x/models.map) pattern\n3 (/in/keys.map) pattern loaded from file\n\n"
        if words[:2] == ["show", "map"]:
            return (
                "".join(f"0x{i} {key} {value}\n" for i, (key, value) in enumerate(self.keys.items())) + "\n"
            )
        if words[0] == "del":
            del self.keys[words[3]]
        elif words[0] in ("add", "set"):
            self.keys[words[3]] = words[4].replace("\\ ", " ")
        return "\n"


@pytest.fixture
def gateway(short_root: Path, quick: None) -> Generator[FakeHAProxy, Any, None]:
    fake = FakeHAProxy(short_root / "run/hostler/gateway/admin.sock")
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


def test_in_flight_counts_queue_and_sessions(gateway: FakeHAProxy) -> None:
    assert haproxy.in_flight("chat-0") == 3
    assert haproxy.in_flight("chat-9") == 0


def test_no_haproxy_is_nothing_in_flight(short_root: Path) -> None:
    assert haproxy.in_flight("chat-0") == 0
    assert not haproxy.routed("chat-0")


def test_one_that_does_not_answer_is_unknown(gateway: FakeHAProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_path: str, _line: str) -> str:
        raise TimeoutError

    monkeypatch.setattr(haproxy, "command", silent)
    assert haproxy.in_flight("chat-0") is None


@pytest.mark.parametrize(
    ("status", "routed"), [("UP", True), ("UP 1/3", True), ("NOLB", False), ("DOWN", False)]
)
def test_who_is_routed_to(gateway: FakeHAProxy, status: str, routed: bool) -> None:
    gateway.status = status
    assert haproxy.routed("chat-0") is routed
    assert haproxy.served("chat-0", 0) is routed


def test_undrained_waits_for_the_gateway(gateway: FakeHAProxy) -> None:
    gateway.status = "NOLB"
    assert not drain.wait_served(["chat-0"])
    gateway.status = "UP"
    assert drain.wait_served(["chat-0"])


def test_keys_are_made_as_the_file_says(gateway: FakeHAProxy, short_root: Path) -> None:
    files.write(haproxy.KEYS, b"# hash name\naa new name\ncc c\n")
    heard = Heard()
    haproxy.key_sync({"op": "key-sync"}, heard)
    assert heard.last == {"changed": True, "added": 2, "removed": 1, "keys": 2}
    assert gateway.keys == {"aa": "new name", "cc": "c"}
    assert "del map #3 bb" in gateway.told
    haproxy.key_sync({"op": "key-sync"}, heard)
    assert heard.last["changed"] is False


def test_without_a_gateway_it_says_so(short_root: Path) -> None:
    files.write(haproxy.KEYS, b"aa a\n")
    with pytest.raises(NodeError, match="the gateway does not run"):
        haproxy.key_sync({"op": "key-sync"}, Heard())


def test_the_next_worker_hears_of_servers_that_did_not_move(gateway: FakeHAProxy, monkeypatch: Any) -> None:
    monkeypatch.setattr(files, "ids", lambda *_names: (-1, -1))
    files.write("/etc/hostler/gateway/haproxy.cfg", CONFIGURATION.encode())
    saved = haproxy.save_state("gateway", haproxy.SOCKETS[0])
    rows = files.read_text(saved).splitlines()
    assert rows[0] == "1"
    assert [row.split()[3] for row in rows[2:]] == ["chat-1", "chat-2"]
    assert not haproxy.same_servers("", CONFIGURATION)


def test_an_edge_has_no_state_to_keep(gateway: FakeHAProxy) -> None:
    files.write("/etc/hostler/gateway/haproxy.cfg", b"global\n")
    haproxy.save_state("gateway", haproxy.SOCKETS[0])
    assert gateway.told == []


def test_routes_are_the_gateways_own_word(gateway: FakeHAProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.status = "DOWN"
    found = probe.observe_routes(haproxy.routes(), ["*"])
    assert found["routes:*"] == {"value": ["chat-0", "chat-1"]}
    assert found["route:chat-0"] == {
        "value": {"status": "DOWN", "sessions": 2, "queued": 1, "check": "L4CON refused"}
    }
    monkeypatch.setattr(haproxy, "rows", lambda _path: None)
    assert "unknown" in probe.observe_routes(haproxy.routes(), ["*"])["routes:*"]
    assert "unknown" in probe.observe_routes(haproxy.routes(), ["chat-0"])["route:chat-0"]


def test_without_a_gateway_there_are_no_routes(short_root: Path) -> None:
    assert probe.observe_routes(haproxy.routes(), ["*"]) == {"routes:*": {"value": []}}


def test_gauges_of_both_engines() -> None:
    text = (
        '# TYPE x\nvllm:num_requests_running{model="a b"} 2.0\nvllm:num_requests_waiting{m="x"} 1\nother 9\n'
    )
    assert sum(drain.gauges(text)) == 3
