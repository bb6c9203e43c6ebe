"""NVIDIA's driver where a distribution gets it from: repositories, packages, files. Data, and items made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hostler.configure import driver, systems
from hostler.configure.repositories import Repository, files
from hostler.configure.systems import ENTERPRISE, X86_64
from hostler.hosts.types import Facts
from hostler.manifest.contents import Text
from hostler.manifest.items import File, Item, Package, Part
from hostler.stackfile.sections import StackFile

BRANCH = driver.BRANCH
NAME = "nvidia-driver"  # of its repository's files
CUDA = "https://developer.download.nvidia.com/compute/cuda/repos"
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
    """How a release of a distribution gets the driver. `packages` may hold {kernel} and {flavour}; `repositories` is
    empty where it comes from the distribution's own. `before`: what is run between the repositories and the packages.
    `signed`: modules that Secure Boot accepts. `flavours`: ends of kernels' names, the first where none fits. `kept`:
    beginnings of names that updates leave alone: with apt those that are unattended, with dnf all (versionlock)."""

    packages: tuple[str, ...]
    repositories: tuple[Repository, ...] = ()
    before: tuple[tuple[str, ...], ...] = ()
    signed: bool = False
    flavours: tuple[str, ...] = driver.FLAVOURS
    kept: tuple[str, ...] = DRIVER


def cuda(
    release: str, key: str, fingerprint: str = "", *, sha256: str = "", only: tuple[str, ...] = ()
) -> Repository:
    """NVIDIA's repository for a release; its key lies beside it."""
    address = f"{CUDA}/{release}/{X86_64}"
    return Repository(
        name=NAME,
        address=address,
        key=f"{address}/{key}",
        fingerprint=fingerprint,
        sha256=sha256,
        own="driver_key",
        only=only,
    )


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
# The keys that sign NVIDIA's repositories for Debian: name of the file beside them, fingerprint.
OLDER = ("3bf863cc.pub", "EB693B3035CD5710E231E123A4B469963BF863CC")
NEWER = ("8793F200.pub", "02182E60104FCDC26EAE1B8597A5D4CB8793F200")
# Modules are built here, for the next kernel as well, as long as its headers come with it.
DEBIAN = (
    "linux-headers-{kernel}",
    "linux-headers-{flavour}",
    f"nvidia-driver-pinning-{BRANCH}",
    "nvidia-open",
)
AMD64 = ("amd64", "cloud-amd64", "rt-amd64")
# The module of it is built by dkms, which is EPEL's: that, and nothing else, is taken from there.
EPEL = "https://dl.fedoraproject.org/pub/epel"
EPEL_KEYS = {
    "8": "94E279EB8D8F25B21810ADF121EA45AB2F86D6A1",
    "9": "FF8AD1344597106ECE813B918A3872BF3228467C",
    "10": "7D8D15CBFC4E62688591FB2633D98517E37ED158",
}
RPM_KEY = ("D42D0685.pub", "610C7B14E068A878070DA4E99CD0A493D42D0685")
# Of this one only the file is known: its SHA-256, without the lines of a version.
RPM_KEY_10 = ("CDF6BA43.pub", "afbea87d3b979b3788ef34223aeeb323ade481128e2c133723ae99b8a51368bb")
STREAM = f"nvidia-driver:{BRANCH}-open"
ENTERPRISE_PACKAGES = (
    "python3-dnf-plugin-versionlock",
    "kernel-devel-{kernel}",
    "kernel-headers",
    "nvidia-open",
)


def _epel(major: str) -> Repository:
    return Repository(
        name="epel",
        address=f"{EPEL}/{major}/Everything/{X86_64}",
        key=f"{EPEL}/RPM-GPG-KEY-EPEL-{major}",
        fingerprint=EPEL_KEYS[major],
        own="driver_key",
        only=("dkms",),
    )


def _enterprise(major: str) -> Recipe:
    """The branch is a stream of a module; from EL 10 on, which has none, all that is taken is of that branch."""
    modular = major != "10"
    own = (
        cuda(f"rhel{major}", *RPM_KEY)
        if modular
        else cuda("rhel10", RPM_KEY_10[0], sha256=RPM_KEY_10[1], only=(f"*-{BRANCH}.*",))
    )
    return Recipe(
        packages=ENTERPRISE_PACKAGES,
        repositories=(own, _epel(major)),
        before=(("dnf", "--quiet", "-y", "module", "enable", STREAM),) if modular else (),
        kept=(*DRIVER, "kmod-nvidia-"),
    )


# (os id, version, or its major part)
RECIPES: Mapping[tuple[str, str], Recipe] = {
    ("ubuntu", "22.04"): UBUNTU,
    ("ubuntu", "24.04"): UBUNTU,
    ("debian", "12"): Recipe(packages=DEBIAN, repositories=(cuda("debian12", *OLDER),), flavours=AMD64),
    ("debian", "13"): Recipe(packages=DEBIAN, repositories=(cuda("debian13", *NEWER),), flavours=AMD64),
    **{(name, major): _enterprise(major) for name in ENTERPRISE for major in systems.MAJORS},
}


def recipe(facts: Facts) -> Recipe | None:
    """None: this release of a distribution has none, and a person installs the driver."""
    if facts.arch != X86_64:
        return None
    major = systems.major(facts.os_version)
    return RECIPES.get((facts.os_id, facts.os_version)) or RECIPES.get((facts.os_id, major))


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


def items(file: StackFile, facts: Facts, begun: bool = False) -> tuple[Item, ...]:
    """All that brings the driver; nothing where a person must."""
    found, system = recipe(facts), systems.of(facts)
    if found is None or system is None or obstacle(facts, begun):
        return ()
    manager = system.manager
    blacklist = (_file(BLACKLIST, BLACKLIST_TEXT),) if facts.driver.nouveau else ()
    names = packages(facts, found)
    kept = UNATTENDED_TEXT.format(names=" ".join(f'"{name}";' for name in found.kept))
    return (
        *(one for repository in found.repositories for one in files(file, manager, Part.DRIVER, repository)),
        *((_file(UNATTENDED, kept),) if manager is systems.APT else ()),
        *blacklist,
        *(Package(name=name, part=Part.DRIVER) for name in names),
    )


def _file(path: str, text: str) -> File:
    return File(path=path, part=Part.DRIVER, content=Text(text=text))


def ways(os_id: str, version: str, manager: str) -> tuple[list[list[str]], list[str]]:
    """What is run before the packages, and beginnings of names to keep from updates, of a release."""
    found = RECIPES.get((os_id, version)) or RECIPES.get((os_id, systems.major(version)))
    if found is None:
        return [], []
    kept = list(found.kept) if manager == systems.DNF.name else []
    return [list(words) for words in found.before], kept
