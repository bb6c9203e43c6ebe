"""Nothing to do on hosts that are as they should be: `hostler up` against ansible-playbook and pyinfra."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rendered import Rendered, image_of, read
from stand import TOP, Tools, clock, say, stack_file, stand

from e2e.desk import Desk

HOSTS = [f"node-{number + 1}" for number in range(8)]
ROUNDS = 3
LIMIT_S = 200.0


def measured(tools: Tools, work: Path) -> dict[str, float]:
    """Seconds of each way, medians; they take turns."""
    pyinfra = pyinfra_program()
    with stand(tools, HOSTS, stack_file(HOSTS)) as desk:
        say("noop: bringing 8 hosts up")
        desk.up()
        folder = work / "rendered"
        desk("render", str(folder))
        inventory = pyinfra_inventory(work, read(folder))
        ways: dict[str, Callable[[], None]] = {
            "hostler": lambda: hostler(desk),
            "ansible": lambda: ansible(desk, folder),
            "pyinfra": lambda: by_pyinfra(desk, pyinfra, inventory),
        }
        return take_turns(ways)


def take_turns(ways: dict[str, Callable[[], None]]) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS):
        for name, run in ways.items():
            with clock() as taken:
                run()
            found[name] += taken
            say(f"noop: {name} {taken[0]:.2f} s ({number + 1} of {ROUNDS})")
    return {name: statistics.median(taken) for name, taken in found.items()}


def hostler(desk: Desk) -> None:
    done = desk("up", "--yes", "--json")
    if done.json["changes"]:
        sys.exit(f"not a no-op: {done}")


def ansible(desk: Desk, folder: Path) -> None:
    """By hand, as the rendered folder's README line says."""
    words = ["ansible-playbook", "-i", "inventory.yml", "site.yml"]
    done = desk.operator.run(words, cwd=folder, timeout=LIMIT_S)
    changed = sum(map(int, re.findall(r"changed=(\d+)", done.stdout)))
    if done.returncode or changed:
        sys.exit(
            f"ansible-playbook: {done.returncode}, {changed} changes\n{done.stdout[-3000:]}{done.stderr[-2000:]}"
        )


def by_pyinfra(desk: Desk, program: Path, inventory: Path) -> None:
    words = [str(program), "-y", str(inventory), str(TOP / "bench" / "pyinfra_deploy.py")]
    done = desk.operator.run(words, cwd=inventory.parent, timeout=LIMIT_S)
    if done.returncode:
        sys.exit(f"pyinfra: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def pyinfra_program() -> Path:
    """pyinfra in an environment of its own, made once: its paramiko is older than ours."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hostler" / "bench-pyinfra"
    lock = TOP / "bench" / "requirements.lock"
    made = cache / "lock"
    if not made.exists() or made.read_text() != lock.read_text():
        say("setting up pyinfra")
        uv = str(Path(sys.executable).with_name("uv"))
        python = str(cache / "bin" / "python")
        subprocess.check_call([uv, "venv", "-q", "--clear", "-p", sys.executable, str(cache)])
        install = [uv, "pip", "install", "-q", "-p", python, "--compile-bytecode", "--require-hashes"]
        subprocess.check_call([*install, "-r", str(lock)], env={**os.environ, "UV_LINK_MODE": "copy"})
        made.write_text(lock.read_text())
    return cache / "bin" / "pyinfra"


def pyinfra_inventory(work: Path, hosts: list[Rendered]) -> Path:
    """Each host with what is wanted of it."""
    path = work / "inventory.py"
    path.write_text(f"hosts = {[(host.host, {'wanted': json.dumps(wanted(host))}) for host in hosts]!r}\n")
    return path


def wanted(host: Rendered) -> dict[str, Any]:
    containers = [{"id": one["id"], "image": image_of(one)} for one in host.containers]
    return {
        "packages": host.packages,
        "directories": host.directories,
        "files": host.files,
        "images": sorted({one["image"] for one in containers}),
        "containers": containers,
        "health": [f"http://127.0.0.1:{one['port']}/health" for one in host.engines],
    }
