"""Every release for which something is built: which files, packages and commands its hosts get, and what stands in the
way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hostler.configure import ask, docker, driver, nvidia, systems, toolkit, variables
from hostler.configure.base import items as base_items
from hostler.hosts.types import Driver, Seen, Value
from hostler.manifest.contents import FetchedKey, Text
from hostler.manifest.items import File, Item, Manifest, Package, Part
from worlds import configure_world as world

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[2] / "cases" / "configure" / "systems.yaml").read_text()
)
EVERY = [(name, major) for name in systems.ENTERPRISE for major in systems.MAJORS]
ROCKY = {"os_id": "rocky", "os_version": "9.6", "codename": ""}


def seen(system: dict[str, str], state: str = "missing", **more: Any) -> Seen:
    card = {"cards": (), "driver": Driver(state=state, **more.pop("driver", {}))}  # type: ignore[arg-type]
    observed = {f"package:{n}": Value({"state": "installed"}, world.AT) for n in more.pop("there", ())}
    facts = world.facts(1, **{"codename": "", **system, **card, **more})
    return world.bare(1, facts=facts, observed=observed)


def items(one: Seen) -> tuple[Item, ...]:
    assert one.facts
    return (
        *base_items(world.record(), world.hosts()[0], one),
        *docker.items(world.stack(), one),
        *toolkit.items(world.stack(), one),
        *nvidia.items(world.stack(), one.facts),
    )


def named(found: tuple[Item, ...], *, of_driver: bool) -> list[str]:
    return [i.name for i in found if isinstance(i, Package) and (i.part is Part.DRIVER) is of_driver]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_what_a_host_gets(case: dict[str, Any]) -> None:
    one = seen(case["facts"])
    assert one.facts
    found = items(one)
    assert named(found, of_driver=False) == case["packages"]
    assert named(found, of_driver=True) == case["driver"]
    files = {item.path: item.content for item in found if isinstance(item, File)}
    for path, lines in case["files"].items():
        content = files[path]
        assert isinstance(content, Text)
        assert not [line for line in lines if line not in content.text], content.text
    for path, known in case.get("keys", {}).items():
        key = files[path]
        assert isinstance(key, FetchedKey)
        assert known in (*key.fingerprints, key.sha256)
        assert key.url.startswith("https://")
    sources = {path for path in files if path.endswith((".list", ".repo"))}
    assert {path for path in case["files"] if path.endswith((".list", ".repo"))} <= sources
    system = systems.of(one.facts)
    assert system is not None
    assert (system.manager.name, list(system.initramfs)) == (case["manager"], case["initramfs"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_first_contact_asks_for_all_of_it(case: dict[str, Any]) -> None:
    """But for the driver's, which is asked for by itself."""
    asked = {name.partition(":")[2] for name in ask.generic()}
    found = [
        item for item in items(seen(case["facts"])) if getattr(item, "part", Part.DRIVER) is not Part.DRIVER
    ]
    paths = {item.path for item in found if isinstance(item, File) and "/hostler/" not in item.path}
    names = {item.name for item in found if isinstance(item, Package)}
    assert sorted((paths | names) - asked) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_what_the_roles_are_told(case: dict[str, Any]) -> None:
    facts = {"manager": case["manager"], "os": case["facts"]["os_id"], "version": case["facts"]["os_version"]}
    package = Package(name="x", part=Part.DRIVER)
    made = Manifest(host="gpu-1", uid=world.UID, epoch=0, release=0, packages=(package,), facts=facts)
    told = variables.host_variables(made)
    assert told["packages_manager"] == case["manager"]
    assert [" ".join(words) for words in told["driver_before"]] == case.get("before", [])
    assert told["driver_kept"] == case.get("kept", [])
    assert told["driver_initramfs"] == case["initramfs"]


@pytest.mark.parametrize(("name", "major"), EVERY)
def test_each_enterprise_release_is_built(name: str, major: str) -> None:
    one = seen({"os_id": name, "os_version": f"{major}.1", "kernel": f"5.14.0-1.el{major}.x86_64"})
    assert one.facts
    assert nvidia.obstacle(one.facts) == ""
    assert not [path for path in (i.path for i in items(one) if isinstance(i, File)) if "/apt" in path]
    working = seen({"os_id": name, "os_version": major}, "none")
    assert driver.refusals(working) == ()


@pytest.mark.parametrize(
    "facts",
    [
        {"os_id": "rocky", "os_version": "7.9"},
        {"os_id": "fedora", "os_version": "42"},
        {"os_id": "rocky", "os_version": "9.6", "arch": "aarch64"},
    ],
)
def test_what_is_not_built_is_refused_with_what_is(facts: dict[str, str]) -> None:
    found = driver.refusals(seen(facts, "none"))
    assert [notice.level for notice in found] == ["refuse"]
    assert systems.BUILT in found[0].text


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"secure_boot": True}, driver.SECURE_BOOT),
        ({"half": ("nvidia-open",)}, "an installation was interrupted: nvidia-open"),
        ({"runfile": True}, "it came from NVIDIA's .run file, of which no package knows"),
    ],
)
def test_where_a_person_must(state: dict[str, Any], why: str) -> None:
    one = seen(ROCKY, driver=state)
    assert one.facts
    assert nvidia.obstacle(one.facts) == why
    assert nvidia.items(world.stack(), one.facts) == ()


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ((), ""),
        (("podman-docker",), "podman-docker cannot be there beside docker-ce"),
        (("podman-docker", "runc"), "sudo dnf remove podman-docker runc"),
        (("docker-ce", "runc"), ""),
    ],
)
def test_what_is_in_dockers_way_is_named(there: tuple[str, ...], words: str) -> None:
    found = list(docker.notices(seen(ROCKY, there=there)))
    assert [notice.level for notice in found] == ["refuse"] * bool(words)
    assert words in "".join(notice.text for notice in found)


def test_a_docker_that_was_there_keeps_its_source() -> None:
    def files(*there: str) -> list[str]:
        found = docker.items(world.stack(), seen(ROCKY, there=there))
        return [item.path for item in found if isinstance(item, File)]

    assert len(files()) == 2
    assert files("docker-ce") == []


def test_selinux_is_named_where_docker_confines_by_it() -> None:
    one = seen(ROCKY, selinux="enforcing")
    assert not list(docker.notices(one))
    settings = {f"json:{docker.DAEMON}": Value({"selinux-enabled": True}, world.AT)}
    confined = world.bare(1, facts=one.facts, observed=settings)
    assert [notice.text for notice in docker.notices(confined)] == [docker.CONFINED]


def test_a_mirror_stands_for_all_of_them() -> None:
    """And its own keys, where it signs anew."""
    file = world.stack(f"{world.STACK}mirror: {{apt: https://apt.example}}\n")
    one = seen(ROCKY)
    assert one.facts
    found = (
        *docker.items(file, one),
        *toolkit.items(file, one),
        *nvidia.items(file, one.facts),
    )
    texts = [item.content for item in found if isinstance(item, File)]
    addresses = [
        line.removeprefix("baseurl=")
        for content in texts
        if isinstance(content, Text)
        for line in content.text.splitlines()
        if line.startswith("baseurl=")
    ]
    addresses += [content.url for content in texts if isinstance(content, FetchedKey)]
    assert len(addresses) == 7
    assert not [address for address in addresses if not address.startswith("https://apt.example/")]
