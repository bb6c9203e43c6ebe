"""Variables, specs and defaults agree: this is what finds a misspelt variable."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from hostler import resources
from hostler.configure import difference, render, variables
from hostler.configure.connections import Connections
from hostler.node.base import files
from worlds import configure_world as world

ROLES = sorted(path.name for path in (resources.playbooks() / "roles").iterdir())
COMMON = {"hostler_run", "hostler_secrets", "hostler_parts"}


def load(role: str, name: str) -> Any:
    path = resources.playbooks() / "roles" / role / name
    return yaml.safe_load(path.read_text()) if path.exists() else {}


def options(role: str) -> dict[str, Any]:
    """All options of all entry points."""
    specs = load(role, "meta/argument_specs.yml")["argument_specs"]
    return {name: option for entry in specs.values() for name, option in entry["options"].items()}


@pytest.mark.parametrize("role", ROLES)
def test_every_optional_input_has_the_default_that_its_spec_says(role: str) -> None:
    stated = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert stated == (load(role, "defaults/main.yml") or {})


@pytest.mark.parametrize("role", ROLES)
def test_every_input_is_required_or_has_a_default(role: str) -> None:
    assert [n for n, o in options(role).items() if not o.get("required") and "default" not in o] == []


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_that_a_role_reads_is_its_own_or_common(role: str) -> None:
    text = "".join(path.read_text() for path in (resources.playbooks() / "roles" / role).glob("*/*.yml"))
    read = set(re.findall(rf"\b{role}_[a-z_]+\b", text)) - {f"{role}_certificates"}
    assert read - set(options(role)) == set()


@pytest.mark.parametrize("role", ROLES)
def test_every_file_of_tasks_checks_its_inputs(role: str) -> None:
    """A file that is an entry point has a spec; the others are included by one that has."""
    entries = set(load(role, "meta/argument_specs.yml")["argument_specs"])
    included = re.findall(
        r"tasks_from: (\w+)", "".join(p.read_text() for p in resources.playbooks().glob("*.yml"))
    )
    files = {path.stem for path in (resources.playbooks() / "roles" / role / "tasks").iterdir()}
    assert files & {"main", *included} <= entries


def written() -> set[str]:
    """Every variable that the renderer writes, for a first contact, for a stack as it is, and for leftovers."""
    manifests = world.manifests(file=world.stack(world.ALONE))
    seen = {"gpu-1": world.bare(1), "gpu-2": world.bare(2)}
    changes = [c for name, m in manifests.items() for c in difference.difference(m, seen[name])]
    every = render.common("run", {})
    names: set[str] = {*every, "engine_cut", "base_claimed"}
    for given in (None, changes):
        made = render.inventory(world.hosts(), manifests, given, every, Connections(folder="/x"), {})
        names |= {name for values in made.hosts.values() for name in values}
    return names | {"engine_retire", "engine_remove", "engine_room", "engine_unneeded"}


def test_every_variable_that_is_written_is_listed_by_a_role() -> None:
    listed = {name for role in ROLES for name in options(role)} | COMMON
    assert {name for name in written() if not name.startswith("ansible_")} - listed == set()


def test_every_key_of_what_is_written_is_listed_too() -> None:
    """One level deeper: the keys of lists of mappings and of mappings."""
    listed = {
        name: option["options"]
        for role in ROLES
        for name, option in options(role).items()
        if "options" in option
    }
    values = variables.host_variables(world.manifests()["gpu-1"])
    found = {
        (name, key)
        for name in listed.keys() & values.keys()
        for entry in (values[name] if isinstance(values[name], list) else [values[name]])
        for key in entry
    }
    assert found - {(name, key) for name, option in listed.items() for key in option} == set()
    assert {name for name, _ in found} == {"base_claim", "base_made", "engine_models", "packages_wanted"}


def test_every_required_input_is_written() -> None:
    passed_on = {"door", "teardown"}  # by other roles, by hand
    required = {
        n for role in ROLES if role not in passed_on for n, o in options(role).items() if o.get("required")
    }
    assert required - written() == set()


def test_retired_variables_are_those_of_the_engine_role() -> None:
    manifest = world.manifests()["gpu-1"]
    seen = world.as_wanted(manifest)
    ours = {
        **seen.ours,
        "containers": (*seen.ours["containers"], "old-0"),
        "models": (*seen.ours["models"], "/m/x"),
    }
    from dataclasses import replace

    found = variables.retired(difference.difference(manifest, replace(seen, ours=ours)))
    assert found["engine_retire"] == ["old-0"]
    assert [entry["path"] for entry in found["engine_remove"]] == [
        f"/m/x{files.BESIDE}",
        f"/m/x.part{files.BESIDE}",
        "/m/x.part",
        "/m/x",
    ]
    assert set(found) <= set(options("engine"))
