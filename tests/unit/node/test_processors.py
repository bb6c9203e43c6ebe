"""What others took of the processors while a replica was timed: by the kernel's own counts."""

from __future__ import annotations

import os

import pytest

from hostler.node.base import files
from hostler.node.canary import processors
from hostler.node.canary.processors import Seen, Thread, Waited
from hostler.node.docker import docker

from .fakes import Host
from .test_canary import change, restored

CORES = os.cpu_count() or 1
ALONE = Seen({1: Thread(5.0, 0.1), 2: Thread(5.0, 0.1)}, 100.0, 3.0)
CASES = [
    ("nobody else", {1: Thread(6.0, 0.1), 2: Thread(6.0, 0.1)}, 102.0, 3.0, Waited()),
    ("one after the other", {1: Thread(5.5, 0.6), 2: Thread(5.7, 0.4)}, 103.0, 3.0, Waited(0.5, 0.8)),
    ("for itself alone", {1: Thread(5.5, 0.6), 2: Thread(5.5, 0.6)}, 101.0, 3.0, Waited()),
    ("no more than others had", {1: Thread(5.5, 0.6), 2: Thread(5.5, 0.6)}, 101.3, 3.0, Waited(0.3, 0.3)),
    ("a thread of its own that is new", {3: Thread(0.5, 0.4)}, 103.0, 3.0, Waited(0.4, 0.4)),
    ("stolen", {1: Thread(6.0, 0.1)}, 101.0, 3.5, Waited(0.5 / CORES, 0.5)),
    ("nearly all of the time", {1: Thread(5.0, 9.1)}, 120.0, 3.0, Waited(0.9, 0.9)),
    ("ended", {}, 103.0, 3.0, Waited()),
]


@pytest.mark.parametrize(
    ("threads", "busy", "stolen", "lost"), [one[1:] for one in CASES], ids=[one[0] for one in CASES]
)
def test_what_it_lost(threads: dict[int, Thread], busy: float, stolen: float, lost: Waited) -> None:
    found = processors.waited(ALONE, Seen(threads, busy, stolen), 1.0)
    assert found[:2] == pytest.approx(lost[:2])


@pytest.mark.parametrize(
    ("busy", "stolen", "share"), [(0.5, 0.0, 0.0), (1.5, 0.0, 0.25), (1.0, 0.5, 0.25), (9.0, 9.0, 1.0)]
)
def test_others_share(monkeypatch: pytest.MonkeyPatch, busy: float, stolen: float, share: float) -> None:
    """Of two processors in two seconds, of which it had half a second."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    after = Seen({1: Thread(0.5, 0.0)}, busy, stolen)
    assert processors.waited(Seen({}), after, 2.0).share == share


def test_as_the_kernel_tells_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "processes", lambda _: [7])
    files.write("/proc/stat", b"cpu  100 20 30 4000 50 6 7 80 9 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    files.write("/proc/7/task/7/schedstat", b"2500000000 500000000 12\n")
    files.write("/proc/7/task/9/schedstat", b"1000000000 0 3\n")
    hertz = os.sysconf("SC_CLK_TCK")
    found = processors.seen("chat-0")
    assert found.threads == {7: Thread(2.5, 0.5), 9: Thread(1.0, 0.0)}
    assert (found.busy, found.stolen) == pytest.approx((163 / hertz, 80 / hertz))


def test_where_nothing_is_told_nothing_was_lost(host: Host) -> None:
    assert processors.waited(processors.seen("x"), processors.seen("x"), 1.0) == Waited()


@pytest.mark.parametrize(
    ("waited", "said"),
    [
        (Waited(0.0, 0.7, 0.4), "which says nothing: others had 40% of the processors meanwhile"),
        (Waited(0.7, 0.7, 0.4), ""),
        (Waited(0.5, 0.5, 0.4), "which says nothing: others had 40%"),
        (Waited(0.0, 0.0, 1.0), "80% of the former"),
    ],
)
def test_a_replica_that_waited_for_processors_is_not_blamed(
    host: Host, monkeypatch: pytest.MonkeyPatch, waited: Waited, said: str
) -> None:
    """`waited` of each second, where it was half as fast."""

    def lost(_: Seen, __: Seen, seconds: float) -> Waited:
        name = next(iter(host.docker.engines.values())).behaviour
        share = 1.0 if name == "half" else 0.0
        return Waited(waited.least * seconds * share, waited.most * seconds * share, waited.share * share)

    monkeypatch.setattr(processors, "waited", lost)
    if said.startswith("80%"):
        restored(host, "steady", "half", said)
        return
    done = change(host, "steady", "half")
    assert done["outcome"] == "exchanged"
    assert said in done["why"]
    assert ("others had" in done["why"]) is bool(said)
