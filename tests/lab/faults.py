"""What goes wrong with real hosts, as calls."""

import json
import os
import subprocess
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import network
from .shell import LabError, sh, wait_for

ENGINE_FAULTS = "/tmp/lab-faults.json"  # where container/lab_faults.py looks


class Faults:
    """The faults of a Host; each has its way back."""

    name: str
    address: str
    number: int
    directory: Path

    @property
    @abstractmethod
    def root(self) -> Path: ...

    @property
    @abstractmethod
    def disk(self) -> Path: ...

    @abstractmethod
    def run(
        self, argv: Sequence[str], check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]: ...

    @abstractmethod
    def ssh_answers(self) -> bool: ...

    @abstractmethod
    def new_host_key(self) -> None: ...

    def network_cut(self) -> None:
        """Nothing reaches it or comes from it; lasts over a reboot."""
        if not (self.directory / "cut").exists():
            network.cut(self.number, self.address)
            (self.directory / "cut").touch()

    def network_restore(self) -> None:
        if (self.directory / "cut").exists():
            network.restore(self.number, self.address)
            (self.directory / "cut").unlink()

    def fill_disk(self, leave_bytes: int = 0) -> None:
        """Leaves this much room on its disk, for / and /var/lib/docker alike; costs this machine nothing."""
        self.free_disk()
        if self.disk.stat().st_dev == self.directory.stat().st_dev:
            raise LabError(f"{self.name} has no disk yet")  # never fill this machine's own
        free = os.statvfs(self.disk)
        size = free.f_bavail * free.f_frsize - leave_bytes
        with (self.disk / "filler").open("wb") as out:
            while size > 4096:
                try:
                    os.posix_fallocate(out.fileno(), 0, size)
                    return
                except OSError:
                    size -= max(size // 500, 4096)  # the file's own map takes room too

    def free_disk(self) -> None:
        (self.disk / "filler").unlink(missing_ok=True)

    def remove_card(self, index: int) -> None:
        """The card falls off the bus; those behind it move up, as after a reboot."""
        lines = (self.root / "etc/lab-gpus").read_text().splitlines()
        gone = lines.pop(index)
        (self.root / "etc/lab-gpus").write_text("\n".join(lines) + "\n")
        address = gone.split("pci=")[1].split("\t")[0][4:].lower()
        sh(
            "rm",
            "-rf",
            self.directory / "share/pci" / address,
            self.directory / "share/driver/nvidia/gpus" / address,
        )

    def break_driver(self) -> None:
        """nvidia-smi fails as it does when the kernel module is not loaded."""
        (self.root / "etc/lab-gpu-broken").touch()

    def mend_driver(self) -> None:
        (self.root / "etc/lab-gpu-broken").unlink(missing_ok=True)

    def spoil_engine(self, container: str, faults: Mapping[str, int | str]) -> None:
        """A vLLM answers on these paths with a status, or does "hang" or "cut"; all others, and {}, as it does."""
        write = f"cat > {ENGINE_FAULTS}.new && mv {ENGINE_FAULTS}.new {ENGINE_FAULTS}"
        self.run(["docker", "exec", "-i", container, "sh", "-c", write], stdin=json.dumps(faults))

    def change_host_key(self) -> None:
        """As after a reinstallation, or with somebody in between; nobody's known_hosts learns of it."""
        self.new_host_key()
        key = self.directory / "ssh/ssh_host_ed25519_key"
        for source in (key, key.with_name(key.name + ".pub")):
            target = self.root / "etc/ssh" / source.name
            target.write_bytes(source.read_bytes())
            target.chmod(0o600 if source is key else 0o644)
        self.run(["systemctl", "restart", "ssh"])
        wait_for(f"sshd on {self.name}", self.ssh_answers)
