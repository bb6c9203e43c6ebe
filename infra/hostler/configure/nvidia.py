"""NVIDIA's driver where a distribution gets it from: repositories, packages, files. Data, and items made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hostler.configure import driver, toolkit
from hostler.hosts.types import Facts
from hostler.manifest.items import FetchedKey, File, Item, Package, Part, Text
from hostler.models import mirror
from hostler.stackfile.sections import StackFile

BRANCH = driver.BRANCH
CUDA = "https://developer.download.nvidia.com/compute/cuda/repos"
# The keys that sign NVIDIA's repositories: name of the file beside them, fingerprint.
OLDER = ("3bf863cc.pub", "EB693B3035CD5710E231E123A4B469963BF863CC")
NEWER = ("8793F200.pub", "02182E60104FCDC26EAE1B8597A5D4CB8793F200")
KEYRING = "/usr/share/keyrings/hostler-nvidia-driver.asc"
SOURCE = "/etc/apt/sources.list.d/hostler-nvidia-driver.list"
MARK = "/var/lib/hostler/driver-boot"  # the boot in which it was installed, until it is loaded
BLACKLIST = "/etc/modprobe.d/hostler-nouveau.conf"
BLACKLIST_TEXT = """# Written by hostler; edits here are lost. NVIDIA's driver has the cards.
blacklist nouveau
options nouveau modeset=0
"""
UNATTENDED = "/etc/apt/apt.conf.d/hostler-nvidia-driver"
UNATTENDED_TEXT = """// Written by hostler; edits here are lost. A driver that is exchanged below a running kernel stops all cards.
Unattended-Upgrade::Package-Blacklist {{ {names} }};
"""
DRIVER = ("nvidia-", "libnvidia-")
KERNEL = ("linux-image-", "linux-headers-", "linux-modules-")  # the last are the driver's modules, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a release of a distribution gets the driver. `packages` may hold {kernel} and {flavour}; `repository` is
    empty where it is the distribution's own, `key` its key's name there and fingerprint. `signed`:
    modules that Secure Boot accepts. `flavours`: ends of kernels' names, the first where none fits. `kept`: beginnings
    of names that unattended updates leave alone."""

    packages: tuple[str, ...]
    repository: str = ""
    key: tuple[str, str] = ("", "")
    signed: bool = False
    flavours: tuple[str, ...] = driver.FLAVOURS
    kept: tuple[str, ...] = DRIVER


# Modules come ready for one kernel: the next kernel without them would boot without cards, so it waits, too.
UBUNTU = Recipe(
    packages=(
        f"linux-modules-nvidia-{BRANCH}-server-open-{{flavour}}",
        f"nvidia-headless-no-dkms-{BRANCH}-server-open",
        f"nvidia-utils-{BRANCH}-server",
    ),
    signed=True,
    kept=(*DRIVER, *KERNEL),
)
# Modules are built here, for the next kernel as well, as long as its headers come with it.
DEBIAN = (
    "linux-headers-{kernel}",
    "linux-headers-{flavour}",
    f"nvidia-driver-pinning-{BRANCH}",
    "nvidia-open",
)
AMD64 = ("amd64", "cloud-amd64", "rt-amd64")
RECIPES: Mapping[tuple[str, str], Recipe] = {
    ("ubuntu", "22.04"): UBUNTU,
    ("ubuntu", "24.04"): UBUNTU,
    ("debian", "12"): Recipe(
        packages=DEBIAN, repository=f"{CUDA}/debian12/x86_64", key=OLDER, flavours=AMD64
    ),
    ("debian", "13"): Recipe(
        packages=DEBIAN, repository=f"{CUDA}/debian13/x86_64", key=NEWER, flavours=AMD64
    ),
}


def recipe(facts: Facts) -> Recipe | None:
    """None: this release of a distribution has none, and a person installs the driver."""
    return RECIPES.get((facts.os_id, facts.os_version)) if facts.arch == "x86_64" else None


def packages(facts: Facts, found: Recipe) -> tuple[str, ...]:
    """Names of the packages for the kernel that runs."""
    fitting = [flavour for flavour in found.flavours if facts.kernel.endswith(f"-{flavour}")]
    flavour = max(fitting, key=len, default=found.flavours[0])
    return tuple(name.format(kernel=facts.kernel, flavour=flavour) for name in found.packages)


def obstacle(facts: Facts, begun: bool = False) -> str:
    """Why it cannot be installed without a person; empty when it can. `begun`: a run of ours that ended early left it
    half-way, in this boot."""
    found = recipe(facts)
    if facts.driver.state != "missing" and not begun:
        return "only a driver that is not there at all is installed"
    if found is None:
        return f"no driver is known for {facts.os_name or facts.os_id}"
    if (facts.driver.half and not begun) or facts.driver.runfile:
        return "; ".join(driver.reasons(facts))
    if facts.driver.secure_boot and not found.signed:
        return driver.SECURE_BOOT
    return ""


def source_text(repository: str) -> str:
    return f"# Written by hostler; edits here are lost.\ndeb [signed-by={KEYRING}] {repository}/ /\n"


def items(file: StackFile, facts: Facts, begun: bool = False) -> tuple[Item, ...]:
    """All that brings the driver; nothing where a person must."""
    found = recipe(facts)
    if found is None or obstacle(facts, begun):
        return ()
    blacklist = (_file(BLACKLIST, BLACKLIST_TEXT),) if facts.driver.nouveau else ()
    names = packages(facts, found)
    return (
        *(_repository(file, found) if found.repository else ()),
        _file(UNATTENDED, UNATTENDED_TEXT.format(names=" ".join(f'"{name}";' for name in found.kept))),
        *blacklist,
        *(Package(name=name, part=Part.DRIVER) for name in names),
    )


def _repository(file: StackFile, found: Recipe) -> tuple[File, ...]:
    mirrors = mirror.of(file.stack)
    repository = mirror.apt(mirrors.apt, found.repository)
    if mirrors.driver_key:
        key = _file(KEYRING, toolkit.own_key(file, "driver_key", mirrors.driver_key))
    else:
        name, fingerprint = found.key
        fetched = FetchedKey(url=f"{repository}/{name}", fingerprints=(fingerprint,))
        key = File(path=KEYRING, part=Part.DRIVER, content=fetched)
    return (key, _file(SOURCE, source_text(repository)))


def _file(path: str, text: str) -> File:
    return File(path=path, part=Part.DRIVER, content=Text(text=text))
