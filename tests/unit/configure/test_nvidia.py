"""What brings a driver to a host that has none, and when a person must."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hostler.configure import driver, nvidia, repositories, systems, variables
from hostler.hosts.types import Driver
from hostler.manifest.contents import FetchedKey, Text
from hostler.manifest.items import File, Manifest, Package
from worlds import configure_world as world

UBUNTU = {"os_id": "ubuntu", "os_version": "24.04", "kernel": "6.8.0-45-generic"}
DEBIAN = {"os_id": "debian", "os_version": "12", "kernel": "6.1.0-18-amd64"}
SOURCE = repositories.source_path(systems.APT, nvidia.NAME)
KEYRING = repositories.key_path(systems.APT, nvidia.NAME)
NVIDIA = ("nvidia-driver-pinning-580", "nvidia-open")
PACKAGES = {
    "debian 12": (DEBIAN, ("linux-headers-6.1.0-18-amd64", "linux-headers-amd64", *NVIDIA)),
    "debian 13": (
        DEBIAN | {"os_version": "13", "kernel": "6.12.41-cloud-amd64"},
        ("linux-headers-6.12.41-cloud-amd64", "linux-headers-cloud-amd64", *NVIDIA),
    ),
    "ubuntu on aws": (
        UBUNTU | {"os_version": "22.04", "kernel": "6.8.0-1021-aws"},
        (
            "linux-modules-nvidia-580-server-open-aws",
            "nvidia-headless-no-dkms-580-server-open",
            "nvidia-utils-580-server",
        ),
    ),
}


def facts(system: dict[str, str], **state: Any) -> Any:
    more = {"arch": state.pop("arch")} if "arch" in state else {}
    return world.facts(1, cards=(), driver=Driver(**{"state": "missing", **state}), **system, **more)


def items(system: dict[str, str], **state: Any) -> tuple[Any, ...]:
    return nvidia.items(world.stack(), facts(system, **state))


@pytest.mark.parametrize("case", PACKAGES)
def test_packages_are_those_of_the_release_and_of_the_kernel(case: str) -> None:
    system, expected = PACKAGES[case]
    found = items(system)
    assert tuple(item.name for item in found if isinstance(item, Package)) == expected
    source = [item for item in found if isinstance(item, File) and item.path == SOURCE]
    assert len(source) == (system["os_id"] == "debian")
    for file in source:
        assert isinstance(file.content, Text)
        assert f"debian{system['os_version']}/x86_64 /" in file.content.text


@pytest.mark.parametrize(
    ("system", "state", "why"),
    [
        (UBUNTU, {}, ""),
        (UBUNTU, {"secure_boot": True}, ""),
        (UBUNTU, {"nouveau": True}, ""),
        (DEBIAN, {}, ""),
        (DEBIAN, {"secure_boot": True}, driver.SECURE_BOOT),
        (DEBIAN, {"half": ("nvidia-open",)}, "an installation was interrupted: nvidia-open"),
        (DEBIAN, {"runfile": True}, "it came from NVIDIA's .run file, of which no package knows"),
        (DEBIAN, {"state": "broken"}, "only a driver that is not there at all is installed"),
        (DEBIAN | {"os_version": "11"}, {}, "no driver is known for Debian GNU/Linux 12 (bookworm)"),
        (DEBIAN, {"arch": "aarch64"}, "no driver is known for Debian GNU/Linux 12 (bookworm)"),
    ],
)
def test_where_a_person_must(system: dict[str, str], state: dict[str, Any], why: str) -> None:
    assert nvidia.obstacle(facts(system, **state)) == why
    assert bool(items(system, **state)) is not bool(why)


def test_nouveau_is_kept_out_where_it_has_the_cards() -> None:
    def paths(**state: Any) -> set[str]:
        return {item.path for item in items(DEBIAN, **state) if isinstance(item, File)}

    assert paths(nouveau=True) - paths() == {nvidia.BLACKLIST}


def test_a_mirrors_key_is_its_own_and_nvidias_has_a_fingerprint(tmp_path: Path) -> None:
    for version, name, fingerprint in (
        ("12", "3bf863cc.pub", "EB693B3035CD5710E231E123A4B469963BF863CC"),
        ("13", "8793F200.pub", "02182E60104FCDC26EAE1B8597A5D4CB8793F200"),
    ):
        found = {i.path: i.content for i in items(DEBIAN | {"os_version": version}) if isinstance(i, File)}
        repository = f"https://developer.download.nvidia.com/compute/cuda/repos/debian{version}/x86_64"
        assert found[KEYRING] == FetchedKey(url=f"{repository}/{name}", fingerprints=(fingerprint,))
    (tmp_path / "own.asc").write_text("our key\n")
    file = world.stack(f"{world.STACK}mirror: {{driver_key: {tmp_path}/own.asc}}\n")
    found = {i.path: i.content for i in nvidia.items(file, facts(DEBIAN)) if isinstance(i, File)}
    assert found[KEYRING] == Text(text="our key\n")


def test_the_role_fetches_the_key_and_writes_the_rest() -> None:
    found = items(DEBIAN)
    made = Manifest(
        host="gpu-1",
        uid=world.UID,
        epoch=0,
        release=0,
        files=tuple(item for item in found if isinstance(item, File)),
        facts={"manager": "apt"},
    )
    values = variables.host_variables(made)
    assert values["hostler_parts"] == ["driver"]
    assert [key["path"] for key in values["driver_keys"]] == [KEYRING]
    assert [entry["path"] for entry in values["driver_files"]] == [SOURCE, nvidia.UNATTENDED]


@pytest.mark.parametrize(("system", "kernel"), [(UBUNTU, True), (DEBIAN, False)])
def test_a_kernel_without_modules_for_it_does_not_come_by_itself(
    system: dict[str, str], kernel: bool
) -> None:
    """Ubuntu's modules are made for one kernel; Debian's are built for each, from its headers."""
    files = {item.path: item.content for item in items(system) if isinstance(item, File)}
    content = files[nvidia.UNATTENDED]
    assert isinstance(content, Text)
    text = content.text
    assert '"nvidia-";' in text
    assert ('"linux-image-";' in text) is kernel
