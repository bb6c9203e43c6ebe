"""The host behind each instance: its life from RunInstances to its end, told to moto's instance as it happens."""

import ipaddress
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from moto.ec2.models.instances import InstanceState, StateReason

from .. import network
from ..hosts import Host
from ..shell import LabError, children, wait_for
from ..spec import HostSpec, Placed
from .catalog import CARDS, DEEP_LEARNING, ROOT_SIZE, family
from .roots import SUITE, nvidia_root, plain_root

CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}
LIVE = ("pending", "running")
ENDS = {"stop": ("stopping", "stopped"), "terminate": ("shutting-down", "terminated")}
INDICES = range(100, 150)  # of instances; those below are hosts of the lab, those above elastic addresses
GRACE = 20.0  # seconds between the power button and the plug
POWER_BUTTON = signal.SIGRTMIN + 4
BY_USER = "Client.UserInitiatedShutdown: User initiated shutdown"
BY_ITSELF = "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
FAILED = "Server.InternalError: Internal error on launch"


def set_state(instance: Any, name: str) -> None:
    instance._state = InstanceState(name, CODES[name])


class Machine:
    """One instance's host. `birth` is how it comes up: "", "never" (it fails on launch) or "cut" (without network)."""

    def __init__(self, instance: Any, directory: Path, number: int, index: int, birth: str) -> None:
        self.instance = instance
        self.birth = birth
        self.ssh = False
        self.asked = False  # the API wants the power off
        self.stuck = False
        self.ended = threading.Event()
        self.notice: dict[str, str] | None = None  # the spot interruption that is announced
        self.tokens: set[str] = set()
        gpus = _cards(instance)
        image = instance.image_id
        spec = HostSpec(
            instance.id,
            suite=SUITE,
            gpus=gpus,
            driver="working" if image == DEEP_LEARNING else "absent",
            disk=_disk(instance),
            metadata=True,
            addresses=_private(instance, number),
        )
        home = directory / "instances" / instance.id
        home.mkdir(parents=True)
        root = nvidia_root() if image == DEEP_LEARNING else plain_root()
        Placed(spec, directory.name, number, index, str(root)).save(home / "host.json")
        (home / "ssh").mkdir()
        self.host = Host(home)

    # -- life

    def boot(self, first: bool = False) -> None:
        """Starts it; does not wait."""
        self.asked = self.ssh = False
        if self.birth == "never":
            threading.Timer(2, self.end, ("terminate", FAILED)).start()
            return
        if self.birth == "cut":
            self.host.network_cut()
        if first:
            self.host.create()
        else:
            (self.host.directory / "off").unlink()
            for python in children(self.host.supervisor.pid):
                os.kill(python, signal.SIGUSR1)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        """pending until its first process runs, `initializing` until sshd answers; then until the power is off."""
        while not self.off:
            if self.instance.state == "pending" and self.host.leader:
                set_state(self.instance, "running")
            if not self.ssh and self.instance.state == "running":
                self.ssh = self._speaks()
            time.sleep(0.1 if not self.ssh else 0.3)
        if not self.asked and self.instance.state in ("pending", "running"):
            self.end(self.instance.instance_initiated_shutdown_behavior, BY_ITSELF)

    def _speaks(self) -> bool:
        with suppress(OSError), socket.create_connection((self.host.address, 22), timeout=0.5) as link:
            return link.recv(4) == b"SSH-"
        return False

    @property
    def off(self) -> bool:
        if self.ended.is_set():
            return True
        with suppress(LabError):
            return (self.host.directory / "off").exists() or not self.host.supervisor.alive
        return True

    def button(self, number: int) -> None:
        """Sends a signal to its first process, as the hypervisor presses buttons."""
        with suppress(OSError, LabError):
            if leader := self.host.leader:
                os.kill(leader, number)

    def end(self, how: str, reason: str = BY_USER) -> None:
        """Powers off in the background, then `stop` keeps the disk and `terminate` does not."""
        during, after = ENDS[how]
        set_state(self.instance, during)
        self._because(reason)
        threading.Thread(target=self._end, args=(how, during, after, reason), daemon=True).start()

    def _end(self, how: str, during: str, after: str, reason: str) -> None:
        while self.stuck:
            time.sleep(0.05)
        if self.birth != "never":
            self.power_off()
        if self.instance.state != during:
            return  # terminated while it was stopping
        ENDED[how](self.instance)
        set_state(self.instance, after)
        self._because(reason)
        if how == "terminate":
            self.remove()

    def _because(self, reason: str) -> None:
        self.instance.state_reason = StateReason(reason, reason.split(":")[0])

    def power_off(self) -> None:
        """The power button, again each second as it is not heard in the first moments; then the plug."""
        self.asked = True
        end = time.monotonic() + GRACE
        while not self.off:
            self.button(signal.SIGKILL if time.monotonic() > end or self.birth else POWER_BUTTON)
            with suppress(LabError):
                wait_for("the power to be off", lambda: self.off, 1)

    def remove(self) -> None:
        """Ends it at once and removes its files."""
        if not self.ended.is_set():
            self.ended.set()
            self.host.network_restore()
            self.host.stop()
            shutil.rmtree(self.host.directory, ignore_errors=True)

    # -- addresses

    @property
    def addresses(self) -> list[str]:
        """All by which it is reached, or reaches."""
        return [self.host.address, *(address.partition("/")[0] for address in self.host.spec.addresses)]

    def has(self, address: str) -> bool:
        return self.instance.state != "terminated" and address in self.addresses

    def add_address(self, address: str) -> None:
        """One more, now and at each boot: an elastic one."""
        unit = self.host.root / "etc/systemd/network/10-host0.network"
        line = f"Address={address}/24\n"
        if line not in unit.read_text():
            unit.write_text(unit.read_text().replace("[Network]\n", f"[Network]\n{line}"))
        self.host.run(["ip", "address", "replace", f"{address}/24", "dev", "host0"], check=False)

    def drop_address(self, address: str) -> None:
        unit = self.host.root / "etc/systemd/network/10-host0.network"
        unit.write_text(unit.read_text().replace(f"Address={address}/24\n", ""))
        self.host.run(["ip", "address", "delete", f"{address}/24", "dev", "host0"], check=False)


# what moto does to its instance at each end; set by compute.py before it puts its own in their place
ENDED: dict[str, Callable[[Any], object]] = {}


def _cards(instance: Any) -> tuple[str, ...]:
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    card = CARDS.get(family(instance.instance_type))
    about = INSTANCE_TYPES[instance.instance_type].get("GpuInfo", {}).get("Gpus", [])
    return (card,) * int(about[0]["Count"]) if card and about else ()


def _disk(instance: Any) -> int:
    volume = instance.block_device_mapping.get(instance.root_device_name)
    return int(volume.size) if volume else ROOT_SIZE[instance.image_id]


def _private(instance: Any, number: int) -> tuple[str, ...]:
    """Its private address, in a default VPC: the networks of other VPCs are names only, they could be the lab's own."""
    vpc = ipaddress.ip_network(instance.ec2_backend.get_vpc(instance.vpc_id).cidr_block)
    lab = ipaddress.ip_network(f"10.78.{number}.0/24")
    return (f"{instance.private_ip}/{vpc.prefixlen}",) if vpc.subnet_of(lab) else ()  # pyright: ignore[reportArgumentType]


class Machines:
    """All machines of a cloud, by instance id."""

    def __init__(self, directory: Path, number: int) -> None:
        self.directory, self.number = directory, number
        self.known: dict[str, Machine] = {}
        self.lock = threading.Lock()
        self.elastic: set[str] = set()

    def add(self, instance: Any, birth: str) -> Machine:
        """Makes the host of a new instance and boots it."""
        with self.lock:
            used = {m.host.placed.index for m in self.known.values() if not m.ended.is_set()}
            index = next((i for i in INDICES if i not in used), None)
            if index is None:
                raise LabError(f"a cloud of the lab has {len(INDICES)} instances at most")
            machine = Machine(instance, self.directory, self.number, index, birth)
            self.known[instance.id] = machine
        for nic in instance.nics.values():
            nic.delete_on_termination = True
        if instance.nics[0].public_ip:
            instance.nics[0].public_ip = machine.host.address
        set_state(instance, "pending")
        machine.boot(first=True)
        return machine

    def at(self, address: str) -> Machine | None:
        """Whose address this is."""
        return next((m for m in list(self.known.values()) if m.has(address)), None)

    def take_elastic(self) -> str:
        with self.lock:
            every = (f"10.77.{self.number}.{last}" for last in range(160, 190))
            address = next(a for a in every if a not in self.elastic)
            self.elastic.add(address)
            return address

    def end(self) -> None:
        """All of them, at once."""
        for machine in list(self.known.values()):
            machine.asked, machine.stuck = True, False
            with suppress(LabError, OSError):
                machine.remove()
        self.known.clear()
        self.elastic.clear()

    def cut(self, machine: Machine) -> None:
        network.cut(self.number, machine.host.address)
