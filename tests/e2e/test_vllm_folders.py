"""A folder of safetensors in the real vLLM: carried from the operator's machine, then one that lies on the hosts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from e2e.desk import LAB_STACK, Desk
from lab.hosts import Host
from lab.hubdata import DENSE
from lab.repositories import entries

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.usefixtures("vllm")]
MODEL = """
  dense:
    source: {source}
    context: 2k
    slots: 4
    smoke: {{prompt: What is the capital of France? Answer in one short sentence., expect: Paris}}
"""


def put(folder: Path) -> None:
    """The repository's files, as a download of it has them."""
    folder.mkdir(parents=True)
    for name, entry in (entries(DENSE, 0) or {}).items():
        if "/" not in name and isinstance(entry.content, Path):
            shutil.copy(entry.content, folder / name)


def write(desk: Desk, source: str) -> None:
    desk.write(LAB_STACK.replace("\nmirror:", f"{MODEL.format(source=source)}\nmirror:"))


def test_a_folder_here_and_one_on_the_hosts(desk: Desk, hosts: dict[str, Host]) -> None:
    put(desk.operator.home / "llama")
    write(desk, "./llama/")
    done = desk.up()
    assert "dense answered" in done.err
    assert "model.safetensors" in done.err
    assert desk.up("--json").json["changes"] == []

    for host in hosts.values():
        put(host.root / "srv/llama")
    write(desk, "/srv/llama/")
    shutil.move(hosts["gpu-2"].root / "srv/llama", hosts["gpu-2"].root / "srv/other")
    refused = desk("plan", code=3)
    assert "the same files in /srv/llama on each host of the model's pools, as on gpu-1" in refused.err
    assert "gpu-2 has no such folder" in refused.err
    shutil.move(hosts["gpu-2"].root / "srv/other", hosts["gpu-2"].root / "srv/llama")
    assert "dense answered" in desk.up("--allow-downtime").err
    assert desk.up("--json").json["changes"] == []
