"""10,000 requests and more over rollouts that follow one another: none lost, cut, answered with another's words, or
computed twice. HOSTLER_REQUESTS sets another number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle

import pytest

from e2e.desk import Desk, container
from e2e.load import Load
from e2e.running import Hosts
from e2e.soaking import LEAST, SMALL, STUB, Wish, busy, images, proven, tidy
from e2e.tally import Tally
from lab.hubdata import COMMITS, REPO
from lab.images import images as lab_images

pytestmark = [pytest.mark.lab, pytest.mark.soak]
IN_PLACE = "    exchange: in-place"


@dataclass(frozen=True)
class Scenario:
    """What the file says in turn."""

    name: str
    first: Wish
    second: Wish
    held: bool = False  # its requests wait meanwhile, and the plan says so

    def __str__(self) -> str:
        return self.name


def image_change(name: str, wish: Wish, held: bool = False) -> Scenario:
    return Scenario(name, wish, replace(wish, image=f"{STUB}:2"), held)


TWO = Wish()
OLD, NEW = (f"{SMALL}@{commit}" for commit in COMMITS[REPO])
SCENARIOS = (
    image_change("image, 2 replicas", TWO),
    image_change("image, 4 replicas", replace(TWO, replicas=4)),
    Scenario("model, 2 replicas", replace(TWO, source=OLD), replace(TWO, source=NEW)),
    Scenario(
        "arguments, 4 replicas", replace(TWO, replicas=4), replace(TWO, replicas=4, args=("--threads", "2"))
    ),
    image_change("image, one replica with holding", replace(TWO, replicas=1, more=IN_PLACE), held=True),
    image_change("image, one replica beside the old one", replace(TWO, replicas=1)),
    image_change("image, 2 replicas, in place", replace(TWO, more=IN_PLACE)),
)


@pytest.fixture
def tally(desk: Desk) -> Iterator[Tally]:
    with Tally(desk.lab) as running:
        yield running


def ready(desk: Desk, wish: Wish, tally: Tally) -> None:
    """The stack of a scenario, from the lab's own."""
    desk.write(wish.text(tally))
    desk.up("--allow-downtime")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_rollouts_under_load(scenario: Scenario, desk: Desk, hosts: Hosts, tally: Tally) -> None:
    ready(desk, scenario.first, tally)
    before = images(desk, hosts)
    rolls, wish = 0, scenario.first
    with busy(desk) as load:
        for wish in cycle((scenario.second, scenario.first)):
            desk.write(wish.text(tally))
            done = desk.up()
            rolls += 1
            assert ("held: chat waits" in done.err) == scenario.held
            if load.answered() >= LEAST and rolls > 1:
                break
        requests = proven(load, tally)
    print(f"{scenario}: {requests} requests over {rolls} rollouts")
    tidy(desk, hosts, wish.replicas)
    now = images(desk, hosts)
    assert len(set(now.values())) == 1
    assert (now == before) == (wish.image == scenario.first.image)


# -- the doors

HAPROXY = "registry-1.docker.io/library/haproxy"
RECORDS = "find /var/lib/hostler -maxdepth 2 -name '*.json' -exec grep -l {old} {{}} + | xargs -r sed -i s/{old}/{new}/g"


def haproxies() -> tuple[str, str]:
    """The digests of two images of HAProxy."""
    found = (json.loads((folder / "tags.json").read_text()) for folder in lab_images())
    tags: dict[str, str] = next(one[HAPROXY] for one in found if HAPROXY in one)
    return tags["3.4"], tags["3.4.9"]


def test_doors_are_exchanged_under_load(desk: Desk, hosts: Hosts, tally: Tally) -> None:
    """The live release names another image for the gateway and the edge, as one that brings a newer HAProxy does: `up`
    exchanges both, over and over."""
    ready(desk, TWO, tally)
    doors = (("gpu-1", "gateway"), ("gpu-2", "edge"))
    rolls = 0
    with busy(desk) as load:
        for old, new in cycle((haproxies(), haproxies()[::-1])):
            before = [container(hosts[name], door) for name, door in doors]
            for host in hosts.values():
                host.run(["sh", "-c", RECORDS.format(old=old, new=new)])
            desk.up()
            now = [container(hosts[name], door) for name, door in doors]
            assert not {*now} & {*before, ""}
            rolls += 1
            if load.answered() >= LEAST and rolls > 1:
                break
        requests = proven(load, tally)
    print(f"doors: {requests} requests over {rolls} rollouts")
    tidy(desk, hosts, 2)


# -- engines that compute


@pytest.mark.parametrize("replicas", [2, 1])
def test_llama_server_under_load(replicas: int, desk: Desk, hosts: Hosts) -> None:
    """The real one, with answers that are short enough for so many on a processor. It does not repeat a question's
    number: proven is that each answer is whole and its own."""
    desk.edit("    replicas: 2 ", f"    replicas: {replicas} ")
    desk.edit('"--threads", "1"', '"--threads", "1", "--cache-reuse", "0"')
    desk.up("--allow-downtime")
    rolls = 0
    with Load(desk, clients=8, lengths=((1, 0), (2, 0), (1, 0), (3, 0), (1, 0), (24, 0))) as load:
        for old, new in cycle((("context: 2k ", "context: 3k "), ("context: 3k ", "context: 2k "))):
            desk.edit(old, new)
            desk.up()
            rolls += 1
            if load.answered() >= LEAST and rolls > 1:
                break
        whole, broken = load.end()
    assert broken == ""
    assert whole >= LEAST
    print(f"llama-server, {replicas} replicas: {whole} requests over {rolls} rollouts")
    tidy(desk, hosts, replicas)


# In place: the lab's cards have room for both beside each other, the memory behind them has not
DENSE = """\
stack: lab
pools: {rack: {hosts: [gpu-1, gpu-2]}}
models:
  dense:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct"
    context: 2k
    slots: 4
    replicas: 2
    exchange: in-place
    smoke: {prompt: What is the capital of France? Answer in one short sentence., expect: Paris}
mirror: {toolkit_key: ~/.config/hostler/toolkit.asc}
"""
DENSE_UP_S = 1800  # of two vLLMs that start one after the other, on processors that answer as well
AS_MANY = max(LEAST // 20, 20)  # of vLLM on a processor


def test_vllm_under_load(vllm: None, desk: Desk) -> None:
    """The real one, as many requests as its speed allows while its two replicas are exchanged once there and back."""
    desk.write(DENSE)
    desk.up("--allow-downtime")
    rolls = 0
    with Load(desk, model="dense", clients=4, lengths=((1, 0), (4, 0), (2, 0), (16, 0))) as load:
        for old, new in cycle((("slots: 4", "slots: 5"), ("slots: 5", "slots: 4"))):
            desk.edit(old, new)
            desk("up", "--yes", timeout=DENSE_UP_S)
            rolls += 1
            if load.answered() >= AS_MANY and rolls > 1:
                break
        whole, broken = load.end()
    assert broken == ""
    assert whole >= AS_MANY
    print(f"vLLM: {whole} requests over {rolls} rollouts")
    assert desk.plan() == []
