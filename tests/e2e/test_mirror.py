"""A stack that reaches nothing but an office's own mirrors: to an answer, twice; and what is said when one fails."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.desk import Desk, Done
from lab.hosts import Host
from lab.hubdata import COMMITS, REPO, hub_files
from lab.lab import Lab
from lab.machine import trouble
from lab.pki import NAMES

pytestmark = pytest.mark.lab

MIRRORS = {
    "images": "images: 'https://registry.office.example/{registry}'",
    "hub": "hub: https://hub.office.example",
    "apt": "apt: https://apt.office.example",
}
LIMIT = 20_000_000
STACK = """
stack: office
pools: {{rack: [inside]}}
models:
  chat:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
    {image}
    context: 2k
    args: ["--threads", "1"]
    smoke: {{prompt: "What is the capital of France? Answer in one short sentence.", expect: Paris}}
mirror:
  toolkit_key: ~/.config/hostler/toolkit.asc
{mirrors}
downloads: {limit}
"""
OUTSIDE = tuple(name for name in NAMES if name != "models.example.com")


@dataclass(frozen=True)
class Office:
    desk: Desk
    host: Host
    began: float
    first: Done

    @property
    def lab(self) -> Lab:
        return self.desk.lab

    def write(self, *mirrors: str, image: str = "replicas: 1", limit: str = "20 MB/s") -> Desk:
        rows = "\n".join(f"  {MIRRORS[name]}" for name in mirrors)
        self.desk.write(STACK.format(mirrors=rows, image=image, limit=limit))
        return self.desk


@pytest.fixture(scope="module")
def office(wheel: Path, pulumi: Path) -> Iterator[Office]:
    """From a bare host; the internet's own names answer nobody."""
    if why := trouble():
        pytest.fail(f"this machine cannot host a lab: {why}")
    with Lab.start(f"mirror-{os.getpid()}") as lab:
        host = lab.host("inside", gpus=("RTX 3090",))
        desk = Desk(lab, lab.operator("dora"), wheel, pulumi)
        offline(lab)
        began = lab.now()
        unready = Office(desk, host, began, Done((), 0, "", ""))
        first = unready.write(*MIRRORS).up()
        yield Office(desk, host, began, first)


@pytest.fixture(autouse=True)
def _again(office: Office) -> Iterator[None]:
    yield
    office.lab.clear_faults()
    offline(office.lab)
    office.write(*MIRRORS)


def offline(lab: Lab) -> None:
    for name in OUTSIDE:
        lab.fault(name, status=503)


def test_a_bare_host_becomes_a_chat_from_the_mirrors_alone(office: Office) -> None:
    """Nobody has even asked the internet's own names."""
    assert "answered" in office.first.err
    every = office.lab.requests(since=office.began)
    assert {"registry.office.example", "hub.office.example", "apt.office.example"} <= {
        r["host"] for r in every
    }
    assert [request for request in every if request["host"] in OUTSIDE] == []
    assert "from registry.office.example" in office.first.out
    assert "from hub.office.example, at most 20 MB/s" in office.first.out


def test_the_second_up_changes_nothing(office: Office) -> None:
    done = office.write(*MIRRORS).up("--json")
    assert done.json["changes"] == []
    assert "nothing to do" in done.err


def test_without_mirrors_or_with_another_limit_it_stays(office: Office) -> None:
    """What runs has the internet's own names, and its weights their place."""
    office.write("apt", limit="1 GB/s")
    assert office.desk.plan() == []
    config = json.loads(office.host.run(["cat", "/etc/hostler/wanted/chat-0.json"]).stdout)
    assert config["image"]["name"] == "ghcr.io/ggml-org/llama.cpp"
    known = office.host.run(["sh", "-c", "cat /var/lib/hostler/models/*/*.hostler"]).stdout
    assert (hub_files() / "hashes.json").read_text().count(json.loads(known)["sha256"]) == 1


def test_weights_came_no_faster_than_the_limit(office: Office) -> None:
    every = office.lab.requests("hub.office.example", office.began)
    mine = [request for request in every if request["client"] == office.host.address]
    asked = next(request["time"] for request in mine if "/resolve/" in request["path"])
    came = max(request["time"] for request in mine if request["path"].startswith("/lfs/"))
    size = (hub_files() / "1.gguf").stat().st_size
    assert came - asked > 0.7 * size / LIMIT  # the end of it lies in buffers


def test_a_moved_tag_is_put_back_on_a_mirrors_image(office: Office) -> None:
    tag = "ghcr.io/ggml-org/llama.cpp:server-cuda"
    other = office.host.run(["docker", "images", "-q", "--filter", "reference=*/*/*/haproxy"]).stdout.split()[
        0
    ]
    office.host.run(["docker", "tag", other, tag])
    assert [change["item"] for change in office.desk.plan()] == [f"tag:{tag}"]
    office.desk.up()
    assert office.desk.plan() == []
    office.host.run(["docker", "rmi", tag])


@pytest.mark.parametrize(
    ("site", "status", "code", "words"),
    [
        (
            "registry.office.example",
            503,
            5,
            "the mirror, for registry.office.example/ghcr.io/ggml-org/llama.cpp",
        ),
        (
            "registry.office.example",
            404,
            3,
            "skopeo copy --all docker://ghcr.io/ggml-org/llama.cpp:server-b2",
        ),
    ],
)
def test_a_registry_that_is_down_or_lacks_an_image(
    site: str, status: int, code: int, words: str, office: Office
) -> None:
    office.lab.fault(site, "/manifests/", status=status)
    done = office.write(*MIRRORS, image="image: ghcr.io/ggml-org/llama.cpp:server-b2")("plan", code=code)
    assert words in done.err
    assert "take `images` out of `mirror`" in done.err


@pytest.mark.parametrize(
    ("path", "how"),
    [("/manifests/sha256", {"status": 404}), ("/blobs/", {"wrong": True})],
    ids=["none", "wrong"],
)
def test_a_host_that_does_not_get_an_image(path: str, how: dict[str, Any], office: Office) -> None:
    """The digest is known, and the mirror does not give it, or gives other bytes: what runs goes on."""
    office.lab.fault("registry.office.example", path, client=office.host.address, **how)
    desk = office.write(*MIRRORS, image="image: ghcr.io/ggml-org/llama.cpp:server-b2")
    done = desk.up("--allow-downtime", code=6)
    assert re.search(r"inside.*registry\.office\.example/ghcr\.io/ggml-org/llama\.cpp@sha256", done.err)
    assert "look at registry.office.example" in done.err
    office.write(*MIRRORS)
    assert "Paris" in desk.ask()
    desk.up()
    assert desk.plan() == []


def folders(host: Host) -> list[str]:
    return host.run(["ls", "/var/lib/hostler/models"]).stdout.split()


@pytest.mark.soak
def test_old_weights_stay_until_the_new_release_answers(office: Office) -> None:
    """One that does not answer leaves them where they are, and the way back downloads nothing."""
    old, wish = folders(office.host), f"GGUF:Q4_1@{COMMITS[REPO][1]}"
    desk = office.write(*MIRRORS)
    desk.edit("GGUF:Q4_1", wish)
    desk.edit("expect: Paris", "expect: Atlantis")
    desk.up("--allow-downtime", code=(6, 7))
    assert set(old) < set(folders(office.host))
    since = office.lab.now()
    office.write(*MIRRORS).up("--allow-downtime")
    asked = office.lab.requests("hub.office.example", since)
    assert [request for request in asked if request["path"].startswith("/lfs/")] == []
    assert folders(office.host) == old
    desk.edit("GGUF:Q4_1", wish)
    desk.up("--allow-downtime")
    assert desk.plan() == []
    assert set(old) < set(folders(office.host))  # for a rollback


@pytest.mark.soak
def test_a_mirror_with_an_authority_that_a_host_does_not_trust(office: Office) -> None:
    """The operator trusts it; Docker on the host says no, and it is said what to do there."""
    office.host.run(["cp", "/usr/local/share/ca-certificates/lab.crt", "/etc/lab-ca.crt"])
    office.host.run(
        ["sh", "-c", "rm /usr/local/share/ca-certificates/lab.crt; update-ca-certificates --fresh"]
    )
    office.host.run(["systemctl", "restart", "docker"])
    try:
        desk = office.write(*MIRRORS, image="image: ghcr.io/ggml-org/llama.cpp:server-b2")
        done = desk.up("--allow-downtime", code=6)
        assert "x509" in done.err
        assert "let this host's system trust the authority of registry.office.example" in done.err
    finally:
        office.host.run(["cp", "/etc/lab-ca.crt", "/usr/local/share/ca-certificates/lab.crt"])
        office.host.run(["sh", "-c", "update-ca-certificates --fresh; systemctl restart docker"])
    office.write(*MIRRORS).up("--allow-downtime")
    assert office.desk.plan() == []


@pytest.mark.parametrize(
    ("status", "code", "words"), [(503, 5, "503"), (404, 3, "at the mirror hub.office.example")]
)
def test_a_hub_that_is_down_or_lacks_a_model(status: int, code: int, words: str, office: Office) -> None:
    office.lab.fault("hub.office.example", "^/api/", status=status)
    desk = office.write(*MIRRORS)
    desk.edit("GGUF:Q4_1", "GGUF")
    done = desk("plan", code=code)
    assert "hub.office.example" in done.err
    assert words in done.err
    assert "next: " in done.err


def test_down_takes_the_mirrors_images_away(office: Office) -> None:
    """Last in this file: nothing is left here for the others."""
    office.desk("down", "--yes")
    left = office.host.run(["sh", "-c", "docker images -q 2>/dev/null || true"]).stdout
    assert left == ""
