"""What a lab host is to be, and where its files lie."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from .gpus import kind_of
from .shell import LabError

Sudo = Literal["nopasswd", "password", "none"]
Driver = Literal["working", "broken", "absent"]
PASSWORD = "lab"  # of users whose sudo asks for one


@dataclass(frozen=True)
class HostSpec:
    """One host: gpus by short name; python3=False removes the interpreter; disk is in GiB.

    metadata: its user and keys come from a cloud's metadata service. addresses: further ones, with prefix length.
    """

    name: str
    suite: str = "bookworm"
    gpus: tuple[str, ...] = field(default=())
    user: str = "root"
    sudo: Sudo = "nopasswd"
    python3: bool = True
    driver: Driver = "working"
    disk: int = 40
    metadata: bool = False
    addresses: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not re.fullmatch("[a-z][a-z0-9-]{0,30}", self.name):
            raise LabError(f"not a host name: {self.name}")
        object.__setattr__(self, "gpus", tuple(self.gpus))  # a list is as welcome
        object.__setattr__(self, "addresses", tuple(self.addresses))
        for name in self.gpus:
            kind_of(name)


@dataclass(frozen=True)
class Placed:
    """A host's specification with its place in a lab."""

    spec: HostSpec
    lab: str
    number: int
    index: int
    root: str

    @property
    def gateway(self) -> str:
        return f"10.77.{self.number}.1"

    @property
    def address(self) -> str:
        return f"10.77.{self.number}.{10 + self.index}"

    @property
    def cloud(self) -> str:
        """The default networks of the lab's cloud, on the same bridge."""
        return f"10.78.{self.number}.0/24"

    @property
    def machine(self) -> str:
        """Unique on the whole machine, and short enough for the name of an interface."""
        return f"l{self.number}-{self.index}"

    @property
    def group(self) -> str:
        return f"hostler-lab-{self.lab}-{self.spec.name}"

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "Placed":
        data = json.loads(path.read_text())
        spec = HostSpec(**data["spec"])
        return cls(**(data | {"spec": spec}))


def demo_specs(names: Sequence[str], gpus: Sequence[str] = ()) -> list[HostSpec]:
    """The hosts of the demo, or others by name or number, all with the same cards."""
    if list(names) in ([], ["demo"]):
        return [HostSpec("gpu-1", gpus=("RTX 3090",) * 4), HostSpec("gpu-2", gpus=("RTX 3090", "A10G"))]
    if len(names) == 1 and names[0].isdigit():
        names = [f"gpu-{i + 1}" for i in range(int(names[0]))]
    return [HostSpec(name, gpus=tuple(gpus)) for name in names]
