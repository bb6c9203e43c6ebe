"""What a release can break while its health check stays green: each is found, and the old one comes back."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from hostler.node.base import files
from hostler.node.base.protocol import NodeError
from hostler.node.canary import canary, chat, memory, processors, repeats
from hostler.node.docker import docker
from hostler.node.exchange import exchange
from hostler.node.replica import version, wait
from hostler.node.weights import store

from .fakes import Heard, Host
from .servers import STORY
from .test_exchange import calm, exchanged

EVENT = 'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n'
END = 'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = "data: [DONE]\n\n"
STREAMS = [
    ("whole", EVENT % "Pa" + EVENT % "ris" + END + DONE, ""),
    ("one short piece", EVENT % "Paris" + END + DONE, ""),
    ("no end", EVENT % "Hi" + END, "the stream broke off: expected [DONE] in the end; got 'Hi'"),
    ("an error in it", 'data: {"error":{"message":"no"}}\n\n' + DONE, "the stream broke off"),
    ("nothing in it", END + DONE, "the stream is empty"),
    ("no reason", EVENT % "Pa" + EVENT % "ris" + DONE, "finish_reason: expected stop or length; got ''"),
    (
        "in one piece",
        EVENT % "a b c d e f g h" + END + DONE,
        "expected its 8 tokens one after the other; got them in one piece",
    ),
]


@pytest.mark.parametrize(("body", "why"), [s[1:] for s in STREAMS], ids=[s[0] for s in STREAMS])
def test_streams(body: str, why: str) -> None:
    found = chat.flaw_of_stream(chat.streamed(body.encode().splitlines()))
    assert (why in found) if why else found == ""


@pytest.mark.parametrize(
    ("first", "total", "pieces", "kept"),
    [(9.8, 10, 8, True), (5, 10, 8, False), (0.98, 1, 8, False), (9.8, 10, 7, False)],
)
def test_a_stream_that_was_kept_back(first: float, total: float, pieces: int, kept: bool) -> None:
    assert chat.kept_back(chat.Stream(["x"] * pieces, None, "stop", True, first, total)) is kept


def test_reasoning_counts_as_an_answer() -> None:
    """Its field has two names."""
    for name in ("reasoning", "reasoning_content"):
        message = {"content": None, name: "Hm."}
        answer = chat.said({"choices": [{"message": message, "finish_reason": "length"}]})
        assert (answer.text, chat.flaw(answer)) == ("Hm.", "")


TEXTS = [
    ("prose", STORY, 64, None, ""),
    ("prose after prose", STORY, 64, 1.6, ""),
    ("a phrase over and over", "It is Paris. I am sure. " * 12, 64, 1.6, "it repeats itself"),
    ("as the former one did", "It is Paris. I am sure. " * 12, 64, 7.0, ""),
    ("a phrase, nobody to compare with", "It is Paris. I am sure. " * 12, 64, None, ""),
    ("too short to tell", "Paris " * 8, 8, 1.6, ""),
    ("twice the same sentence", STORY[:130] * 2, 64, 1.5, ""),
]


@pytest.mark.parametrize(
    ("text", "tokens", "before", "why"), [t[1:] for t in TEXTS], ids=[t[0] for t in TEXTS]
)
def test_repeats(text: str, tokens: int, before: float | None, why: str) -> None:
    found = repeats.flaw(repeats.times(text, tokens), before)
    assert found.startswith(why) if why else found == ""


ONE_THING = [
    ("!" * 200, 64, True),
    ("!" * 200, None, True),
    ("GG GG " * 30, 64, True),
    ("word " * 16, 16, False),
    ("Ja, ja " * 30, 64, False),
    ("从前有一座山，山里有一座庙，庙里有个老和尚在给小和尚讲故事。", 32, False),
    ("昔々、海のそばの古い灯台に一人の番人が住んでいました。", 32, False),
    (",".join(map(str, range(1, 33))), 64, False),
    ("是的" * 32, 64, True),
    ("Paris," * 32, 64, True),
    (STORY, 64, False),
    ("Paris.", 2, False),
]


@pytest.mark.parametrize(("text", "tokens", "bad"), ONE_THING)
def test_one_thing(text: str, tokens: int | None, bad: bool) -> None:
    assert bool(repeats.one_thing(text, tokens)) is bad


LOADED = [
    ("as asked", ["chat"], "/m/a.gguf", ""),
    ("nothing said", None, None, ""),
    ("another spelling", ["chat"], "/m//a.gguf", ""),
    ("another name", ["talk"], "/m/a.gguf", "model: expected chat; the engine has talk"),
    ("another file", ["chat"], "/m/b.gguf", "the engine has loaded /m/b.gguf"),
]


@pytest.mark.parametrize(
    ("names", "path", "why"), [case[1:] for case in LOADED], ids=[case[0] for case in LOADED]
)
def test_what_an_engine_has_loaded(names: list[str] | None, path: str | None, why: str) -> None:
    found = version.flaw("chat", "/m/a.gguf", version.Loaded(names, path))
    assert (why in found) if why else found == ""


@pytest.mark.parametrize(
    ("argv", "path"),
    [
        (["-m", "/m/a.gguf", "-c", "1"], "/m/a.gguf"),
        (["/m/folder", "--host", "x"], "/m/folder"),
        (["good", "1"], ""),
    ],
)
def test_the_path_of_a_model(argv: list[str], path: str) -> None:
    assert version.model_path({"argv": argv}) == path


def test_a_file_that_was_written_since_its_check(host: Host) -> None:
    path = files.MODELS + "/x/a.gguf"
    for content in (b"weights", b"other weights"):
        files.write(path, content)
        if content == b"weights":
            assert not version.was_changed(path)
            store.write_sidecar(path, "0" * 64, "https://hub/a.gguf")
    assert version.parts(path) == version.parts(files.MODELS + "/x") == [path]
    assert version.was_changed(path)
    host.want(argv=["good", str(host.port), "4096", "-m", path])
    with pytest.raises(NodeError, match="expected the file whose checksum was right; it was written since"):
        exchanged()


def test_another_image_under_its_name(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has made the container anew between its start and the canary."""

    def moved(_: Any) -> str:
        host.docker.running()[0].update(Image="sha256:other")
        return ""

    monkeypatch.setattr(wait, "has_cards", moved)
    host.want()
    with pytest.raises(NodeError, match=r"version: expected llama@sha256:aaa.*got image sha256:other"):
        exchanged()


# against the former replica


def change(host: Host, before: str, now: str, **more: Any) -> dict[str, Any]:
    """A replica that is exchanged for another; what is said."""
    host.want(before)
    exchanged()
    host.want(now, tag="2", **more)
    return exchanged()


def restored(host: Host, before: str, now: str, why: str, **more: Any) -> None:
    with pytest.raises(NodeError) as caught:
        change(host, before, now, **more)
    assert (caught.value.rc, caught.value.more["outcome"]) == (4, "restored")
    assert why in caught.value.message
    assert host.runs().startswith(before)
    calm(host)


def test_half_as_fast(host: Host) -> None:
    restored(host, "steady", "half", "80% of the former replica's; got ")


ANSWER = chat.Said(STORY, 64, "length", {})
LOADS = [
    ("known", [ANSWER, ANSWER], 2.0, canary.Load(64.0, 1.55, most=64.0)),
    ("too quick to tell", [ANSWER, ANSWER], 0.04, canary.Load(None, 1.55)),
    ("too short to tell", [ANSWER._replace(text="Yes.", tokens=2)] * 2, 2.0, canary.Load(None, None)),
    ("uncounted", [ANSWER._replace(tokens=None)] * 2, 2.0, canary.Load(None, 1.55)),
]


@pytest.mark.parametrize(
    ("answers", "seconds", "load"), [one[1:] for one in LOADS], ids=[one[0] for one in LOADS]
)
def test_a_load(answers: list[Any], seconds: float, load: canary.Load) -> None:
    assert canary.load_of(answers, seconds) == load


def test_seconds_that_others_took_are_not_in_its_speed() -> None:
    load = canary.load_of([ANSWER, ANSWER], 2.0, processors.Waited(0.4, 1.0, 0.5))
    assert load == canary.Load(80.0, 1.55, most=128.0, others=0.5)
    assert load.could == 128.0
    beside = canary.load_of([ANSWER, ANSWER], 2.0, processors.Waited(0.0, 0.0, 0.5), 1.0)
    assert beside == canary.Load(64.0, 1.55, most=96.0, others=0.5)  # on processors, not on cards


def test_a_host_that_is_far_too_busy_tells_no_speed(host: Host) -> None:
    load = 5 * (os.cpu_count() or 1)
    files.write("/proc/loadavg", f"{load}.25 9.00 5.00 3/700 4711\n".encode())
    said = change(host, "steady", "half")
    assert said["outcome"] == "exchanged"
    assert f"which says nothing: {load}.25 processes want this host's" in said["why"]


def test_slow_once_is_noise(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    speeds = iter([100.0, 40.0, 70.0, 81.0])
    monkeypatch.setattr(canary, "under_load", lambda *_: canary.Load(next(speeds), 1.6))
    assert change(host, "good", "good")["outcome"] == "exchanged"
    assert list(speeds) == []


@pytest.mark.parametrize(
    ("slots", "cards", "engine"), [(1, [], "llama"), (2, ["GPU-1"], "llama"), (2, [], "vllm")]
)
def test_another_division_has_another_speed(slots: int, cards: list[str], engine: str) -> None:
    old = {"slots": 2, "cards": [], "image": {"name": "llama"}, "argv": ["-m", "/m/a.gguf"]}
    new = {**old, "slots": slots, "cards": cards, "image": {"name": engine}}
    assert canary.is_like(old, {**old, "argv": ["--threads", "1", "-m", "/m/a.gguf"]})
    assert not canary.is_like(old, new)
    assert not canary.is_like(old, {**old, "argv": ["-m", "/m/b.gguf"]})


def test_it_goes_round_in_circles(host: Host) -> None:
    restored(host, "good", "looping", "it repeats itself: its answer can be compressed")


def test_one_that_always_did_is_no_worse(host: Host) -> None:
    assert change(host, "looping", "looping")["outcome"] == "exchanged"


def test_a_tool_that_was_called_before(host: Host) -> None:
    restored(
        host,
        "calls",
        "calls not",
        "tools: expected a call of get_weather, as by the former replica; got none",
    )


def test_a_tool_that_was_never_called(host: Host) -> None:
    said = change(host, "calls not", "calls not")
    assert said["why"].endswith("it made no tool call, though its template has tools")


CALLS = [
    ('{"city": "Paris"}', "get_weather", True),
    ('{"city": "Par', "get_weather", False),
    ('"Paris"', "get_weather", False),
    ('{"city": "Paris"}', "get_time", False),
]


@pytest.mark.parametrize(("arguments", "name", "good"), CALLS)
def test_a_valid_call(arguments: str, name: str, good: bool) -> None:
    function = {"name": name, "arguments": arguments}
    answer = {"choices": [{"message": {"content": None, "tool_calls": [{"function": function}]}}]}
    assert canary.is_call(chat.said(answer)) is good


MEMORY = [
    ("within", 4300, 4000, ""),
    (
        "more than planned and than before",
        4500,
        4000,
        "memory: expected at most 4000 MiB of main memory; it takes 4500, and",
    ),
    ("the former one did, too", 4500, 4400, ""),
    ("nobody to compare with", 4500, None, ""),
]


@pytest.mark.parametrize(("held", "before", "why"), [m[1:] for m in MEMORY], ids=[m[0] for m in MEMORY])
def test_memory(monkeypatch: pytest.MonkeyPatch, held: int, before: int | None, why: str) -> None:
    monkeypatch.setattr(memory, "held_mib", lambda _: held)
    monkeypatch.setattr(docker, "logs", lambda _: [])
    spec = {"id": "chat-0", "memory_mib": 4000, "cards": []}
    if why:
        with pytest.raises(wait.FailedError, match=why):
            memory.within(spec, before)
    else:
        assert memory.within(spec, before) == (
            "" if held < 4400 else f"memory: expected at most 4000 MiB of main memory; it takes {held}"
        )


def test_memory_that_nobody_tells(host: Host) -> None:
    host.want(memory_mib=4000)
    assert exchanged()["why"] == "it was not there; how much memory it takes is unknown"


def test_shares_of_main_memory(host: Host) -> None:
    host.want(memory_mib=4)
    exchanged()
    host.docker.pids = [71, 72]
    for pid in host.docker.pids:
        files.write(
            f"/proc/{pid}/smaps_rollup", b"55d4-7ffd ---p\nRss:  9000 kB\nPss:  3072 kB\nPss_Anon: 1 kB\n"
        )
    assert memory.held_mib(host.want(memory_mib=4)) == 6


def test_the_same_again_is_compared_with_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.want()
    exchanged()
    monkeypatch.setattr(canary, "measured", lambda _: pytest.fail("nothing to compare"))
    heard = Heard()
    exchange.exchange({"op": "exchange", "id": "chat-0", "force": True}, heard)
    assert heard.last["outcome"] == "exchanged"


def test_a_former_one_that_does_not_answer_fails_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be the very reason for the exchange."""
    monkeypatch.setattr(canary, "OLD_S", 0.05)
    assert change(host, "half", "good")["outcome"] == "exchanged"


def test_what_was_measured_is_in_the_journal(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []
    step = exchange.journal.step

    def keeping(record: dict[str, Any], phase: str, **more: Any) -> None:
        step(record, phase, **more)
        kept.append((phase, json.loads(json.dumps(record)).get("before")))

    monkeypatch.setattr(exchange.journal, "step", keeping)
    change(host, "calls", "calls")
    before = dict(kept)["stop"]
    assert before["tools"] is True
    assert "speed" in before
    assert 1 < before["repeats"] < 2
