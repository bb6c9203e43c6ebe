"""What a door has under way and has counted for each replica: by rows of HAProxy's statistics."""

from __future__ import annotations

import pytest

from hostler.node.base import files, spec
from hostler.node.docker import docker
from hostler.node.doors import counting, haproxy, sessions
from hostler.node.idle import looking

from .fakes import Host
from .idling import TABLE, Door

GATEWAY = """
model_chat,chat-0,0,2,40,UP,
model_chat,chat-1,1,4,60,UP,
model_chat,held,0,1,9,UP,
model_chat,BACKEND,3,7,109,UP,
held_chat,chat-0,0,1,2,UP,
held_chat,wait,0,2,5,UP,
held_chat,holder,0,1,1,UP,
held_chat,BACKEND,0,4,8,UP,
health_chat-0,engine,0,1,9000,UP,
model_tiny,tiny-0,0,0,7,DOWN,
model_tiny,BACKEND,0,0,7,DOWN,
api,FRONTEND,0,9,500,OPEN,
"""
EDGE = """
replica_chat-1,chat-1,0,3,30,no check,
replica_chat-1,BACKEND,0,3,30,UP,
health_chat-1,engine,0,0,800,no check,
"""


def door(rows: str, old: str = "") -> counting.Door:
    return counting.Door("8 1", haproxy.parse_stat(TABLE + rows), haproxy.parse_stat(TABLE + old))


@pytest.mark.parametrize(
    ("rows", "old", "replica", "expected"),
    [
        (GATEWAY, "", "chat-0", (2 + 1 + 3 + 3, 42)),  # its own, with what waits for its model
        (GATEWAY, "", "chat-1", (4 + 1 + 3 + 3, 60)),
        (GATEWAY, "", "tiny-0", (0, 7)),
        (GATEWAY, "", "gone-0", (0, 0)),
        (EDGE, "", "chat-1", (3, 30)),
        (EDGE, EDGE, "chat-1", (6, 30)),  # an old worker's streams count, its requests do not
    ],
)
def test_of_a_replica(rows: str, old: str, replica: str, expected: tuple[int, int]) -> None:
    assert counting.of_replica(door(rows, old), replica) == expected


def test_who_waits_for_a_model() -> None:
    """Four are in its waiting room; one of them is answered by chat-0 already."""
    assert counting.queues(door(GATEWAY)) == {"chat": 3 + 3, "tiny": 0}
    assert counting.replicas(door(GATEWAY)) == ["chat-0", "chat-1", "tiny-0"]


def test_by_the_gateways_door_every_replica_has_its_look() -> None:
    found = looking.routes({"gateway": door(GATEWAY)})
    assert {name: look.doors["gateway"] for name, look in found.items()} == {
        "chat-0": (9, 42, "8 1"),
        "chat-1": (11, 60, "8 1"),
        "tiny-0": (0, 7, "8 1"),
    }
    assert looking.routes({"gateway": None}) == {}


@pytest.fixture
def gateway(host: Host) -> Door:
    return Door(host.root / "run/hostler/gateway/admin.sock")


def test_which_process_counts(gateway: Door) -> None:
    first = counting.look("gateway")
    assert first
    assert first.born == "8 1764500000"
    gateway.pid = 9
    assert counting.look("gateway") != first


def test_one_that_does_not_answer_is_unknown(gateway: Door) -> None:
    gateway.silent = True
    assert counting.look("gateway") is None


@pytest.mark.parametrize("wanted", [False, True])
def test_where_none_is_there_is_none_but_one_that_should_be_is_unknown(host: Host, wanted: bool) -> None:
    if wanted:
        files.write_json(spec.path_of(files.APPLIED, "edge"), {"id": "edge"})
        assert looking.doors() == {"edge": None}
    else:
        assert looking.doors() == {}


def test_one_whose_former_container_still_answers_is_unknown(host: Host, gateway: Door) -> None:
    assert counting.look("gateway")
    host.docker.create_foreign("hostler-gateway-old")
    assert counting.look("gateway")  # it has ended
    host.docker.containers["hostler-gateway-old"]["State"]["Running"] = True
    assert docker.running(docker.inspect("hostler-gateway-old"))
    assert counting.look("gateway") is None


def test_old_workers_are_asked_by_their_master(gateway: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "show proc": "#<PID> <type>\n# workers\n8 worker 0\n# old workers\n5 worker 1\n# programs\n",
        "@!5 show stat": TABLE + "model_chat,chat-0,0,2,70,UP,\n",
    }
    monkeypatch.setattr(sessions, "asked", lambda _path, line: said[line])  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    found = counting.look("gateway")
    assert found
    assert counting.of_replica(found, "chat-0") == (2, 7)


PAGES = [
    ("llamacpp:requests_processing 1\nllamacpp:requests_deferred 2\nllamacpp:prompt_tokens_total 7\n"
     "llamacpp:tokens_predicted_total 9\nllamacpp:n_decode_total 11\n", (1, 2, (7.0, 9.0, 11.0))),
    ('vllm:num_requests_running{engine="0"} 1.0\nvllm:num_requests_running{engine="1"} 2.0\n'
     'vllm:num_requests_waiting{engine="0"} 0.0\nvllm:prompt_tokens_total{engine="0"} 5.0\n'
     'vllm:generation_tokens_total{engine="0"} 6.0\nvllm:request_success_total{finished_reason="stop"} 3.0\n'
     'vllm:request_success_total{finished_reason="length"} 1.0\n', (3, 0, (5.0, 6.0, 4.0))),
    ("process_cpu_seconds_total 5\n", (0, 0, ())),  # it counts no requests: doors alone tell
]  # fmt: skip


@pytest.mark.parametrize(("page", "expected"), PAGES, ids=["llama.cpp", "vLLM", "another"])
def test_an_engines_page(page: str, expected: tuple[int, int, tuple[float, ...]]) -> None:
    told = looking.counters(page)
    assert (told.running, told.waiting, told.work, told.first) == (*expected, {})


@pytest.mark.parametrize(("doors", "known"), [({}, False), ({"edge": door(EDGE)}, True)])
def test_one_without_counters_is_known_by_its_doors_alone(
    doors: looking.Doors, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking.wire, "get", lambda *_: looking.wire.Answer(404, b"", {}))  # pyright: ignore[reportUnknownLambdaType]
    told = looking._asked({"port": 1}, sent=bool(doors))  # pyright: ignore[reportPrivateUsage]
    assert told == (looking.COUNTS_NOTHING if known else looking.SILENT)


def test_its_usage(gateway: Door) -> None:
    assert counting.usage() == ""
