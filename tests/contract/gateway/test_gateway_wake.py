"""Models that sleep: requests are held, one wake serves them all, and none is lost."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from contract.gateway.load import Client, Tally, chat, clients, events, soon
from contract.gateway.rig import HOLDING, KEY, Answer, Proxy, Rig, until
from contract.gateway.sleep import Keeper, Sleeper, sleeping
from contract.gateway.test_gateway_hold import Asking, away, under_way
from hostler.gateway import runtime
from hostler.gateway.specs import Holding, ServedModel


def up(rig: Rig, *models: ServedModel) -> Proxy:
    proxy = rig.gateway(rig.spec(*models))
    until(lambda: set(proxy.states().values()) <= {"UP"})
    return proxy


def at_holder(proxy: Proxy, model: str = "chat") -> int:
    """Requests that are with the holder."""
    return sum(
        int(row["scur"])
        for row in proxy.rows()
        if (row["pxname"], row["svname"]) == (f"held_{model}", "holder")
    )


def holder_is(proxy: Proxy, state: str) -> bool:
    return any(
        row["status"] == state
        for row in proxy.rows()
        if (row["pxname"], row["svname"]) == ("awake", "holder")
    )


def asleep(rig: Rig, pace: tuple[float, float] = (10, 15)) -> tuple[Proxy, Keeper, Sleeper]:
    """The model `chat`, whose only replica sleeps."""
    proxy = up(rig, sleeping(rig, "chat"))
    keeper = Keeper(rig, *pace)
    until(lambda: holder_is(proxy, "UP"))
    sleeper = Sleeper(rig, proxy, keeper, "chat-0")
    sleeper.sleep()
    sleeper.down()
    return proxy, keeper, sleeper


async def cycles(count: int, sleeper: Sleeper, tally: Tally, reloads: bool) -> None:
    """At drawn moments; each is over when it was woken and has answered."""
    for number in range(count):
        seen, begun = tally.whole, sleeper.keeper.begun("chat")
        await soon(lambda seen=seen: tally.whole > seen + 25, 30)
        await asyncio.to_thread(sleeper.wait)
        await asyncio.to_thread(sleeper.sleep)
        if reloads and number % 2:
            await asyncio.to_thread(sleeper.proxy.reload)
        await soon(lambda begun=begun: sleeper.keeper.begun("chat") > begun, 30)


@pytest.mark.parametrize(
    ("hold", "reloads"),
    [
        ("hold", True),
        ("no hold", False),
        pytest.param("hold", False, marks=pytest.mark.soak),
        pytest.param("no hold", True, marks=pytest.mark.soak),
    ],
)
def test_sleeps_and_wakes_under_load(rig: Rig, hold: str, reloads: bool) -> None:
    holding = None if hold == "no hold" else HOLDING
    proxy = up(rig, sleeping(rig, "chat", 1, holding, slots=4))
    sleeper = Sleeper(rig, proxy, Keeper(rig), "chat-0", pause=0.8)
    sleeper.keeper.tell("awake", "chat")

    async def work(tally: Tally) -> None:
        with sleeper.wakes():
            await cycles(5, sleeper, tally, reloads)
            seen = tally.whole
            await soon(lambda: tally.whole > seen + 25, 30)

    tally = mixed(rig, work)
    assert tally.lost == []
    assert tally.whole > 150
    assert sleeper.keeper.begun("chat") >= 5


def mixed(rig: Rig, work: Any) -> Tally:
    """Streams and whole answers, short bodies and one that is too long to be sent again."""
    bodies = [
        chat("chat", stream=True, x_tokens=5, x_every=0.01),
        chat("chat", x_delay=0.02),
        chat("chat", stream=True, x_tokens=30, x_every=0.01),
        chat("chat", pad="x" * 200_000),
    ]

    async def run() -> Tally:
        tally, stop = Tally(), asyncio.Event()

        async def repeat(client: Client, body: dict[str, Any]) -> None:
            while not stop.is_set():
                await client.once(body)

        async with clients(rig, 8, tally) as made:
            tasks = [asyncio.create_task(repeat(one, bodies[n % 4])) for n, one in enumerate(made)]
            try:
                await work(tally)
            finally:
                stop.set()
                await asyncio.gather(*tasks)
        return tally

    return asyncio.run(run())


def test_one_wake_serves_all_who_wait(rig: Rig) -> None:
    proxy, keeper, sleeper = asleep(rig)
    asking = Asking(rig, 20)
    until(lambda: at_holder(proxy) == 20)
    sleeper.wake()
    assert asking.end() == {200: 20}
    assert keeper.begun("chat") == 1
    assert {answer.headers["x-hostler-replica"] for answer in asking.answers} == {"chat-0"}
    assert {answer.headers["x-hostler-model"] for answer in asking.answers} == {"chat"}


def test_checks_of_one_that_sleeps_are_not_logged(rig: Rig) -> None:
    """For weeks, otherwise, three lines a second."""
    proxy, _, _ = asleep(rig)
    assert " is DOWN" in proxy.logs()
    assert " health_chat-0/" not in proxy.logs()


def test_a_pool_without_hosts_is_woken_too(rig: Rig) -> None:
    """Its replica is in the gateway's next configuration only."""
    proxy = up(rig, sleeping(rig, "chat", 0))
    keeper = Keeper(rig)
    until(lambda: holder_is(proxy, "UP"))
    asking = Asking(rig, 3)
    until(lambda: at_holder(proxy) == 3)
    rig.gateway_reload(proxy, rig.spec(sleeping(rig, "chat", 1)))
    keeper.tell("awake", "chat")
    assert asking.end() == {200: 3}


def test_a_reload_while_the_controller_is_started_again(rig: Rig) -> None:
    """Who waits for a controller waits in the gateway's former process, which makes no checks any more."""
    proxy, keeper, sleeper = asleep(rig)
    keeper.end()
    asking = Asking(rig, 3)
    until(lambda: at_holder(proxy) == 3)
    proxy.reload()
    keeper.start()
    until(lambda: keeper.begun("chat") == 1)
    sleeper.wake()
    assert asking.end() == {200: 3}


@pytest.mark.parametrize("replicas", [0, 1])
def test_nobody_wakes(rig: Rig, replicas: int) -> None:
    proxy = up(rig, sleeping(rig, "chat", replicas))
    until(lambda: holder_is(proxy, "DOWN"), 20)
    if replicas:
        rig.engines["chat-0"].kill()
        until(lambda: proxy.states()["chat-0"].startswith("DOWN"))
    until(lambda: told_at_once(rig))
    answer = rig.chat("chat")
    assert answer.headers["retry-after"] == "10"
    assert answer.json()["error"]["code"] == "model_not_ready"


def told_at_once(rig: Rig) -> bool:
    began = time.monotonic()
    assert rig.chat("chat").status == 503
    return time.monotonic() - began < 0.5


@pytest.mark.parametrize(
    ("how", "size", "wakes", "said"),
    [
        ("end", 0, 2, 200),
        ("end", 7_000, 2, 200),
        ("end", 30_000, 1, 200),
        ("end", 5 << 20, 1, 200),
        ("stop", 0, 2, 200),
        ("stop", 30_000, 1, 503),
        ("stop", 5 << 20, 1, 503),
    ],
)
def test_a_controller_that_is_started_again(rig: Rig, how: str, size: int, wakes: int, said: int) -> None:
    """Nobody is lost; only one that is killed takes with it what the gateway cannot ask again, which is told so."""
    proxy, keeper, sleeper = asleep(rig)
    asking = Asking(rig, 8, pad="x" * size)
    until(lambda: at_holder(proxy) == 8)
    if how == "stop" or wakes == 2:  # it has heard of them: who is still on his way is another's
        until(lambda: keeper.begun("chat"))
    getattr(keeper, how)()
    keeper.start()
    until(lambda: keeper.begun("chat") >= wakes)  # one more where a body was still on its way
    sleeper.wake()
    found = asking.end()
    assert found.total() == 8
    assert set(found) <= {200, said}  # the successor hears of what was not read yet
    assert said in found
    for answer in asking.answers:
        if answer.status == 503:
            assert answer.headers["retry-after"] == "10"
            assert answer.json()["error"]["code"] == "model_not_ready"
            assert "x-hostler-cut" not in answer.headers
    keeper.gone()


def test_an_answer_under_way_outlasts_a_restart(rig: Rig) -> None:
    proxy, keeper, sleeper = asleep(rig)
    found: list[Answer] = []
    body = chat("chat", stream=True, x_tokens=40, x_every=0.05)
    thread = threading.Thread(target=lambda: found.append(rig.ask("POST", "/v1/chat/completions", body)))
    thread.start()
    until(lambda: at_holder(proxy) == 1)
    sleeper.wake()
    until(lambda: rig.engines["chat-0"].state()["busy"] == 1)
    keeper.end()
    keeper.start()
    thread.join()
    keeper.gone()
    assert len(events(found[0].body.decode())) == 40
    assert found[0].body.endswith(b"data: [DONE]\n\n")


def test_over_the_limits(rig: Rig) -> None:
    proxy, keeper, _ = asleep(rig)
    keeper.tell("limits", "chat", "2 3")
    keeper.tell("eta", "chat", "33.2")
    asking = Asking(rig, 2)
    until(lambda: at_holder(proxy) == 2)
    full = rig.chat("chat")
    assert (full.status, full.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert full.headers["retry-after"] == "34"
    assert asking.end() == {503: 2}
    error = asking.answers[0].json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["type"]) == ("model_not_ready", "server_error")
    assert asking.answers[0].headers["retry-after"] == "34"


def test_a_client_that_goes_away_leaves_the_line(rig: Rig) -> None:
    proxy, keeper, sleeper = asleep(rig)
    keeper.tell("limits", "chat", "1 60")
    with pytest.raises(TimeoutError):
        rig.ask("POST", "/v1/chat/completions", chat("chat"), timeout=1)
    until(lambda: at_holder(proxy) == 0)
    asking: list[Asking] = []

    def waits() -> bool:
        asking.append(Asking(rig, 1))
        asking[-1].threads[0].join(1)  # who finds the line full hears of it at once
        return not asking[-1].answers and at_holder(proxy) == 1

    until(waits)
    sleeper.wake()
    assert asking[-1].end() == {200: 1}
    assert keeper.begun("chat") == 1


def test_a_wake_that_fails_is_told(rig: Rig) -> None:
    _, keeper, _ = asleep(rig)
    keeper.tell("failed", "chat", "no card is free")
    answer = rig.chat("chat")
    assert answer.status == 503
    assert answer.headers["retry-after"] == "42"
    assert "The model chat did not wake: no card is free" in answer.json()["error"]["message"]
    assert "hostler logs controller" in answer.json()["error"]["message"]


@pytest.mark.parametrize("stream", [True, False])
def test_another_stands_in(rig: Rig, stream: bool) -> None:
    proxy = up(rig, sleeping(rig, "chat"), rig.model("small", 1))
    keeper = Keeper(rig)
    sleeper = Sleeper(rig, proxy, keeper, "chat-0")
    sleeper.sleep()
    sleeper.down()
    keeper.tell("failed", "chat", "no card is free")
    keeper.tell("else", "chat", "small")
    keeper.tell("awake", "small")
    answer = rig.chat("chat", stream=stream)
    assert answer.status == 200
    assert answer.headers["x-hostler-model"] == "small"
    assert answer.headers["x-hostler-replica"] == "small-0"
    said = events(answer.body.decode())[0] if stream else answer.json()
    assert said["model"] == "small"
    assert counted(proxy)["small", "me"][0] == 1
    assert ("chat", "me") not in counted(proxy)


def never_sleeping(rig: Rig, hold: Holding | None = HOLDING, waiting: int = 256, **more: Any) -> ServedModel:
    """A model that `small` stands in for."""
    model = replace(rig.model("chat", 1, hold, **more), others=True, waiting=waiting)
    assert not model.sleeps
    return model


def with_small(rig: Rig, model: ServedModel) -> tuple[Proxy, Keeper]:
    proxy = up(rig, model, rig.model("small", 1))
    keeper = Keeper(rig)
    keeper.tell("else", "chat", "none-such small")
    keeper.tell("failed", "none-such", "it is not there")
    keeper.tell("failed", "chat", "none of its replicas is ready")
    until(lambda: holder_is(proxy, "UP"))
    return proxy, keeper


@pytest.mark.parametrize("replicas", [0, 1])
def test_another_stands_in_for_one_that_never_sleeps(rig: Rig, replicas: int) -> None:
    """As long as it is down; the model itself answers before and after."""
    model = never_sleeping(rig)
    proxy, keeper = with_small(rig, model if replicas else replace(model, replicas=()))
    if replicas:
        assert rig.chat("chat").headers["x-hostler-model"] == "chat"
        rig.engines["chat-0"].kill()
    answer = rig.chat("chat")
    assert (answer.status, answer.json()["model"]) == (200, "small")
    assert (answer.headers["x-hostler-model"], answer.headers["x-hostler-replica"]) == ("small", "small-0")
    assert "x-hostler-woken" not in answer.headers
    found = rig.ask("GET", "/v1/models").json()["data"]
    assert {one["id"]: one["state"] for one in found} == {"chat": "unavailable", "small": "ready"}
    rig.engines["small-0"].kill()
    until(lambda: proxy.states()["small-0"].startswith("DOWN"))
    keeper.tell("failed", "small", "none of its replicas is ready")
    answer = rig.chat("chat")
    assert (answer.status, answer.json()["error"]["code"]) == (503, "model_not_ready")
    assert answer.headers["retry-after"] == "42"
    assert "nor does none-such or small answer instead" in answer.json()["error"]["message"]
    assert answer.headers["x-hostler-model"] == "chat"
    if replicas:
        rig.engines["chat-0"].start()
        until(lambda: rig.chat("chat").headers["x-hostler-model"] == "chat")
    assert {"small", "chat"} >= {model for model, _ in counted(proxy)}


def test_another_stands_in_where_the_line_is_full(rig: Rig) -> None:
    """One is at its engine, one waits for it, the third is another's; with nobody to ask it is told so."""
    proxy, keeper = with_small(rig, never_sleeping(rig, waiting=1, slots=1))
    busy = Asking(rig, 1, x_delay=60)
    until(lambda: proxy.in_flight("chat-0") == 1)
    waits = Asking(rig, 1)
    until(lambda: queued(proxy) == 1)
    answer = rig.chat("chat")
    assert (answer.status, answer.headers["x-hostler-model"], answer.json()["model"]) == (
        200,
        "small",
        "small",
    )
    assert keeper.begun("chat") == 0
    assert ("chat", "me") not in counted(proxy)
    rig.engines["small-0"].kill()
    until(lambda: proxy.states()["small-0"].startswith("DOWN"))
    keeper.tell("failed", "small", "none of its replicas is ready")
    full = rig.chat("chat")
    assert (full.status, full.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert "nor does" in full.json()["error"]["message"]
    keeper.end()
    keeper.gone()
    until(lambda: holder_is(proxy, "DOWN"), 20)
    assert rig.chat("chat").json()["error"]["message"] == "Too many requests are waiting for this model"
    rig.engines["chat-0"].kill()
    assert (waits.end(), busy.end()) == ({503: 1}, {503: 1})


def queued(proxy: Proxy) -> int:
    return sum(
        int(row["qcur"] or 0)
        for row in proxy.rows()
        if (row["pxname"], row["svname"]) == ("model_chat", "BACKEND")
    )


def test_who_waits_for_an_exchange_too_long_is_answered_by_another(rig: Rig) -> None:
    """And those that come then do not wait; nor does one over the limit before."""
    proxy, keeper = with_small(rig, never_sleeping(rig, Holding(queue=2, seconds=6)))
    with away(rig, proxy, "chat-0"):
        asking = Asking(rig, 2)
        until(lambda: under_way(proxy) == 2)
        began = time.monotonic()
        assert rig.chat("chat").headers["x-hostler-model"] == "small"
        assert time.monotonic() - began < 2
        assert keeper.begun("chat") == 0
        assert not asking.answers
        assert asking.end() == {200: 2}
        assert time.monotonic() - began > 2
        assert {answer.headers["x-hostler-model"] for answer in asking.answers} == {"small"}
        assert told_by_small_at_once(rig)
    until(lambda: rig.chat("chat").headers["x-hostler-model"] == "chat")


def told_by_small_at_once(rig: Rig) -> bool:
    began = time.monotonic()
    return rig.chat("chat").headers["x-hostler-model"] == "small" and time.monotonic() - began < 1


def test_an_exchange_that_is_over_in_time_asks_no_other(rig: Rig) -> None:
    proxy, keeper = with_small(rig, never_sleeping(rig))
    with away(rig, proxy, "chat-0"):
        asking = Asking(rig, 4)
        until(lambda: under_way(proxy) == 4)
    assert asking.end() == {200: 4}
    assert {answer.headers["x-hostler-model"] for answer in asking.answers} == {"chat"}
    assert keeper.begun("chat") == 0


def test_where_nothing_is_held_another_answers_at_once(rig: Rig) -> None:
    proxy, _ = with_small(rig, never_sleeping(rig, None))
    with away(rig, proxy, "chat-0"):
        assert told_by_small_at_once(rig)


def counted(proxy: Proxy) -> dict[tuple[str, str], tuple[int, int]]:
    return runtime.usage(proxy.command(runtime.SHOW_USAGE))


class Listening:
    """A stream under way, and what it has heard."""

    def __init__(self, rig: Rig) -> None:
        self.text, self.connection = "", http.client.HTTPConnection("127.0.0.1", rig.port, timeout=30)
        body = json.dumps(chat("chat", stream=True, x_tokens=3))
        self.connection.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {KEY}"})
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def listen(self) -> None:
        with self.connection.getresponse() as answer:
            self.status, self.kind = answer.status, answer.headers["content-type"]
            while line := answer.readline():
                self.text += line.decode()

    def end(self) -> str:
        self.thread.join()
        self.connection.close()
        assert (self.status, self.kind) == (200, "text/event-stream")
        return self.text


WAKING = ": waking chat, about 12 s\n\n"


def commented(rig: Rig) -> tuple[Keeper, Sleeper, Listening]:
    _, keeper, sleeper = asleep(rig, pace=(0.3, 0.3))
    keeper.tell("eta", "chat", "12.4")
    return keeper, sleeper, Listening(rig)


def test_a_stream_hears_comments_and_then_its_answer(rig: Rig) -> None:
    _, sleeper, listening = commented(rig)
    until(lambda: listening.text.startswith(2 * WAKING))
    sleeper.wake()
    text = listening.end()
    assert len(events(text)) == 3
    assert text.endswith("data: [DONE]\n\n")


def test_a_stream_hears_of_a_failure_as_an_event(rig: Rig) -> None:
    keeper, _, listening = commented(rig)
    until(lambda: listening.text == WAKING)
    keeper.tell("failed", "chat", "no card is free")
    text = listening.end()
    assert "no card is free" in events(text)[0]["error"]["message"]
    assert "[DONE]" not in text


def test_a_long_prompt_and_an_upload_wait_too(rig: Rig) -> None:
    proxy, _, sleeper = asleep(rig)
    found: list[Answer] = []
    kind = {"content-type": "multipart/form-data; boundary=x"}
    upload = b"--x\r\n" + b"\0" * 1_000_000
    asks = [
        lambda: rig.chat("chat", pad="x" * (5 << 20)),
        lambda: rig.ask("POST", "/m/chat/v1/audio/transcriptions?a=%2F&b", upload, headers=kind),
        lambda: rig.ask("POST", "/v1/audio/transcriptions", upload, headers=kind | {"x-model": "chat"}),
    ]
    threads = [threading.Thread(target=lambda ask=ask: found.append(ask())) for ask in asks]
    for thread in threads:
        thread.start()
    until(lambda: at_holder(proxy) == 3)
    sleeper.wake()
    for thread in threads:
        thread.join()
    said = sorted((answer.json()["path"], answer.json()["size"] >> 19) for answer in found)
    assert said == [
        ("/v1/audio/transcriptions", 1),
        ("/v1/audio/transcriptions?a=%2F&b", 1),
        ("/v1/chat/completions", 10),
    ]


def test_who_asked_is_known_and_counted_once(rig: Rig) -> None:
    proxy, _, sleeper = asleep(rig)
    asking = Asking(rig, 3)
    until(lambda: at_holder(proxy) == 3)
    sleeper.wake()
    assert asking.end() == {200: 3}
    until(lambda: rig.chat("chat").json()["headers"].get("x-hostler-woken") is None)
    headers = rig.chat("chat").json()["headers"]
    assert "x-hostler-key" not in headers
    requests, size = counted(proxy)["chat", "me"]
    assert requests == 5
    assert size > 5 * len(asking.answers[0].body)
    assert set(counted(proxy)) == {("chat", "me")}


def test_clients_cannot_pass_for_the_holder(rig: Rig) -> None:
    proxy, _, sleeper = asleep(rig)
    forged = {"x-hostler-woken": "1", "x-hostler-key": "boss"}
    found: list[Answer] = []
    thread = threading.Thread(
        target=lambda: found.append(rig.ask("POST", "/v1/chat/completions", chat("chat"), headers=forged))
    )
    thread.start()
    until(lambda: at_holder(proxy) == 1)
    sleeper.wake()
    thread.join()
    assert found[0].status == 200
    assert set(counted(proxy)) == {("chat", "me")}


def test_states_in_models(rig: Rig) -> None:
    proxy = up(
        rig,
        sleeping(rig, "chat", 0),
        sleeping(rig, "models", 0),
        sleeping(rig, "away", 0),
        rig.model("awake", 1),
    )
    file = rig.folder / "gpu-1/run/gateway/states.json"

    def put(text: str | None) -> None:
        if text is None:
            file.unlink()
        else:
            file.with_suffix(".new").write_text(text)
            file.with_suffix(".new").rename(file)

    def says(expected: dict[str, tuple[str, Any]]) -> bool:
        found = rig.ask("GET", "/v1/models").json()["data"]
        return {model["id"]: (model["state"], model.get("eta_s")) for model in found} == expected

    told = {"chat": {"state": "waking", "eta_s": 12.5}, "models": {"state": "asleep", "eta_s": None}}
    told |= {"awake": {"state": "asleep"}, "away": {"state": "parked"}}
    now = int(time.time())
    good = json.dumps({"at": now, "models": told}, indent=1)
    heard = {
        "chat": ("waking", 12.5),
        "models": ("asleep", None),
        "awake": ("ready", None),
        "away": ("parked", None),
    }
    as_ever = dict.fromkeys(("chat", "models", "away"), ("unavailable", None)) | {"awake": ("ready", None)}
    for broken in (
        f'{{"at": {now}, "models": {{"chat": {{"state": "wak',
        f'{{"at": {now}, "models": {{"chat": {{"state": 3}}}}, "x": [}}',
        json.dumps({"at": now - 3600, "models": told}),  # whoever said it is gone
        json.dumps({"at": now + 3600, "models": told}),
        json.dumps({"models": told}),
        "",
        None,
    ):
        put(good)
        until(lambda: says(heard))
        put(broken)
        until(lambda: says(as_ever))
    assert proxy.process.poll() is None
