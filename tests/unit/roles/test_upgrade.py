"""The upgrade role, run by Ansible on this machine with an agent that only notes what it is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hostler import resources

AGENT = """#!/bin/sh
said=$(cat)
echo "$1 $said" >> "$0.asked"
case $1 in
upgrade-look) cat "$0.look" ;;
host-away) [ ! -e "$0.busy" ] || { echo '{"error": "in-flight", "message": "2 requests"}'; exit 3; } ; echo '{}' ;;
*) echo '{"changed": true}' ;;
esac
"""
STEP = {"name": "docker.io", "now": "1", "then": "2", "kind": "docker"}
NEW = {"name": "libnew", "now": "", "then": "2", "kind": "docker"}


def upgraded(
    folder: Path, look: dict[str, Any], *words: str, busy: bool = False
) -> tuple[int, list[str], str]:
    """The exit status, what the agent was asked, and Ansible's recap."""
    agent = folder / "agent"
    agent.write_text(AGENT)
    agent.chmod(0o755)
    Path(f"{agent}.look").write_text(json.dumps({"reboot": [], **look}))
    if busy:
        Path(f"{agent}.busy").touch()
    values = {"upgrade_node": str(agent), "hostler_run": "r1", "ansible_python_interpreter": sys.executable}
    (folder / "inventory.yml").write_text(
        json.dumps({"hostler": {"hosts": {"localhost": {"ansible_connection": "local"}}, "vars": values}})
    )
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(folder / "inventory.yml"), *words, str(resources.playbooks() / "upgrade.yml")],
        env={**os.environ, "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"), "ANSIBLE_ROLES_PATH": str(resources.playbooks() / "roles")},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert "PLAY RECAP" in done.stdout, done.stdout + done.stderr
    return done.returncode, Path(f"{agent}.asked").read_text().splitlines(), done.stdout


def ops(asked: list[str]) -> list[str]:
    return [line.split()[0] for line in asked]


@pytest.mark.parametrize(
    ("effect", "done"),
    [
        ("none", ["upgrade-look", "upgrade-fetch", "upgrade-install"]),
        ("drain", ["upgrade-look", "upgrade-fetch", "host-away", "upgrade-install", "host-back"]),
    ],
)
def test_what_is_newer_is_installed(tmp_path: Path, effect: str, done: list[str]) -> None:
    rc, asked, _ = upgraded(tmp_path, {"steps": [STEP, NEW], "effect": effect})
    assert (rc, ops(asked)) == (0, done)
    installed = json.loads(asked[ops(asked).index("upgrade-install")].partition(" ")[2])
    assert installed == {"names": ["docker.io"], "effect": effect, "repair": effect == "none"}


def test_nothing_newer_is_nothing_changed(tmp_path: Path) -> None:
    rc, asked, said = upgraded(tmp_path, {"steps": [], "effect": "none"})
    assert (rc, ops(asked)) == (0, ["upgrade-look"])
    assert "changed=0" in said


def test_check_mode_looks_only(tmp_path: Path) -> None:
    kinds = json.dumps({"upgrade_kinds": ["docker"]})
    rc, asked, said = upgraded(tmp_path, {"steps": [STEP], "effect": "drain"}, "--check", "-e", kinds)
    assert (rc, asked) == (0, ['upgrade-look {"kinds": ["docker"]}'])
    assert "drain: docker.io" in said
    assert "changed=1" in said


def test_what_cannot_be_drained_is_left_as_it_is(tmp_path: Path) -> None:
    rc, asked, said = upgraded(tmp_path, {"steps": [STEP], "effect": "drain"}, busy=True)
    assert (rc != 0, ops(asked)[-1]) == (True, "host-away")
    assert "2 requests" in said
