"""Ansible through ansible-runner, in a process of its own that dies with us and leaves nothing on disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hostler
from hostler import resources
from hostler.configure import failures, ordering, render, variables
from hostler.configure.connections import Connections
from hostler.configure.entries import Template
from hostler.configure.events import Event, event_of
from hostler.configure.private import private_folder
from hostler.configure.types import Change
from hostler.hosts.types import Host
from hostler.manifest.items import Manifest

STOP_S = 20.0  # how long an interrupted run may take to end
LOOK_S = 0.5  # how often it is looked whether the lock is still ours
KEPT = (
    "HOME",
    "USER",
    "LOGNAME",
    "SSH_AUTH_SOCK",
    "HOSTLER_SSH_CONFIG",
    "TERM",
)  # of our environment, and no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a run makes true. `secrets` maps names to values; they are on a private temporary directory only."""

    manifests: Mapping[str, Manifest]
    hosts: Sequence[Host]
    changes: Sequence[Change] | None
    run: str
    cut: bool = False
    order: Sequence[str] = ()  # replicas that are exchanged, the first one first
    beside: Collection[str] = ()  # of them those that must not be exchanged in place
    bake_s: int = 0  # how long the first replica of each model is watched at least
    secrets: Mapping[str, str] | None = None
    claimed: bool = False  # the hosts know already that they are this stack's
    playbook: str = "site.yml"
    check: bool = False
    lost: threading.Event | None = None  # set when the stack's lock is not ours any more


def run_playbooks(
    *,
    manifests: Mapping[str, Manifest],
    hosts: Sequence[Host],
    changes: Sequence[Change] | None,
    run: str,
    on_event: Callable[[Event], None],
    cut: bool = False,
    bake_s: int = 0,
    order: Sequence[str] = (),
    beside: Collection[str] = (),
    secrets: Mapping[str, str] | None = None,
    claimed: bool = True,
    lost: threading.Event | None = None,
) -> None:
    """Makes `changes` true, on their hosts and parts only. Raises ConfigureError, RolledBackError or RefusedError
    with the hosts' own words; KeyboardInterrupt after Ansible has ended. `claimed`: the hosts were claimed before;
    `lost`: Ansible is ended when this is set."""
    job = Job(
        manifests=manifests,
        hosts=hosts,
        changes=changes,
        run=run,
        cut=cut,
        bake_s=bake_s,
        order=order,
        beside=beside,
        secrets=secrets,
        claimed=claimed,
        lost=lost,
    )
    play(job, on_event)


def play(job: Job, on_event: Callable[[Event], None]) -> tuple[Event, ...]:
    """Runs a job's playbook; what changed and what failed, in order."""
    told: list[Event] = []
    with private_folder() as folder:
        prepare(folder, job)
        with started(folder, job) as child, ended_when(job.lost, child):
            for line in _lines(child):
                if (event := event_of(line)) is not None:
                    told.append(event)
                    on_event(event)
        rest = (folder / "stderr").read_text(errors="replace") if (folder / "stderr").exists() else ""
    failures.refuse(told, child.returncode, rest)
    return tuple(event for event in told if event.status == "changed")


def prepare(folder: Path, job: Job) -> None:
    """Inventory, variables, secrets: all that the child reads."""
    names = variables.secrets_named(job.manifests)
    where = {
        name: Template(
            f"{{{{ lookup('ansible.builtin.file', {str(folder / 'secrets' / name)!r}, rstrip=False) }}}}"
        )
        for name in names
    }
    every = {**render.common(job.run, where), "engine_cut": job.cut, "base_claimed": job.claimed}
    every["engine_beside"] = sorted(job.beside)
    gone = render.variables_of_removed(job.changes)
    made = render.inventory(
        ordering.hosts(job.hosts, job.manifests, job.order),
        job.manifests,
        job.changes,
        every,
        Connections(folder=str(folder)),
        gone,
        job.bake_s,
        job.order,
    )
    (folder / "secrets").mkdir(mode=0o700)
    for name in names:
        secret = folder / "secrets" / name
        secret.touch(mode=0o600)
        secret.write_text((job.secrets or {}).get(name, ""))
    render.write_inventory(folder, made, job.hosts)
    (folder / "ansible.cfg").write_text(render.MARK + render.configuration(len(job.hosts)))


def environment(folder: Path) -> dict[str, str]:
    """What Ansible may know of our environment: no cloud keys, no tokens."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    binaries = str(Path(sys.executable).parent)
    return {
        **kept,
        "PATH": os.pathsep.join((binaries, os.environ.get("PATH", os.defpath))),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(Path(hostler.__file__).parent.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(folder),
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOST_KEY_CHECKING": "True",  # where nobody says so, ansible-runner says False, whatever ansible.cfg has
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
        "ANSIBLE_ROLES_PATH": str(resources.playbooks() / "roles"),
        "ANSIBLE_LIBRARY": str(resources.playbooks() / "library"),
    }


@contextmanager
def started(folder: Path, job: Job) -> Generator[subprocess.Popen[bytes]]:
    """The child; ended when the body is left early (Ctrl-C)."""
    words = [str(folder), str(resources.playbooks() / job.playbook), "check" if job.check else "apply"]
    with (folder / "stderr").open("wb") as stderr:
        child = subprocess.Popen(
            [sys.executable, "-m", "hostler.configure.child", *words],
            env=environment(folder),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        yield child
        child.wait()
    finally:
        _end(child)


@contextmanager
def ended_when(lost: threading.Event | None, child: subprocess.Popen[bytes]) -> Generator[None]:
    """Whoever has lost the lock changes nothing more: somebody else may hold it by now."""
    over = threading.Event()

    def watch(lost: threading.Event) -> None:
        while not over.wait(LOOK_S):
            if lost.is_set():
                child.send_signal(signal.SIGTERM)
                return

    if lost is not None:
        threading.Thread(target=watch, args=(lost,), daemon=True, name="lost-lock").start()
    try:
        yield
    finally:
        over.set()


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child.stdout:
        child.stdout.close()


def _lines(child: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    for line in child.stdout or ():
        yield json.loads(line)
