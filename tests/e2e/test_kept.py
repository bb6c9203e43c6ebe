"""What three releases need stays on a host, what none needs goes, and what was there before us stays whatever comes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.desk import Desk
from lab.hosts import Host
from lab.hubdata import COMMITS, REPO
from lab.lab import Lab
from lab.machine import trouble
from lab.spec import HostSpec

pytestmark = [pytest.mark.lab, pytest.mark.soak]

ENGINE = "ghcr.io/hostler-lab/stub-engine"
STACK = f"""
stack: kept
pools: {{{{rack: [gpu-1]}}}}
models:
  chat:
    source: "hf:{REPO}:Q4_1@{{revision}}"
    image: {ENGINE}:{{image}}
    cards: 0
    context: {{context}}
"""


@pytest.fixture(scope="module")
def desk(wheel: Path, pulumi: Path) -> Iterator[Desk]:
    if why := trouble():
        pytest.fail(f"this machine cannot host a lab: {why}")
    with Lab.start(f"kept-{os.getpid()}") as lab:
        lab.hosts(HostSpec("gpu-1", suite="bookworm"))
        yield Desk(lab, lab.operator("kim"), wheel, pulumi)


def write(desk: Desk, version: int, context: str) -> None:
    """`version`: of the image, and of the weights."""
    desk.write(STACK.format(image=version, context=context, revision=COMMITS[REPO][version - 1]))


def images(host: Host) -> set[str]:
    """All by their digest: name@sha256:..."""
    form = "{{.Repository}}@{{.Digest}}"
    return set(host.run(["docker", "images", "--digests", "--format", form]).stdout.split())


def weights(host: Host) -> set[str]:
    return set(host.run(["sh", "-c", "ls -d /var/lib/hostler/models/*/*.gguf"]).stdout.split())


def test_three_changes_and_what_is_left_of_each(desk: Desk) -> None:
    (host,) = desk.lab.hosts()
    host.run(["sh", "-ec", "apt-get -qq update && apt-get -qqy install docker.io"], timeout=300)
    host.run(["docker", "pull", "-q", f"{ENGINE}:2"], timeout=120)
    theirs = images(host)

    write(desk, 1, "1k")
    desk.up()
    first, of_first = images(host), weights(host)
    (engine,) = (image for image in first - theirs if image.startswith(ENGINE))

    write(desk, 2, "1k")
    assert [change for change in desk.plan() if change["action"] == "remove"] == []
    desk.up()
    both = weights(host)
    assert images(host) == first, "the second image was there, and the first one stays"
    assert of_first < both

    write(desk, 2, "2k")
    assert [change for change in desk.plan() if change["action"] == "remove"] == []
    desk.up()
    assert (images(host), weights(host)) == (first, both)

    write(desk, 2, "3k")
    gone = {change["item"]: change["why"] for change in desk.plan() if change["action"] == "remove"}
    assert set(gone) == {f"image:{engine}", *(f"model:{path}" for path in of_first)}
    assert set(gone.values()) == {"of release 1; kept for a rollback: 4, 3, 2"}
    desk.up()
    assert (images(host), weights(host)) == (first - {engine}, both - of_first)

    again = desk.up("--json")
    assert again.json["changes"] == []
    assert "changed " not in again.err

    write(desk, 2, "1k")  # as the second release was: nothing has to come
    assert {c["item"] for c in desk.plan() if c["item"].startswith(("image:", "model:"))} == set()

    desk("down", "--yes")
    assert images(host) == theirs
