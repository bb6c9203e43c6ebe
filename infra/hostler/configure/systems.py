"""Releases of distributions: the package manager, where its files lie, what Docker is called. Data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hostler.hosts.types import Facts, Seen

ENTERPRISE = ("rhel", "rocky", "almalinux")  # built from the same sources: one way for all
MAJORS = ("8", "9", "10")
X86_64 = "x86_64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager:
    """A package manager, and where a repository of ours lies; `source` and `key` hold {name}. `text` holds {name},
    {key}, {address}, {packages} and {metadata} (whether those are signed: 0 or 1), {only} (packages to take)."""

    name: Literal["apt", "dnf"]
    source: str
    key: str
    text: str


APT = Manager(
    name="apt",
    source="/etc/apt/sources.list.d/hostler-{name}.list",
    key="/usr/share/keyrings/hostler-{name}.asc",
    text="# Written by hostler; edits here are lost.\ndeb [signed-by={key}] {address} /\n",
)
DNF = Manager(
    name="dnf",
    source="/etc/yum.repos.d/hostler-{name}.repo",
    key="/etc/pki/rpm-gpg/hostler-{name}.asc",
    text="""# Written by hostler; edits here are lost.
[hostler-{name}]
name=hostler: {name}
baseurl={address}
enabled=1
gpgcheck={packages}
repo_gpgcheck={metadata}
gpgkey=file://{key}
{only}""",
)
MANAGERS = (APT, DNF)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What differs between releases. `packages`: of part base. `docker`: the container engine and what does as well.
    `docker_repository`: where it comes from, empty for the distribution's own; `docker_key`: its key's address.
    `conflicts`: packages that cannot be there beside it. `initramfs`: makes it anew."""

    manager: Manager
    packages: tuple[str, ...]
    docker: str
    docker_alternatives: tuple[str, ...]
    docker_repository: str = ""
    docker_key: str = ""
    conflicts: tuple[str, ...] = ()
    initramfs: tuple[str, ...]


DEBIAN = System(
    manager=APT,
    packages=("python3", "ca-certificates", "openssl"),
    docker="docker.io",
    docker_alternatives=("docker-ce", "moby-engine"),
    initramfs=("update-initramfs", "-u"),
)
DOCKER = "https://download.docker.com/linux"
DOCKER_KEY = "060A61C51B558A7F742B77AAC52FEB6B621E9F35"
# Red Hat's own of the same purpose: podman's `docker`, and parts that containerd.io takes the place of.
IN_THE_WAY = ("podman-docker", "runc", "containerd")


def _enterprise(name: str, major: str) -> System:
    """EL 8's python3 is 3.6: the one that runs the agent stands beside it, and is nobody's to ask for by that name."""
    folder = f"{DOCKER}/{'rhel' if name == 'rhel' else 'centos'}"
    return System(
        manager=DNF,
        packages=(*(() if major == "8" else ("python3",)), "ca-certificates", "openssl"),
        docker="docker-ce",
        docker_alternatives=("moby-engine",),
        docker_repository=f"{folder}/{major}/{X86_64}/stable",
        docker_key=f"{folder}/gpg",
        conflicts=IN_THE_WAY,
        initramfs=("dracut", "--force"),
    )


# (os id, major version or empty for any)
SYSTEMS: Mapping[tuple[str, str], System] = {
    ("debian", ""): DEBIAN,
    ("ubuntu", ""): DEBIAN,
    **{(name, major): _enterprise(name, major) for name in ENTERPRISE for major in MAJORS},
}
BUILT = "Debian, Ubuntu, and Enterprise Linux 8, 9 and 10 (RHEL, Rocky, AlmaLinux; x86_64)"


def major(version: str) -> str:
    return version.partition(".")[0]


def known(os_id: str, version: str) -> System | None:
    return SYSTEMS.get((os_id, major(version))) or SYSTEMS.get((os_id, ""))


def known_or_debian(os_id: str, version: str) -> System:
    return known(os_id, version) or DEBIAN


def of(facts: Facts) -> System | None:
    """None: a release for which nothing is built, or another kind of processor."""
    found = known(facts.os_id, facts.os_version)
    return None if found and found.manager is DNF and facts.arch != X86_64 else found


def of_seen(seen: Seen | None) -> System:
    """Of a host; Debian's where it was not seen, or nothing is built for it (which is refused elsewhere)."""
    return (of(seen.facts) if seen and seen.facts else None) or DEBIAN
