"""Many hosts that say what one of the lab said, over SSH, in a process of their own: `python crowd.py FOLDER PORT`.

FOLDER has what `write` put there. Each host has an address of its own in 127.0.1.0/24; it takes any key, and answers what
the controller asks: `idle-keep` as its own pace is, `ledger-read` with nothing, `ledger-append`.
"""

from __future__ import annotations

import copy
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import paramiko
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED

TOP = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOP / "infra")]

from hostler.hosts.types import Host  # noqa: E402
from hostler.models.types import Replica  # noqa: E402
from hostler.node.idle import looks  # noqa: E402
from hostler.record import store  # noqa: E402
from hostler.record.types import Record  # noqa: E402
from hostler.stackfile.hosts import hosts_of  # noqa: E402
from hostler.stackfile.load import loads  # noqa: E402

LOOK_S, SEEN_S = 5.0, 30.0  # as node/idle/keeping.py has them
HOSTS, MODELS = 64, 8
KEYS = ("default", "ci", "web", "batch")
HOME = ("path:/etc/hostler/controller/", "path:/etc/hostler/gateway/")  # on the gateway's host alone
OF = 4  # one of so many is busy, one is asleep, the others are idle
ASLEEP_S = 900.0
STACK, HOST_KEY, LINES = "stack.yaml", "host.key", "lines.json"

type Json = dict[str, Any]


@dataclass(frozen=True)
class Lines:
    """What one host said: to `idle-look`, and to a probe. It has one replica, chat-0, and is the gateway's."""

    looked: Mapping[str, Any]
    seen: Mapping[str, Any]


def stack_text() -> str:
    rows = [f"      - {{address: {address_of(n)}, name: gpu-{n}}}" for n in range(HOSTS)]
    head = ["stack: fleet", "budget: {month: 5000 EUR}", "pools:", "  rack:", "    hosts:", *rows, "models:"]
    model = f'source: "hf:acme/tiny:Q4_1", replicas: {HOSTS // MODELS}, idle: {{after: 30m}}'
    return "\n".join([*head, *(f"  m{n}: {{{model}}}" for n in range(MODELS))]) + "\n"


def address_of(number: int) -> str:
    return f"127.0.1.{number + 1}"


def model_of(number: int) -> str:
    return f"m{number % MODELS}"


def replica_of(number: int) -> str:
    return f"{model_of(number)}-{number // MODELS}"


def write(folder: Path, lines: Lines, port: int) -> None:
    """What the controller is to know, as `up` writes it, and what the hosts say."""
    key = paramiko.ECDSAKey.generate()
    key.write_private_key_file(str(folder / HOST_KEY))
    ways = {
        f"gpu-{n}": {
            "used": address_of(n),
            "address": address_of(n),
            "port": port,
            "host_key": f"{key.get_name()} {key.get_base64()}",
        }
        for n in range(HOSTS)
    }
    (folder / STACK).write_text(stack_text())
    (folder / "hosts.json").write_text(json.dumps(ways))
    (folder / LINES).write_text(json.dumps(asdict(lines)))


class Crowd:
    """What each says, made from what one said: busy, idle and asleep ones."""

    def __init__(self, folder: Path) -> None:
        self.lines = Lines(**json.loads((folder / LINES).read_text()))
        self.hosts: tuple[Host, ...] = hosts_of(loads((folder / STACK).read_bytes(), STACK))
        self.begun = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._seen = {n: self._renamed(self.lines.seen, n) for n in range(HOSTS)}
        self._looked = {n: self._renamed(self.lines.looked, n) for n in range(HOSTS)}
        record = self._record()
        for n, seen in self._seen.items():
            seen.update(record=store.dump(record) if n == 0 else None, copy=None)
            self._routes(seen["observed"], n)
            if n:
                alone = [name for name in seen["observed"] if name.startswith(HOME)]
                seen["observed"].update({name: {"absent": True} for name in alone})

    def _renamed(self, said: Mapping[str, Any], number: int) -> Json:
        text = json.dumps(said).replace("gpu-1", f"gpu-{number}").replace("chat-0", replica_of(number))
        text = text.replace("GPU-", f"GPU-{number:02d}").replace("chat", model_of(number))
        return json.loads(text)

    def _record(self) -> Record:
        one = store.load(self.lines.seen["record"], "the record of the host that was asked")
        (own,) = (replica for replica in one.replicas)
        (member,) = own.members
        names = [model_of(n) for n in range(MODELS)]
        releases = tuple(
            replace(release, models=dict.fromkeys(names, release.models["chat"])) for release in one.releases
        )
        (expected,) = one.expected.values()
        cards = {
            host.name: tuple((uuid.replace("GPU-", f"GPU-{n:02d}"), *rest) for uuid, *rest in expected.cards)
            for n, host in enumerate(self.hosts)
        }
        return replace(
            one,
            stack="fleet",
            gateway_host="gpu-0",
            releases=releases,
            hosts={host.name: host for host in self.hosts},
            expected={name: replace(expected, cards=its) for name, its in cards.items()},  # type: ignore[arg-type]
            replicas=tuple(
                Replica(
                    id=replica_of(n),
                    model=model_of(n),
                    need_mib=own.need_mib,
                    members=(replace(member, host=f"gpu-{n}", cards=tuple(c[0] for c in cards[f"gpu-{n}"])),),
                )
                for n in range(HOSTS)
            ),
        )

    def _routes(self, observed: Json, number: int) -> None:
        """The gateway's host says what it thinks of all replicas, the others of none."""
        (name,) = [name for name in observed if name.startswith("route:")]
        route = observed.pop(name)
        observed["routes:*"] = {"value": []}
        if number == 0:
            observed["routes:*"] = {"value": [replica_of(n) for n in range(HOSTS)]}
            observed.update({f"route:{replica_of(n)}": route for n in range(HOSTS)})

    def seen(self, number: int) -> Json:
        return self._seen[number]

    def looked(self, number: int) -> Json:
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        said = copy.deepcopy(self._looked[number])
        said.update(at=now, wall=time.time())
        said["replicas"] = {replica_of(number): self._row(number, now)}
        said["presence"] = {
            **looks.Verdict(looks.IDLE, self.begun, "nobody is there", now, self.begun).to_json(),
            "told": [],
        }
        said["host"] = self._verdict(number, now, engine=False).to_json()
        said["routes"], said["queues"], said["usage"] = {}, {}, None
        if number == 0:
            routes = {replica_of(n): self._verdict(n, now, engine=False) for n in range(1, HOSTS)}
            said["routes"] = {name: one.to_json() for name, one in routes.items()}
            said["queues"] = {model_of(n): 0 for n in range(MODELS)}
            said["usage"] = {"table": self._table(now), "born": "7 1"}
        return said

    def _row(self, number: int, now: float) -> Json:
        """As node/idle/keeping.py has it."""
        verdict, work = self._verdict(number, now), [100.0 * number, 50.0 * number, 10.0]
        if verdict.word == looks.ASLEEP:
            said = {"state": "asleep", "since": time.time() - ASLEEP_S, "boot": "b", "at": now - ASLEEP_S}
            mark = {**said, "why": verdict.why, "by": "the controller", "drained": False}
            return {
                **verdict.to_json(),
                "running": None,
                "waiting": None,
                "work": None,
                "born": None,
                "asleep": mark,
            }
        busy = verdict.word == looks.BUSY
        moved = [one + 40 * (now - self.begun) * busy for one in work]
        more = {"running": 2 * busy, "waiting": 0, "work": moved, "born": f"boot {number} 1", "asleep": None}
        return {**verdict.to_json(), **more}

    def _verdict(self, number: int, now: float, *, engine: bool = True) -> looks.Verdict:
        if number % OF == 1:
            return looks.Verdict(looks.BUSY, None, "2 requests in flight", now, self.begun)
        if number % OF == 2 and engine:
            return looks.Verdict(looks.ASLEEP, now - ASLEEP_S, "idle for 30 min", now)
        return looks.Verdict(
            looks.IDLE, self.begun, "nothing in flight, no counter moved", now, self.begun, self.begun
        )

    def _table(self, now: float) -> str:
        moved = int(1000 * (now - self.begun))
        rows = [
            f"0x7f00{n:04x}{k:04x}: key={model_of(n)}\\ {key} use=0 exp=2000 shard=0 http_req_cnt={moved // 50} bytes_out_cnt={moved}"
            for n in range(MODELS)
            for k, key in enumerate(KEYS)
        ]
        return "\n".join(["# table: usage, type: string, size:100000, used:32", *rows]) + "\n"


class Door(paramiko.ServerInterface):
    """Whoever comes is let in, and runs one command."""

    def get_allowed_auths(self, *_: Any, **__: Any) -> str:
        return "publickey"

    def check_auth_publickey(self, *_: Any, **__: Any) -> int:
        return AUTH_SUCCESSFUL

    def check_channel_request(self, *_: Any, **__: Any) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, *_: Any, **__: Any) -> bool:
        return True


def listen(crowd: Crowd, number: int, port: int, key: paramiko.PKey) -> None:
    """At the host's own address."""
    door = socket.create_server((address_of(number), port), backlog=16)

    def wait() -> None:
        while True:
            there, _ = door.accept()
            there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            background(serve, crowd, number, there, key)

    background(wait)


def background(what: Callable[..., None], *words: Any) -> None:
    threading.Thread(target=what, args=words, daemon=True).start()


def serve(crowd: Crowd, number: int, there: socket.socket, key: paramiko.PKey) -> None:
    transport = paramiko.Transport(there)
    transport.add_server_key(key)
    transport.start_server(server=Door())
    while transport.is_active():
        if (channel := transport.accept(5)) is not None:
            background(answer, crowd, number, channel)


def answer(crowd: Crowd, number: int, channel: paramiko.Channel) -> None:
    """One command, as the agent answers it."""
    words = channel.makefile("rb")
    words.read(int(words.readline()))  # the agent itself
    request = json.loads(words.readline())
    with suppress(OSError, EOFError):
        for said in answers(crowd, number, request["op"], request):
            channel.sendall(json.dumps(said).encode() + b"\n")
        channel.send_exit_status(0)
    channel.close()


def answers(crowd: Crowd, number: int, op: str, request: Json) -> Iterator[Json]:
    if op == "idle-keep":
        yield from keeps(crowd, number)
    elif op == "ledger-read":
        yield {"months": {}, "copies": {}}
    elif op == "ledger-append":
        yield {"added": len(request["rows"])}
    else:
        yield {"error": "unknown", "message": f"not of a crowd: {op}"}


def keeps(crowd: Crowd, number: int) -> Iterator[Json]:
    """At moments of its own, as hosts are that began at different times."""
    shown = 0.0
    yield {"looked": crowd.looked(number)}
    time.sleep(LOOK_S * number / HOSTS)
    while True:
        began = time.monotonic()
        yield {"looked": crowd.looked(number)}
        if began - shown >= SEEN_S:
            shown = began
            yield {"seen": crowd.seen(number)}
        time.sleep(max(0.0, LOOK_S - (time.monotonic() - began)))


def main(words: Sequence[str]) -> None:
    folder, port = Path(words[0]), int(words[1])
    crowd, key = Crowd(folder), paramiko.ECDSAKey.from_private_key_file(str(folder / HOST_KEY))
    for number in range(HOSTS):
        listen(crowd, number, port, key)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
