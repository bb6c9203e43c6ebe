"""The process that runs Ansible: `python -m hostler.configure.child FOLDER PLAYBOOK apply|check`.

One JSON line an event on stdout. It ends when its parent does, and takes the folder with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
TOLD = (
    "playbook_on_play_start",
    "runner_on_start",
    "runner_on_ok",
    "runner_on_failed",
    "runner_on_unreachable",
    "runner_on_skipped",
    "runner_item_on_ok",
    "runner_item_on_failed",
    "runner_retry",
    "error",
    "verbose",
)
FIELDS = ("host", "task", "role", "play", "res", "ignore_errors")
RESULT = (
    "msg",
    "rc",
    "stdout",
    "stderr",
    "module_stdout",
    "module_stderr",
    "changed",
    "attempts",
    "item",
    "paths",
    "censored",
    "reason",
)


class Stop:
    """Whether somebody wants the run to end."""

    wanted = False

    def want(self, number: int, frame: Any) -> None:  # noqa: ARG002 - a signal handler
        self.wanted = True


def main(folder: Path, playbook: str, mode: str) -> int:
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop.want)
    parent = os.getppid()
    die_with_parent()
    try:
        return run(folder, playbook, mode, lambda: stop.wanted or os.getppid() != parent)
    finally:
        close_connections(folder)
        if os.getppid() != parent:
            shutil.rmtree(folder, ignore_errors=True)


def die_with_parent() -> None:
    """Linux tells us when our parent has died; elsewhere the parent's id is looked at."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def run(folder: Path, playbook: str, mode: str, cancelled: Any) -> int:
    from importlib import import_module

    runner: Any = import_module("ansible_runner")  # it has no types
    result = runner.run(
        private_data_dir=str(folder),
        project_dir=str(folder),
        playbook=playbook,
        inventory=str(folder / "inventory.yml"),
        cmdline="--check --diff" if mode == "check" else None,
        event_handler=tell,
        cancel_callback=cancelled,
        quiet=True,
        suppress_env_files=True,
        settings={"suppress_ansible_output": True, "pexpect_timeout": 1},
    )
    if result.status == "canceled":
        return 130
    return int(result.rc) if result.rc is not None else int(result.status != "successful")


def tell(event: Mapping[str, Any]) -> bool:
    """One event, without what nobody reads; false: it need not be kept on disk."""
    if event.get("event") in TOLD:
        data: Mapping[str, Any] = event.get("event_data") or {}
        short: dict[str, Any] = {name: data[name] for name in FIELDS if name in data}
        if isinstance(short.get("res"), Mapping):
            short["res"] = {name: short["res"][name] for name in RESULT if name in short["res"]}
        line = {"event": event["event"], "stdout": event.get("stdout", ""), **short}
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
    return False


def close_connections(folder: Path) -> None:
    """Ends the shared SSH connections instead of leaving them to their own time limit."""
    for socket in (folder / "cp").glob("*"):
        subprocess.run(
            ["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "x"],
            capture_output=True,
            check=False,
            timeout=5,
        )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
