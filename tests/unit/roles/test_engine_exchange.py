"""The engine role's exchange, run by Ansible on this machine with an agent that only notes what it is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hostler import resources

AGENT = """#!/bin/sh
cat > /dev/null
echo "$2" >> "$0.asked"
[ "$2" != bad-0 ] || { echo '{"changed": false, "outcome": "restored"}'; exit 4; }
echo '{"changed": true, "outcome": "exchanged"}'
"""


def exchanged(folder: Path, *names: str) -> tuple[int, list[str]]:
    """The exit status, and which replicas the agent was asked to exchange."""
    agent = folder / "agent"
    agent.write_text(AGENT)
    agent.chmod(0o755)
    values: dict[str, Any] = {
        "engine_node": str(agent),
        "engine_containers": names,
        "engine_cut": False,
        "engine_beside": [],
        "engine_bakes": {},
        "ansible_python_interpreter": sys.executable,
    }
    tasks = str(resources.playbooks() / "roles" / "engine" / "tasks" / "exchange.yml")
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": values}
    (folder / "play.yml").write_text(
        json.dumps([{**play, "tasks": [{"ansible.builtin.import_tasks": tasks}]}])
    )
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            "localhost,",
            str(folder / "play.yml"),
        ],
        env={**os.environ, "ANSIBLE_LOCAL_TEMP": str(folder / "tmp")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "PLAY RECAP" in done.stdout, done.stdout + done.stderr
    return done.returncode, Path(f"{agent}.asked").read_text().split()


def test_the_first_that_fails_is_the_last_that_is_tried(tmp_path: Path) -> None:
    assert exchanged(tmp_path, "chat-0", "bad-0", "chat-1") == (2, ["chat-0", "bad-0"])
