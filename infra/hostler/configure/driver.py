"""A GPU host without a working driver: what to type there, per distribution. Data, and a sentence made of it."""

from __future__ import annotations

from hostler.configure import systems
from hostler.configure.types import Notice
from hostler.hosts.types import Facts, Seen

BRANCH = 580
UBUNTU = (
    "sudo apt-get update",
    f"sudo apt-get install -y linux-modules-nvidia-{BRANCH}-server-open-{{flavour}}"
    f" nvidia-headless-no-dkms-{BRANCH}-server-open nvidia-utils-{BRANCH}-server",
    "sudo reboot",
)
DEBIAN = (
    "wget https://developer.download.nvidia.com/compute/cuda/repos/debian{version}/x86_64/cuda-keyring_1.1-1_all.deb",
    "sudo dpkg -i cuda-keyring_1.1-1_all.deb && sudo apt-get update",
    f"sudo apt-get install -y linux-headers-$(uname -r) nvidia-driver-pinning-{BRANCH} nvidia-open",
    "sudo reboot",
)
CUDA = "https://developer.download.nvidia.com/compute/cuda/repos/rhel{version}/x86_64/cuda-rhel{version}.repo"
EPEL = "https://dl.fedoraproject.org/pub/epel/epel-release-latest-{version}.noarch.rpm"
HEADERS = "kernel-devel-$(uname -r) kernel-headers"
ENTERPRISE_SOURCES = (f"sudo dnf config-manager --add-repo {CUDA}", f"sudo dnf install -y {EPEL}")
ENTERPRISE = (
    *ENTERPRISE_SOURCES,
    f"sudo dnf module enable -y nvidia-driver:{BRANCH}-open",
    f"sudo dnf install -y {HEADERS} nvidia-open",
    "sudo reboot",
)
ENTERPRISE_10 = (
    *ENTERPRISE_SOURCES,
    "sudo dnf install -y python3-dnf-plugin-versionlock",
    f"sudo dnf versionlock add '*nvidia*{BRANCH}*'",
    f"sudo dnf install -y {HEADERS} nvidia-open",
    "sudo reboot",
)

# (os id, version or empty for any other): commands
COMMANDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("ubuntu", ""): UBUNTU,
    ("debian", ""): DEBIAN,
    **{(name, ""): ENTERPRISE for name in systems.ENTERPRISE},
    **{(name, "10"): ENTERPRISE_10 for name in systems.ENTERPRISE},
}
FLAVOURS = (
    "generic",
    "lowlatency",
    "aws",
    "azure",
    "gcp",
    "oracle",
)  # kernels with modules that Ubuntu signs
ELSEWHERE = ("install NVIDIA's driver 580 or newer the way this distribution does it, then reboot",)

STATES = {
    "missing": "cards on the PCI bus, and no driver",
    "broken": "a driver that does not answer",
    "mismatch": "a driver whose kernel and user parts differ: a reboot is due",
}


# What may be in the way, in the order in which it is put right: field of Driver, what is said of it, what is typed.
BEFORE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "half",
        "an installation was interrupted: {half}",
        ("{mend}",),
    ),
    (
        "runfile",
        "it came from NVIDIA's .run file, of which no package knows",
        ("sudo nvidia-uninstall --silent",),
    ),
    (
        "nouveau",
        "nouveau, the kernel's own driver, has the cards",
        (
            "printf 'blacklist nouveau\\noptions nouveau modeset=0\\n'"
            " | sudo tee /etc/modprobe.d/blacklist-nouveau.conf",
            "{initramfs}",
        ),
    ),
)
SECURE_BOOT = "Secure Boot is on, and the kernel loads no module that is built here until its key is enrolled"
ENROL = "sudo mokutil --import {key}"  # asks for a password, and for it again at the next boot's screen
SIGNED = ("ubuntu",)  # distributions that sign the modules themselves
KEY = "/var/lib/dkms/mok.pub"
INITRAMFS = "dracut --force"  # where nothing else is known
MEND = {
    "apt": "sudo dpkg --configure -a; sudo apt-get -f install -y",
    "dnf": "sudo dnf reinstall -y {half}; sudo dnf remove -y --duplicates",
}
REBOOT = "sudo reboot"


def commands(facts: Facts) -> tuple[str, ...]:
    """What a person types on this host to get a working driver."""
    driver = facts.driver
    before = tuple(line for field, _, lines in BEFORE if getattr(driver, field) for line in lines)
    if driver.state == "mismatch" and not before:
        return (REBOOT,)
    lines = (*before, *_installing(facts))
    if _unsigned(facts):
        lines = (*(line for line in lines if line != REBOOT), ENROL, REBOOT)
    return tuple(_filled(line, facts) for line in lines)


def _installing(facts: Facts) -> tuple[str, ...]:
    major = facts.os_version.partition(".")[0]
    return COMMANDS.get((facts.os_id, major)) or COMMANDS.get((facts.os_id, "")) or ELSEWHERE


def _unsigned(facts: Facts) -> bool:
    return facts.driver.secure_boot and facts.os_id not in SIGNED


def _filled(line: str, facts: Facts) -> str:
    flavour, system = facts.kernel.rpartition("-")[2], systems.of(facts)
    initramfs = " ".join(system.initramfs) if system else INITRAMFS
    words = {
        "{version}": facts.os_version.partition(".")[0],
        "{flavour}": flavour if flavour in FLAVOURS else FLAVOURS[0],
        "{key}": KEY,
        "{initramfs}": f"sudo {initramfs}",
        "{mend}": MEND[(system or systems.DEBIAN).manager.name],
    }
    words["{half}"] = " ".join(facts.driver.half)
    for word, meant in words.items():
        line = line.replace(word, meant)
    return line


def reasons(facts: Facts) -> tuple[str, ...]:
    """What was seen that explains why the driver does not work."""
    driver = facts.driver
    found = [words for field, words, _ in BEFORE if getattr(driver, field)]
    return tuple(
        text.replace("{half}", ", ".join(driver.half))
        for text in (*found, *((SECURE_BOOT,) if _unsigned(facts) else ()))
    )


def typed(facts: Facts) -> str:
    """The commands as they are shown under a refusal."""
    lines = "\n".join(f"  {line}" for line in commands(facts))
    return f"On {facts.os_name or facts.os_id}, type there:\n{lines}"


def refusals(seen: Seen) -> tuple[Notice, ...]:
    """Why nothing may be changed on a host; empty when it may."""
    facts = seen.facts
    if facts is None:
        return ()
    found: list[str] = []
    if facts.driver.state in STATES:
        detail = f" ({facts.driver.detail})" if facts.driver.detail else ""
        what = "; ".join((STATES[facts.driver.state] + detail, *reasons(facts)))
        found.append(f"{what}. {typed(facts)}")
    if systems.of(facts) is None:
        found.append(f"{facts.os_name} on {facts.arch}: only {systems.BUILT} are built yet")
    return tuple(Notice(level="refuse", where=seen.host, text=text) for text in found)
