"""What a package is to a host that serves: whether anything has to stop for its next version. Pure.

- security: fixes of the distribution's, in none of the kinds below; packages: all other plain ones
- docker: what starts and keeps containers, NVIDIA's toolkit among it
- driver: NVIDIA's driver, in the kernel and outside of it, which must be of one version
- kernel: the kernel with its modules and headers
"""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, NamedTuple, Sequence, Set, Tuple

SECURITY, PACKAGES, DOCKER, DRIVER, KERNEL = KINDS = ("security", "packages", "docker", "driver", "kernel")
NONE, DRAIN, STOP, REBOOT = EFFECTS = ("none", "drain", "stop", "reboot")  # the worst last

# The first that fits decides.
NAMES = (
    (DOCKER, r"docker(\.io|-ce(-cli|-rootless-extras)?|-cli|-buildx(-plugin)?|-compose(-plugin|-v2)?|-engine)?"),
    (DOCKER, r"moby-.+|containerd(\.io)?|runc|crun|container-selinux"),
    (DOCKER, r"(lib)?nvidia-container.*"),
    (KERNEL, r"linux-nvidia.*"),  # Ubuntu's kernels for NVIDIA's machines, no drivers
    (PACKAGES, r"nvidia-(cuda|cudnn|nsight|visual).*"),  # compilers and libraries: engines bring their own
    (DRIVER, r"(lib|xserver-xorg-video-|xorg-x11-drv-|firmware-|a?kmod-|dkms-|linux-(modules|objects|signatures)-)?nvidia([-.].*|\d.*)?"),
    (DRIVER, r"libnv(cuvid|encode|optix|idia|sdm).*|libcuda1.*|libcudadebugger1|libxnvctrl.*|cuda-(drivers|compat).*"),
    (KERNEL, r"linux-(image|headers|modules|modules-extra|tools|cloud-tools|kbuild|buildinfo|compiler)-.+"),
    (KERNEL, r"linux-(image-)?(generic|virtual|server|lowlatency|intel|raspi|oem|aws|azure|gcp|gke|oracle|kvm|ibm)([-.].*)?"),
    (KERNEL, r"kernel(-(debug|rt|64k|uek|ml|lt|core|modules|devel|headers|tools|uki|srpm).*)?|python3-perf|bpftool"),
)  # fmt: skip
PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in NAMES)
FIXES = re.compile(r"-security\b|^Debian-Security:|\bsecurity$", re.IGNORECASE)
TIED = re.compile(r"linux-(modules|objects)-nvidia-|kmod-nvidia-[\d-]*\d")  # of one kernel, ready made
ENGINES = ("docker.io", "docker-ce", "moby-engine")
NUMBER = re.compile(r"(?:\d+:)?(\d+)\.(\d+)")


class Step(NamedTuple):
    """One package of a transaction. `now` empty: it is new; `origins` as the package manager names them."""

    name: str
    now: str
    then: str
    origins: Tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return kind(self.name, self.origins)

    def as_json(self) -> Dict[str, str]:
        return {"name": self.name, "now": self.now, "then": self.then, "kind": self.kind}


def kind(name: str, origins: Iterable[str] = ()) -> str:
    """By the name, without its architecture; of a plain package by where its next version comes from."""
    bare = name.partition(":")[0]
    found = next((found for found, pattern in PATTERNS if pattern.fullmatch(bare)), PACKAGES)
    if found != PACKAGES:
        return found
    return SECURITY if any(FIXES.search(origin) for origin in origins) else PACKAGES


def with_tied(asked: Iterable[str], installed: Iterable[str]) -> Set[str]:
    """The kinds that are asked for, and what cannot go without: modules that come ready for one kernel make driver and
    kernel one."""
    kinds = set(asked)
    if kinds & {DRIVER, KERNEL} and any(TIED.match(name) for name in installed):
        kinds |= {DRIVER, KERNEL}
    return kinds


def effect(steps: Sequence[Step], cards: bool, keeps: bool) -> str:
    """What a transaction does to what runs: nothing; replicas are drained, their containers live on; all containers may
    end; the host reboots. `cards`: a reload of systemd, which Docker's packages do, can take cards from containers;
    `keeps`: Docker's live-restore is on."""
    kinds = {step.kind for step in steps}
    if kinds & {DRIVER, KERNEL}:
        return REBOOT
    if DOCKER not in kinds:
        return NONE
    if not keeps or any(jumps(step) for step in steps):
        return STOP
    return DRAIN if cards else NONE


def jumps(step: Step) -> bool:
    """Whether Docker gets another version than a patch, over which it does not promise to keep containers."""
    now, then = NUMBER.match(step.now), NUMBER.match(step.then)
    return step.name in ENGINES and (now is None or then is None or now.groups() != then.groups())


def chosen(due: Iterable[Step], kinds: Set[str]) -> List[str]:
    """Names of what is here and of those kinds; new packages come with them."""
    return [step.name for step in due if step.now and step.kind in kinds]
