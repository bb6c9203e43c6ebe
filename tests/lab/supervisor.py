"""PID 1 of a namespace of its own around one lab host: mounts its disk, runs nspawn, boots it again after a reboot.

Killing this process takes the host, its mounts and its loop device with it, at once, whatever state they are in.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from .cgroups import join, make_groups
from .prepare import prepare
from .shell import sh
from .spec import Placed

REBOOT = 133


def mount(directory: Path, host: Placed) -> None:
    """The host's own disk, and on it the writable layer over the shared root."""
    disk, root = directory / "disk", directory / "root"
    sh("mount", "-t", "proc", "proc", "/proc")
    sh(
        "mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"
    )  # nspawn wants its runtime folder on a tmpfs
    sh("mount", "-o", "loop,discard,noatime", directory / "disk.img", disk)
    for name in ("up", "work", "docker"):
        (disk / name).mkdir(exist_ok=True)
    layers = f"lowerdir={host.root},upperdir={disk / 'up'},workdir={disk / 'work'}"
    sh("mount", "-t", "overlay", "overlay", "-o", layers, root)
    if not (disk / "made").exists():
        prepare(root, host, directory / "ssh")
        (disk / "made").touch()


def nspawn(directory: Path, host: Placed, bridge: str) -> list[str]:
    """The command line. What each flag is for stands beside it."""
    return [
        *("systemd-nspawn", "-q", "-D", str(directory / "root"), f"--machine={host.machine}"),
        f"--hostname={host.spec.name}",
        # no machined, no systemd on the machine
        *("--register=no", "--keep-unit", f"--network-bridge={bridge}"),
        # dockerd and privileged containers; add_key and keyctl for runc's keyring; NOT what is the machine's own:
        # with all capabilities `date -s` in a host would set the machine's clock
        *("--capability=all", "--system-call-filter=add_key keyctl bpf"),
        "--system-call-filter=~@clock @module @raw-io @swap",
        # overlay2 does not nest on overlay
        f"--bind={directory / 'disk/docker'}:/var/lib/docker",
        f"--bind-ro={directory / 'share'}:/srv/lab",
        *("--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=read-only"),
        # what -b would have set; lab-init in its place makes the control groups writable first
        *("--kill-signal=SIGRTMIN+3", "/usr/local/sbin/lab-init"),
    ]


def run(command: list[str], groups: list[Path]) -> int:
    """One boot of the host, until it is off; also reaps what its end leaves behind."""

    def settle() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        join(groups)

    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=settle)
    while True:
        try:
            pid, status = os.wait()
        except InterruptedError:
            continue
        if pid == child.pid:
            return os.waitstatus_to_exitcode(status)


def main(directory: Path) -> None:
    host = Placed.load(directory / "host.json")
    bridge = json.loads((directory.parent.parent / "lab.json").read_text())["bridge"]
    mount(directory, host)
    groups = make_groups(host.group)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    off = directory / "off"
    while True:
        off.unlink(missing_ok=True)
        code = run(nspawn(directory, host, bridge), groups)
        print(f"lab: {host.spec.name} ended with {code}", flush=True)
        if code != REBOOT:
            off.touch()
            signal.sigwait({signal.SIGUSR1})  # power on


if __name__ == "__main__":
    main(Path(sys.argv[1]))
