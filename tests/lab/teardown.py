"""Ending a lab, whole or half: only its own processes, by pid and start time."""

import json
import shutil
from contextlib import suppress
from pathlib import Path

from .cache import labs, locked
from .cgroups import remove_groups
from .network import remove_network
from .shell import LabError, Process, sh, wait_for
from .spec import Placed


def end_host(directory: Path) -> None:
    """Kills a host's supervisor, and with it all of the host; removes its control groups."""
    supervisor = Process.load(directory / "supervisor.json")
    if supervisor:
        supervisor.kill()
    placed = Placed.load(directory / "host.json")
    # it goes with its namespace, but some time later, and the next boot needs the name
    sh("ip", "link", "delete", f"vb-{placed.machine}", check=False)
    wait_for(f"the end of {placed.spec.name}", lambda: not _mounted(directory), 20)
    remove_groups(placed.group)


def _mounted(directory: Path) -> bool:
    """Whether a loop device still holds the host's disk."""
    image = str(directory / "disk.img")
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):
            if backing.read_text().strip().removesuffix(" (deleted)") == image:
                return True
    return False


def remove_lab(name: str, keep: int = 0) -> None:
    """Ends everything of this lab and removes its files; `keep` is a process that is not to be killed."""
    directory = labs() / name
    with locked(f"remove-{name}"):
        if not directory.exists():
            return
        own = (directory / "services.json", directory / "cloud/process.json")
        for record in (*own, *directory.glob("operators/*/holder.json")):
            process = Process.load(record)
            if process and process.pid != keep:
                process.kill()
        for host in (*directory.glob("hosts/*/host.json"), *directory.glob("instances/*/host.json")):
            with suppress(LabError):
                end_host(host.parent)
        with suppress(OSError, ValueError, KeyError):
            remove_network(int(json.loads((directory / "lab.json").read_text())["number"]))
        shutil.rmtree(directory, ignore_errors=True)


def alive(directory: Path) -> bool:
    """Whether a lab's services run and its owner, if it has one, is there."""
    services = Process.load(directory / "services.json")
    owner = Process.load(directory / "owner.json")
    return bool(services and services.alive and (owner is None or owner.alive))


def sweep() -> list[str]:
    """Ends what crashed labs have left; returns their names."""
    dead = [d.name for d in labs().iterdir() if d.is_dir() and not alive(d)]
    for name in dead:
        remove_lab(name)
    return dead
