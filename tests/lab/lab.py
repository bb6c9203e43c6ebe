"""A lab: hosts on a bridge of their own, the outside world as they see it, and operators."""

import json
import os
import re
import shutil
import sys
import time
import uuid
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import network
from .cache import HERE, labs, locked
from .debs import nvidia_repository
from .enterprise import root_of
from .gobuild import go_binary
from .hosts import Host
from .hubdata import REPO, hub_files
from .images import images
from .machine import install, require
from .operators import Operator
from .pki import server
from .shell import LabError, Process, background, wait_for
from .side_by_side import side_by_side
from .spec import HostSpec, Placed
from .teardown import alive, remove_lab, sweep

if TYPE_CHECKING:
    from .cloud.client import Cloud


def setup(*suites: str) -> None:
    """Everything that is built once; does nothing where it is there."""
    require()
    install()
    server()
    for suite in suites or ("bookworm",):
        root_of(suite)
    go_binary("nvidia")
    nvidia_repository()
    hub_files()
    images()


class Lab:
    """Start one with Lab.start, find a running one with Lab.open; `with` ends it at the end of the block."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.name = directory.name
        about = json.loads((directory / "lab.json").read_text())
        self.number: int = about["number"]
        self.gateway: str = about["gateway"]
        self.bridge: str = about["bridge"]

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- life

    @classmethod
    def start(cls, name: str, keep: bool = False) -> "Lab":
        """A new lab. It ends with this process, by whatever death, unless it is to be kept."""
        if not re.fullmatch("[a-z0-9][a-z0-9-]{0,23}", name):
            raise LabError(f"not a name for a lab: {name}")
        setup()
        directory = labs() / name
        with locked("labs"):
            sweep()
            if directory.exists():
                raise LabError(f"the lab {name} is running already")
            directory.mkdir()
            number = network.free_number()
            about = {"number": number, "gateway": f"10.77.{number}.1", "bridge": network.bridge_name(number)}
            (directory / "lab.json").write_text(json.dumps(about))
            if not keep:
                Process.of(os.getpid()).save(directory / "owner.json")
            try:
                network.make_network(number)
                lab = cls(directory)
                lab._serve()
            except BaseException:
                remove_lab(name)
                raise
        return lab

    @classmethod
    def open(cls, name: str) -> "Lab":
        """A lab that runs."""
        if not (labs() / name / "lab.json").exists() or not alive(labs() / name):
            raise LabError(f"no lab {name} is running; running: {', '.join(cls.running()) or 'none'}")
        return cls(labs() / name)

    @staticmethod
    def running() -> list[str]:
        return sorted(d.name for d in labs().iterdir() if alive(d))

    def _serve(self) -> None:
        (self.directory / "names.json").write_text("{}")
        (self.directory / "control.json").write_text("{}")
        env = os.environ | {"PYTHONPATH": str(HERE.parent)}
        command = [sys.executable, "-m", f"{__package__}.services", self.directory]
        started = background(command, self.directory / "services.log", env)
        started.save(self.directory / "services.json")

        def up() -> bool:
            if not started.alive:
                raise LabError(
                    "the services do not start: " + (self.directory / "services.log").read_text()[-1500:]
                )
            return (self.directory / "services.up").exists()

        wait_for("the lab's services", up)

    def stop(self) -> None:
        """Ends all of it, and removes its files."""
        remove_lab(self.name)

    # -- hosts

    def host(self, name: str, **wanted: Any) -> Host:
        """The host of this name; made and booted if it is new. `wanted` are the fields of HostSpec."""
        return self.hosts(HostSpec(name, **wanted))[0]

    def hosts(self, *specs: HostSpec) -> list[Host]:
        """Hosts as specified, new ones booted side by side; without arguments all that there are."""
        if not specs:
            return [Host(f.parent) for f in sorted(self.directory.glob("hosts/*/host.json"))]
        found = [self._place(spec) for spec in specs]
        fresh = [host for host, is_new in found if is_new]
        self.publish()
        side_by_side([host.create for host in fresh])
        side_by_side([host.wait for host, is_new in found if is_new or host.running])
        return [host for host, _ in found]

    def _place(self, spec: HostSpec) -> tuple[Host, bool]:
        directory = self.directory / "hosts" / spec.name
        record = directory / "host.json"
        if record.exists():
            if Placed.load(record).spec == spec:
                return Host(directory), False
            self.remove(spec.name)
        used = {Placed.load(f).index for f in self.directory.glob("hosts/*/host.json")}
        index = next(i for i in range(1, 100) if i not in used)
        directory.mkdir(parents=True)
        root = root_of(spec.suite) / "root"
        Placed(spec, self.name, self.number, index, str(root)).save(record)
        host = Host(directory)
        host.make_key()
        return host, True

    def remove(self, name: str) -> None:
        """Ends a host and forgets it."""
        host = Host(self.directory / "hosts" / name)
        host.network_restore()
        host.stop()
        shutil.rmtree(host.directory)
        self.publish()

    def publish(self) -> None:
        """Tells the DNS and all operators which hosts there are."""
        hosts = self.hosts()
        names = {host.name: host.address for host in hosts}
        cloud = self.directory / "cloud/names.json"
        names |= json.loads(cloud.read_text()) if cloud.exists() else {}
        (self.directory / "names.new").write_text(json.dumps(names))
        (self.directory / "names.new").rename(self.directory / "names.json")
        for operator in self.operators():
            operator.know([(h.name, h.address, h.user, h.host_key) for h in hosts])

    def cut_pair(self, one: Host, other: Host) -> None:
        """These two no longer reach each other; all else does."""
        network.cut_pair(self.number, one.address, other.address)

    def heal_pair(self, one: Host, other: Host) -> None:
        network.heal_pair(self.number, one.address, other.address)

    # -- the cloud

    def cloud(self) -> "Cloud":
        """A new, empty cloud in this lab."""
        from .cloud.client import Cloud  # takes a second to import

        return Cloud.start(self)

    # -- operators

    def operator(self, name: str = "me", alone: bool = False) -> Operator:
        """An operator's machine; `alone`: with its own network, which has the lab's bridge and nothing else."""
        directory = self.directory / "operators" / name
        if directory.exists():
            return Operator(directory, self.gateway)
        taken = {op.alone for op in self.operators()}
        free = (f"10.77.{self.number}.{last}" for last in range(200, 250))
        address = next(a for a in free if a not in taken) if alone else ""
        directory.mkdir(parents=True)
        (directory / "hosts").touch()
        operator = Operator(directory, self.gateway)
        operator.create(address, self.bridge)
        self.publish()
        return operator

    def dismiss(self, operator: Operator) -> None:
        """Ends an operator's machine and forgets it."""
        operator.stop()
        shutil.rmtree(operator.directory)

    def operators(self) -> list[Operator]:
        return [Operator(d.parent, self.gateway) for d in sorted(self.directory.glob("operators/*/home"))]

    # -- snapshots

    def snapshot(self, name: str) -> None:
        """Keeps the disks of all hosts and the homes of all operators, as they are at this moment."""
        target = self.directory / "snapshots" / name
        shutil.rmtree(target, ignore_errors=True)
        (target / "homes").mkdir(parents=True)
        side_by_side([partial(h.freeze_copy, target / f"{h.name}.img") for h in self.hosts()])
        for operator in self.operators():
            operator.copy_home(target / "homes" / operator.name)

    def restore(self, name: str) -> None:
        """Back to the snapshot: hosts boot as after a power cut at that moment. Hosts made since are removed."""
        source = self.directory / "snapshots" / name
        if not source.exists():
            raise LabError(f"no snapshot {name} in the lab {self.name}")
        self.clear_faults()
        for host in self.hosts():
            if not (source / f"{host.name}.img").exists():
                self.remove(host.name)
        side_by_side([partial(h.thaw_copy, source / f"{h.name}.img") for h in self.hosts()])
        for operator in self.operators():
            if (source / "homes" / operator.name).exists():
                operator.restore_home(source / "homes" / operator.name)
        self.publish()
        side_by_side([host.wait for host in self.hosts()])

    # -- the outside world

    def _control(self) -> dict[str, Any]:
        return json.loads((self.directory / "control.json").read_text())

    def _set_control(self, value: dict[str, Any]) -> None:
        fresh = self.directory / f"control.{uuid.uuid4().hex}"
        fresh.write_text(json.dumps(value))
        fresh.rename(self.directory / "control.json")

    def fault(
        self,
        site: str,
        path: str = "",
        *,
        status: int = 0,
        slow: int = 0,
        line: int = 0,
        cut: int | None = None,
        wrong: bool = False,
        times: int = 0,
        client: str = "",
    ) -> None:
        """Makes a site misbehave where `path` (a pattern) matches: an HTTP status for everything; for the bytes of
        files: slow (bytes a second), line (the same for all together), cut (after so many), wrong. `times`: only so often, 0 for ever; `client`: for this address alone."""
        one = {"id": uuid.uuid4().hex, "site": site, "path": path, "status": status, "slow": slow}
        one["line"] = line
        one |= {"cut": cut, "wrong": wrong, "times": times, "client": client}
        control = self._control()
        self._set_control(control | {"faults": [*control.get("faults", []), one]})

    def clear_faults(self) -> None:
        """All sites behave; the hub's main and the registries' tags are where they were at first."""
        self._set_control({})

    def hub_main(self, revision: int, repo: str = REPO) -> None:
        """Moves main of a hub repository to its first or second revision."""
        control = self._control()
        self._set_control(control | {"hub": control.get("hub", {}) | {repo: revision}})

    def move_tag(self, image: str, to: str) -> None:
        """image is NAME:TAG under its registry's name, to another tag whose content it shall have."""
        control = self._control()
        self._set_control(control | {"tags": control.get("tags", {}) | {image: to}})

    def requests(self, site: str = "", since: float = 0.0) -> list[dict[str, Any]]:
        """What was asked of the outside world: time, client, host, method, path, status, sent, range, agent."""
        log = self.directory / "requests.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        every = [json.loads(line) for line in lines if line.endswith("}")]
        return [r for r in every if r["time"] >= since and (not site or r["host"] == site)]

    @staticmethod
    def now() -> float:
        """For `requests(since=...)`."""
        return time.time()
