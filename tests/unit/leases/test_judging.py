"""What hosts and the gateway say, put together: both must say idle, for the whole window, and lately."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.hosts.types import Host, Ssh
from hostler.leases import judging, rows
from hostler.leases.judging import Subject, Wishes
from hostler.leases.view import FRESH_S, View
from hostler.models.types import Member, Replica
from hostler.node.idle.looks import ASLEEP, BUSY, IDLE, UNKNOWN, Policy, Verdict

HOME, AWAY = "gpu-1", "burst-0"
NOW, WALL = 5000.0, 1.8e9
SLEEP = Policy(after_s=600.0, do="sleep", hours="", max_age_s=0.0, shadow=False, kept=False)
END = SLEEP._replace(do="terminate")
REPLICAS = (
    Replica(id="chat-0", model="chat", members=(Member(host=HOME, cards=(), port=1),)),
    Replica(id="chat-1", model="chat", members=(Member(host=AWAY, cards=(), port=1),)),
)
WISHES = Wishes(replicas={"chat-0": SLEEP, "chat-1": SLEEP}, hosts={AWAY: END})


def said(word: str, since: float | None, at: float) -> dict[str, Any]:
    return Verdict(word, since, "told", at, 0.0, since).to_json()


def view(name: str, boottime: float, **words: Any) -> View:
    """Came a second ago."""
    host = Host(name=name, pool="p", ssh=Ssh(address=name))
    return View(host=host, looked={"at": boottime, **words}, at=NOW - 1)


def views(
    *, own: str = IDLE, routed: str = IDLE, routed_for: float = 700.0, host: str = IDLE
) -> dict[str, View]:
    """Home was booted at another time than the other host: its clock says 90000, the other's 20000."""
    route = said(routed, 90000.0 - routed_for if routed == IDLE else None, 90000.0)
    home = view(
        HOME,
        90000.0,
        replicas={"chat-0": said(IDLE, 89900.0, 90000.0)},
        host=said(IDLE, 80000.0, 90000.0),
        routes={"chat-0": said(IDLE, 89900.0, 90000.0), "chat-1": route},
    )
    since = 20000.0 - 700.0
    away = view(
        AWAY,
        20000.0,
        replicas={"chat-1": said(own, since if own in (IDLE, ASLEEP) else None, 20000.0)},
        host=said(host, since if host == IDLE else None, 20000.0),
    )
    return {HOME: home, AWAY: away}


def judged(found: dict[str, View], wishes: Wishes = WISHES, **more: Any) -> dict[str, Subject]:
    subjects = judging.subjects(found, HOME, REPLICAS, wishes, NOW, WALL, **more)
    return {f"{one.kind} {one.name}": one for one in subjects}


def test_both_idle_for_the_whole_window() -> None:
    found = judged(views())
    assert found["replica chat-0"].due is None  # 100 s
    assert found["replica chat-0"].in_s == pytest.approx(499.0)
    assert found["replica chat-1"].due is not None
    assert found["host burst-0"].due is not None
    assert [one.name for one in judging.due(tuple(found.values()))] == [
        AWAY
    ]  # nobody sleeps on one that goes


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"own": BUSY}, BUSY, id="its host says busy"),
        pytest.param({"routed": BUSY}, BUSY, id="the gateway sends it requests"),
        pytest.param({"routed": UNKNOWN}, UNKNOWN, id="the gateway does not know"),
        pytest.param({"own": UNKNOWN}, UNKNOWN, id="a scrape failed"),
    ],
)
def test_one_that_does_not_say_idle_is_enough(change: dict[str, Any], word: str) -> None:
    found = judged(views(**change))
    assert found["replica chat-1"].verdict.word == word
    assert found["replica chat-1"].due is None
    assert found["host burst-0"].due is None


def test_the_gateway_saw_a_request_later() -> None:
    """Its clock is another one."""
    found = judged(views(routed_for=60.0))["replica chat-1"]
    assert found.verdict.word == IDLE
    assert found.idle_s == pytest.approx(61.0)
    assert found.due is None


def test_a_session_keeps_the_host_and_not_its_replica() -> None:
    found = judged(views(host=BUSY))
    assert found["host burst-0"].due is None
    assert found["replica chat-1"].due is not None


@pytest.mark.parametrize("who", [HOME, AWAY])
def test_what_is_old_is_unknown(who: str) -> None:
    found = views()
    found[who] = replace(found[who], at=NOW - FRESH_S - 1)
    assert judged(found)["replica chat-1"].verdict.word == UNKNOWN
    assert judged(found)["host burst-0"].due is None


def test_without_the_gateways_host_nothing_is_due() -> None:
    only = {AWAY: views()[AWAY]}
    assert judged(only)["replica chat-1"].due is None


@pytest.mark.parametrize("words", [{}, {"chat-1": None}, {"chat-1": {"word": "free"}}, {"chat-1": "idle"}])
def test_what_is_not_as_it_should_be_is_unknown(words: dict[str, Any]) -> None:
    found = views()
    away = found[AWAY]
    found[AWAY] = replace(away, looked={**away.looked, "replicas": words})
    assert judged(found)["replica chat-1"].verdict.word == UNKNOWN


def test_asleep_counts_as_idle_for_its_host() -> None:
    found = judged(views(own=ASLEEP, routed=BUSY))
    assert found["replica chat-1"].verdict.word == ASLEEP
    assert found["replica chat-1"].due is None
    assert found["host burst-0"].due is not None


def test_a_budget_shortens_windows() -> None:
    assert judged(views(), shorter=0.1)["replica chat-0"].due is not None


def test_without_a_policy_nothing_happens() -> None:
    found = judged(views(), Wishes(replicas={}, hosts={}))
    assert [one.due for one in found.values()] == [None] * 4


# in words


def test_rows() -> None:
    kept = Wishes(
        replicas={"chat-0": SLEEP._replace(kept=True), "chat-1": SLEEP},
        hosts={AWAY: END._replace(shadow=True)},
    )
    subjects = judging.subjects(views(), HOME, REPLICAS, kept, NOW, WALL)
    found = {(row["kind"], row["name"]): row for row in rows.rows(subjects, {AWAY: "0.54 USD/h"})}
    assert found["replica", "chat-0"]["will"] == "nothing: it is one of those that stay (`keep`)"
    assert found["replica", "chat-0"]["in_s"] is None
    assert (found["replica", "chat-1"]["will"], found["replica", "chat-1"]["in_s"]) == (
        "sleeps; its cards' memory is free then",
        0.0,
    )
    host = found["host", AWAY]
    assert (host["saves"], host["shadow"], host["state"]) == ("0.54 USD/h", True, "idle")
    assert "shadow" in host["will"]
    assert found["host", HOME]["will"] == "nothing: no `idle` is about it"


def test_what_should_be_gone_and_stays() -> None:
    found = views()
    away = found[AWAY]
    for count, words in ((1, None), (3, "3 times, last: no space left on device")):
        told = {"count": count, "why": "no space left on device", "do": "terminate", "at": 1.0}
        found[AWAY] = replace(away, looked={**away.looked, "stays": told})
        subjects = judging.subjects(found, HOME, REPLICAS, WISHES, NOW, WALL)
        assert {row["name"]: row["stays"] for row in rows.rows(subjects, {})}[AWAY] == words
