"""Which kind a package is, by name and origin, and what a transaction does to what runs."""

from __future__ import annotations

import pytest

from hostler.node.upgrades import kinds
from hostler.node.upgrades.kinds import Step

DEBIAN, FIX = "Debian:12.6/stable", "Debian-Security:12/stable-security"
UBUNTU, UBUNTU_FIX = "Ubuntu:24.04/noble-updates", "Ubuntu:24.04/noble-security"
ESM = "UbuntuESM:22.04/jammy-infra-security"
CASES = {
    "security": [
        ("openssl", FIX), ("libc6:amd64", FIX), ("openssh-server", UBUNTU_FIX), ("curl", ESM), ("openssl-libs", "security"),
        ("linux-libc-dev", FIX), ("linux-base", FIX), ("intel-microcode", FIX), ("systemd", FIX), ("docker-doc", FIX),
    ],
    "packages": [
        ("openssl", DEBIAN), ("firmware-realtek", DEBIAN), ("linux-firmware", UBUNTU), ("dkms", DEBIAN), ("libnvme1", DEBIAN),
        ("nvidia-cuda-toolkit", DEBIAN), ("cuda-toolkit-12-8", "NVIDIA:"), ("cuda-keyring", "NVIDIA:"), ("kernelshark", DEBIAN), ("xorg-x11-drv-intel", ""),
        ("python3-docker", DEBIAN), ("libcudart12", DEBIAN), ("linuxptp", UBUNTU), ("securityonion", DEBIAN), ("tzdata", ""),
    ],
    "docker": [
        ("docker.io", FIX), ("docker-ce", "Docker:bookworm/stable"), ("docker-ce-cli", ""), ("docker-ce-rootless-extras", ""),
        ("docker-cli", DEBIAN), ("docker-buildx-plugin", ""), ("docker-compose-v2", UBUNTU), ("moby-engine", ""), ("runc", FIX),
        ("containerd", UBUNTU_FIX), ("containerd.io", ""), ("container-selinux", ""), ("nvidia-container-toolkit", ""),
        ("nvidia-container-toolkit-base", ""), ("libnvidia-container1", ""), ("libnvidia-container-tools", ""),
        ("crun", "security"),
    ],
    "driver": [
        ("nvidia-open", ""), ("nvidia-driver-cuda", ""), ("nvidia-kernel-open-dkms", ""), ("nvidia-driver-pinning-580", ""),
        ("nvidia-headless-no-dkms-580-server-open", UBUNTU_FIX), ("nvidia-utils-580-server", ""), ("nvidia-persistenced", FIX),
        ("libnvidia-compute-580-server:amd64", UBUNTU_FIX), ("libnvidia-ml1", ""), ("firmware-nvidia-gsp", DEBIAN),
        ("linux-modules-nvidia-580-server-open-generic", UBUNTU_FIX), ("xserver-xorg-video-nvidia-580-server", ""),
        ("linux-objects-nvidia-580-server-6.8.0-88-generic", ""), ("libcuda1", ""), ("cuda-drivers-580", ""),
        ("cuda-compat-13-0", ""), ("kmod-nvidia-open-dkms", ""), ("libnvcuvid1", ""),
        ("xorg-x11-drv-nvidia", ""), ("xorg-x11-drv-nvidia-cuda-libs", ""), ("akmod-nvidia", ""), ("kmod-nvidia-latest-dkms", ""),
        ("linux-modules-nvidia-580-server-open-nvidia", ""),
    ],
    "kernel": [
        ("linux-image-amd64", FIX), ("linux-image-6.1.0-40-amd64", FIX), ("linux-headers-amd64", FIX), ("linux-generic", UBUNTU_FIX),
        ("linux-image-generic", UBUNTU_FIX), ("linux-modules-6.8.0-88-generic", ""), ("linux-modules-extra-6.8.0-88-generic", ""),
        ("linux-aws", UBUNTU_FIX), ("linux-generic-hwe-24.04", ""), ("linux-headers-6.8.0-88", ""), ("linux-tools-generic", ""),
        ("kernel", "security"), ("kernel-core", ""), ("kernel-modules-core", ""), ("kernel-devel", ""), ("kernel-uek", ""),
        ("linux-nvidia", UBUNTU_FIX), ("linux-nvidia-64k-hwe-24.04", ""), ("linux-image-nvidia", ""), ("linux-nvidia-tegra", ""),
        ("linux-raspi", ""), ("linux-intel", UBUNTU_FIX), ("linux-intel-iotg", ""), ("linux-lowlatency", ""), ("linux-lowlatency-hwe-22.04", ""),
        ("kernel-ml", ""), ("kernel-ml-core", ""), ("kernel-lt", ""), ("kernel-lt-devel", ""),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "origin", "kind"), [(*case, kind) for kind, cases in CASES.items() for case in cases]
)
def test_kind(name: str, origin: str, kind: str) -> None:
    assert kinds.kind(name, [origin] if origin else []) == kind


def test_one_origin_of_several_is_enough() -> None:
    assert kinds.kind("openssl", [DEBIAN, FIX]) == "security"


def step(name: str, now: str = "1.0-1", then: str = "1.0-2") -> Step:
    return Step(name, now, then, (FIX,))


ENGINE = ("docker.io", "26.1.5+dfsg1-9", "26.1.7+dfsg1-1")


@pytest.mark.parametrize(
    ("steps", "cards", "keeps", "effect"),
    [
        ([], True, True, "none"),
        ([step("openssl")], True, False, "none"),
        ([step(*ENGINE)], False, True, "none"),
        ([step(*ENGINE)], True, True, "drain"),
        ([step(*ENGINE)], True, False, "stop"),
        ([step("docker.io", "20.10.24+dfsg1", "26.1.5")], False, True, "stop"),
        ([step("docker-ce", "5:28.1.1-1~debian", "5:28.3.0-1~debian")], False, True, "stop"),
        ([step("docker-ce", "5:28.3.0-1~debian", "5:28.3.2-1~debian")], False, True, "none"),
        ([step("containerd", "1.6.20", "1.7.2")], False, True, "none"),
        ([step("runc"), step("openssl")], True, True, "drain"),
        ([step(*ENGINE), step("linux-image-amd64")], False, True, "reboot"),
        ([step("nvidia-open")], True, True, "reboot"),
    ],
)
def test_effect(steps: list[Step], cards: bool, keeps: bool, effect: str) -> None:
    assert kinds.effect(steps, cards, keeps) == effect


@pytest.mark.parametrize(
    ("asked", "installed", "taken"),
    [
        ({"kernel"}, ["linux-image-amd64", "nvidia-kernel-open-dkms"], {"kernel"}),
        ({"kernel"}, ["linux-modules-nvidia-580-server-open-generic"], {"kernel", "driver"}),
        ({"driver", "security"}, ["linux-modules-nvidia-580-server-open-aws"], {"kernel", "driver", "security"}),
        ({"security"}, ["linux-modules-nvidia-580-server-open-generic"], {"security"}),
    ],
)  # fmt: skip
def test_modules_for_one_kernel_tie_driver_and_kernel(
    asked: set[str], installed: list[str], taken: set[str]
) -> None:
    assert kinds.with_tied(asked, installed) == taken


def test_what_is_new_is_not_asked_for_by_name() -> None:
    due = [step("linux-image-amd64"), step("linux-image-6.1.0-40-amd64", now=""), step("openssl")]
    assert kinds.chosen(due, {"kernel"}) == ["linux-image-amd64"]
