"""One lab host: a real systemd and SSH on a disk of its own, with the faults that real hosts have."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .cache import HERE
from .faults import Faults
from .gpus import write_driver, write_pci
from .listing import Entry, listing
from .shell import LabError, Process, background, children, sh, wait_for
from .spec import HostSpec, Placed
from .teardown import end_host

CLEAN = (
    "env",
    "-i",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LANG=C.UTF-8",
)
BOOT_LIMIT = 60.0


class Host(Faults):
    """Made by Lab.host; `root` is its file system as this machine sees it, also while it is off."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.placed = Placed.load(directory / "host.json")
        self.spec: HostSpec = self.placed.spec
        self.name = self.spec.name
        self.address = self.placed.address
        self.number = self.placed.number
        self.user = self.spec.user

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.address} {self.spec.suite}>"

    # -- life

    def create(self) -> None:
        """Makes its files and starts it; does not wait."""
        for name in ("disk", "root", "share", "ssh"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        self.blank()
        self.start()

    def make_key(self) -> None:
        """Its SSH host key, known before its first boot."""
        (self.directory / "ssh").mkdir()
        self.new_host_key()

    def blank(self) -> None:
        """An empty disk, and all its cards back."""
        image = self.directory / "disk.img"
        image.unlink(missing_ok=True)
        with image.open("wb") as out:
            out.truncate(self.spec.disk << 30)
        sh("mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=1", image)
        self.show_cards()

    def show_cards(self) -> None:
        """What sysfs and procfs are to show of the cards."""
        share, gpus = self.directory / "share", list(self.spec.gpus)
        for old in (share / "pci", share / "driver"):
            sh("rm", "-rf", old)
        write_pci(share / "pci", gpus)
        if gpus:
            write_driver(share / "driver", self.name, gpus)

    def start(self) -> None:
        """Starts its supervisor, which mounts and boots it; does not wait."""
        own = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")
        env = os.environ | {"PYTHONPATH": str(HERE.parent)}
        command = [*own, sys.executable, "-m", f"{__package__}.supervisor", self.directory]
        started = background(command, self.directory / "console.log", env)
        started.save(self.directory / "supervisor.json")

    def stop(self) -> None:
        """Ends it at once, mounts included; its disk stays."""
        end_host(self.directory)

    def wait(self, limit: float = BOOT_LIMIT) -> "Host":
        """Until SSH answers and the boot has finished."""
        try:
            wait_for(f"{self.name} to boot", self._booted, limit)
        except LabError as error:
            raise LabError(f"{error}; {self._state()}") from error
        return self

    def _state(self) -> str:
        """What a person needs to know of a host that does not come up."""
        console = (self.directory / "console.log").read_text(errors="replace").strip()[-500:]
        if not self.running:
            return f"it is off; its console: {console}"
        ask = "systemctl is-system-running; systemctl list-jobs --no-pager; systemctl --failed --no-pager; ip -br address"
        seen = self.run(["sh", "-c", ask], check=False, timeout=20).stdout
        return f"SSH {'answers' if self.ssh_answers() else 'is silent'}; {seen}; its console: {console}"

    def _booted(self) -> bool:
        if not self.supervisor.alive:
            log = (self.directory / "console.log").read_text(errors="replace").strip()
            raise LabError(f"{self.name} does not start: {log[-1500:]}")
        if not self.running:
            return False
        cut = (self.directory / "cut").exists()
        return (cut or self.ssh_answers()) and self._settled()

    def _settled(self) -> bool:
        with suppress(LabError):
            done = self.run(["systemctl", "is-system-running", "--wait"], check=False, timeout=BOOT_LIMIT)
            return done.stdout.strip() in ("running", "degraded")
        return False

    def ssh_answers(self) -> bool:
        """Whether something speaks SSH at its address."""
        with suppress(OSError), socket.create_connection((self.address, 22), timeout=1) as link:
            return link.recv(4) == b"SSH-"
        return False

    @property
    def supervisor(self) -> Process:
        found = Process.load(self.directory / "supervisor.json")
        if not found:
            raise LabError(f"{self.name} was not started")
        return found

    @property
    def leader(self) -> int:
        """The host's PID 1 as this machine sees it, or 0 while it is off."""
        for python in children(self.supervisor.pid):
            for nspawn in children(python):
                for candidate in children(nspawn):
                    with suppress(OSError):
                        status = Path(f"/proc/{candidate}/status").read_text()
                        if re.search(r"^NSpid:.*\s1$", status, re.M):
                            return candidate
        return 0

    @property
    def running(self) -> bool:
        return self.leader != 0

    @property
    def root(self) -> Path:
        """Its file system, from outside."""
        return Path(f"/proc/{self.supervisor.pid}/root{self.directory}/root")

    @property
    def disk(self) -> Path:
        """Its own disk: `up` is what it wrote over the shared root, `docker` its /var/lib/docker."""
        return Path(f"/proc/{self.supervisor.pid}/root{self.directory}/disk")

    def reset(self) -> "Host":
        """As new, with the same address and host key; waits until it is up."""
        self.reset_soon()
        return self.wait()

    def reset_soon(self) -> None:
        """As new, without waiting for the boot."""
        self.stop()
        self.network_restore()
        self.blank()
        self.start()

    def reboot(self) -> "Host":
        before = self.leader
        self.run(["systemctl", "reboot"], check=False)
        wait_for(f"{self.name} to go down", lambda: self.leader not in (before,), BOOT_LIMIT)
        return self.wait()

    def power_cut(self) -> None:
        """Every process of the host ends at once; nothing is told or written."""
        leader = self.leader
        if leader:
            os.kill(leader, signal.SIGKILL)
            wait_for(f"{self.name} to be off", lambda: not self.running)

    def power_on(self) -> "Host":
        if not self.running:
            for python in children(self.supervisor.pid):
                os.kill(python, signal.SIGUSR1)
        return self.wait()

    # -- commands

    def run(
        self, argv: Sequence[str], check: bool = True, stdin: str | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command as root inside, past the network; its output comes back as text."""
        leader = self.leader
        if not leader:
            raise LabError(f"{self.name} is off")
        enter = ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "-r", "-w", *CLEAN]
        done = subprocess.run(
            [*enter, *argv], input=stdin or "", text=True, capture_output=True, timeout=timeout, check=False
        )
        if check and done.returncode:
            raise LabError(
                f"{self.name}: {shlex.join(argv)} failed ({done.returncode}): {done.stderr or done.stdout}"
            )
        return done

    def files(self) -> dict[str, Entry]:
        """All of its files, for comparing before with after. Docker's own folder by top-level names only."""
        return listing(self.root, self.disk, Path(self.placed.root).parent / "hashes.json")

    @property
    def host_key(self) -> str:
        """Its public key, as known_hosts has it."""
        return " ".join((self.directory / "ssh/ssh_host_ed25519_key.pub").read_text().split()[:2])

    def new_host_key(self) -> None:
        folder = self.directory / "ssh"
        for old in folder.glob("ssh_host_*"):
            old.unlink()
        sh(
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            self.name,
            "-f",
            folder / "ssh_host_ed25519_key",
        )

    # -- snapshots, see Lab.snapshot

    def freeze_copy(self, target: Path) -> None:
        """Copies its disk while it runs, from a frozen moment."""
        mounted = ("nsenter", "-t", self.supervisor.pid, "-m", "fsfreeze")
        sh(*map(str, mounted), "-f", self.directory / "disk")
        try:
            sh("cp", "--sparse=always", "--reflink=auto", self.directory / "disk.img", target)
        finally:
            sh(*map(str, mounted), "-u", self.directory / "disk")

    def thaw_copy(self, source: Path) -> None:
        """Ends it and starts it again from a copied disk; does not wait."""
        self.stop()
        self.network_restore()
        sh("cp", "--sparse=always", "--reflink=auto", source, self.directory / "disk.img")
        self.show_cards()
        self.start()
