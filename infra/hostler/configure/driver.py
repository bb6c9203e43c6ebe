"""A GPU host without a working driver: what to type there, per distribution. Data, and a sentence made of it."""

from __future__ import annotations

from hostler.configure.types import Notice
from hostler.hosts.types import Facts, Seen

BRANCH = 580
UBUNTU = (
    "sudo apt-get update",
    f"sudo apt-get install -y linux-modules-nvidia-{BRANCH}-server-open-generic"
    f" nvidia-headless-no-dkms-{BRANCH}-server-open nvidia-utils-{BRANCH}-server",
    "sudo reboot",
)
DEBIAN = (
    "wget https://developer.download.nvidia.com/compute/cuda/repos/debian{version}/x86_64/cuda-keyring_1.1-1_all.deb",
    "sudo dpkg -i cuda-keyring_1.1-1_all.deb && sudo apt-get update",
    f"sudo apt-get install -y linux-headers-$(uname -r) nvidia-driver-pinning-{BRANCH} nvidia-open",
    "sudo reboot",
)
ENTERPRISE = ("sudo dnf module install -y nvidia-driver:580-open", "sudo reboot")
ENTERPRISE_10 = (
    "sudo dnf install -y python3-dnf-plugin-versionlock nvidia-open",
    "sudo dnf versionlock add 'nvidia-*'",
    "sudo reboot",
)

# (os id, version or empty for any other): commands
COMMANDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("ubuntu", ""): UBUNTU,
    ("debian", ""): DEBIAN,
    ("rhel", ""): ENTERPRISE,
    ("rhel", "10"): ENTERPRISE_10,
    ("rocky", ""): ENTERPRISE,
    ("rocky", "10"): ENTERPRISE_10,
    ("almalinux", ""): ENTERPRISE,
    ("almalinux", "10"): ENTERPRISE_10,
}
ELSEWHERE = ("install NVIDIA's driver 580 or newer the way this distribution does it, then reboot",)
SUPPORTED = ("debian", "ubuntu")

STATES = {
    "missing": "cards on the PCI bus, and no driver",
    "broken": "a driver that does not answer",
    "mismatch": "a driver whose kernel and user parts differ: a reboot is due",
}


def commands(facts: Facts) -> tuple[str, ...]:
    """What a person types on this host to get a working driver."""
    if facts.driver.state == "mismatch":
        return ("sudo reboot",)
    major = facts.os_version.partition(".")[0]
    found = COMMANDS.get((facts.os_id, major)) or COMMANDS.get((facts.os_id, "")) or ELSEWHERE
    return tuple(line.replace("{version}", major) for line in found)


def refusals(seen: Seen) -> tuple[Notice, ...]:
    """Why nothing may be changed on a host; empty when it may."""
    facts = seen.facts
    if facts is None:
        return ()
    found: list[Notice] = []
    if facts.driver.state in STATES:
        detail = f" ({facts.driver.detail})" if facts.driver.detail else ""
        typed = "\n".join(f"  {line}" for line in commands(facts))
        found.append(
            Notice(
                level="refuse",
                where=seen.host,
                text=f"{STATES[facts.driver.state]}{detail}. On {facts.os_name or facts.os_id}, type there:\n{typed}",
            )
        )
    if facts.os_id not in SUPPORTED:
        found.append(
            Notice(
                level="refuse", where=seen.host, text=f"{facts.os_name}: only Debian and Ubuntu are built yet"
            )
        )
    return tuple(found)
