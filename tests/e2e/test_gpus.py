"""Cards and drivers that are not as they were: said, refused before anything changes, or placed around after a yes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from e2e.desk import Desk, container, replica_of
from lab.hosts import Host

pytestmark = pytest.mark.lab
CARDS = "/etc/lab-gpus"
BROKEN = "/etc/lab-gpu-broken"
APPS = "/etc/lab-gpu-apps"
LLAMA = "ghcr.io/ggml-org/llama.cpp"


@pytest.fixture
def first(desk: Desk, hosts: dict[str, Host]) -> Iterator[Host]:
    """The host with four cards; what its kernel shows of them is put back, too."""
    yield hosts["gpu-1"]
    hosts["gpu-1"].show_cards()


def row(desk: Desk, replica: str) -> Mapping[str, list[str]]:
    return next(row for row in desk("status", "--json").json["replicas"] if row["id"] == replica)


def uuids(host: Host) -> list[str]:
    return host.run(["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]).stdout.split()


def test_a_card_that_fell_out_is_shown_and_left_after_a_yes(desk: Desk, first: Host) -> None:
    """Its replica goes to another card of the host; the card that is gone is named by `status` and by the plan."""
    replica = replica_of(first)
    (lost,) = row(desk, replica)["cards"]
    first.remove_card(uuids(first).index(lost))
    assert lost in desk("status").out
    shown = desk("plan").out
    assert lost in shown
    assert replica in shown
    desk.up("--allow-downtime")
    (now,) = row(desk, replica)["cards"]
    assert now != lost
    assert now in uuids(first)
    assert "Paris" in desk.ask()
    assert desk.plan() == []


def test_a_driver_that_waits_for_its_reboot_is_named(desk: Desk, first: Host) -> None:
    """After an update below the running kernel nothing is changed there, and what serves goes on."""
    replica = replica_of(first)
    before = container(first, replica)
    said = "Failed to initialize NVML: Driver/library version mismatch"
    first.run(["bash", "-c", f"echo '{said}' > {BROKEN}"])
    desk.edit("context: 2k ", "context: 3k ")
    refused = desk.up(code=9)
    assert "a driver whose kernel and user parts differ: a reboot is due" in refused.err
    assert "sudo reboot" in refused.err
    assert container(first, replica) == before


def test_a_driver_that_is_too_old_is_refused_before_the_image_is_pulled(desk: Desk, first: Host) -> None:
    desk.lab.move_tag(f"{LLAMA}:server-cuda13", "server-b2")
    first.run(["sed", "-i", "s/$/\\tdriver=535.183.01/", CARDS])
    images = set(first.run(["docker", "images", "-q"]).stdout.split())
    desk.edit("    context: 2k ", f"    image: {LLAMA}:server-cuda13\n    context: 2k ")
    refused = desk.up(code=9)
    assert "NVIDIA's driver here is 535.183.01" in refused.err
    assert "(CUDA 13) needs 580.65 or newer" in refused.err
    assert set(first.run(["docker", "images", "-q"]).stdout.split()) == images


def test_what_others_hold_of_a_card_is_not_planned_with(desk: Desk, first: Host) -> None:
    """A model that came later goes where no stranger's process has the memory, and `fit` says who has it."""
    taken = uuids(first)
    lines = "\n".join(f"1, {uuid}, 24000, /usr/bin/blender" for uuid in taken)
    first.run(["bash", "-c", f"printf '{lines}\n' > {APPS}"])
    assert "taken by /usr/bin/blender" in desk("fit", "chat").out
    source = "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
    desk.edit("models:\n", f"models:\n  other: {{source: {source!r}, context: 2k}}\n")
    placed = next(
        row for row in desk("plan", "--json").json["placement"]["replicas"] if row["model"] == "other"
    )
    assert placed["members"][0]["host"] == "gpu-2"
