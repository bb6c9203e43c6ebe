"""Hosts are taken in the order of the exchanges, one at a time, and on a failure no other one is: seen by Ansible itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostler import resources
from hostler.configure import ordering, render
from hostler.configure.connections import Connections
from worlds import configure_world as world

ORDERS = [["chat-0", "chat-1"], ["chat-1", "chat-0"]]


def taken(folder: Path, order: list[str], bad: str = "") -> list[str]:
    """Hosts in the order in which the play that exchanges replicas, with our task in place of its own, came to them."""
    made = world.manifests()
    hosts = ordering.hosts(world.hosts(), made, order)
    found = render.inventory(hosts, made, None, {}, Connections(folder=str(folder)), {}, 0, order)
    render.write_inventory(folder, found, hosts)
    plays: list[dict[str, Any]] = yaml.safe_load((resources.playbooks() / "service.yml").read_text())
    play = next(play for play in plays if play["name"] == "Exchange running replicas")
    note = f"echo begin {{{{ inventory_hostname }}}} >> {folder}/taken; test {{{{ inventory_hostname }}}} != {bad or 'none'}"
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (folder / "play.yml").write_text(
        json.dumps([{**play, "environment": {}, "vars": local, "tasks": [{"ansible.builtin.shell": note}]}])
    )
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    done = subprocess.run(
        [program, "-i", str(folder / "inventory.yml"), str(folder / "play.yml")],
        env={**os.environ, "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"), "ANSIBLE_FORKS": "10"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "PLAY RECAP" in done.stdout, done.stdout + done.stderr
    return (folder / "taken").read_text().split()[1::2]


@pytest.mark.parametrize("order", ORDERS)
def test_in_the_order_of_the_plan(tmp_path: Path, order: list[str]) -> None:
    hosts = {"chat-0": "gpu-1", "chat-1": "gpu-2"}
    assert taken(tmp_path, order) == [hosts[name] for name in order]


def test_no_other_host_after_a_failure(tmp_path: Path) -> None:
    assert taken(tmp_path, ORDERS[1], bad="gpu-2") == ["gpu-2"]
