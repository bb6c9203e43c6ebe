"""Inventory, variables, files and playbooks for plain ansible-playbook; the same that Hostler's own runs use.

No secret is in what is written: where a role needs one, the inventory looks into an environment variable.
"""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostler import resources
from hostler.configure import baking, base, ordering, program, variables
from hostler.configure.connections import PYTHON, Connections, known_hosts
from hostler.configure.entries import Template
from hostler.configure.types import Change
from hostler.errors import UsageError
from hostler.hosts.types import Host
from hostler.manifest.items import Manifest

MARK = "# Written by hostler; edits here are lost.\n"
INVENTORY = "inventory.yml"
PARTS = ("edge", "engine", "gateway")
HOW = (
    "site.yml",
    "driver.yml",
    "reboot.yml",
    "prepare.yml",
    "service.yml",
    "gateway.yml",
    "updates.yml",
    "upgrade.yml",
    "teardown.yml",
)
CONTROLLER = "hostler_controller"  # a group, and the name of the program for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Groups, and the variables of groups and hosts."""

    groups: Mapping[str, Sequence[str]]
    every: Mapping[str, Any]
    hosts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])


def render(
    directory: Path,
    hosts: Sequence[Host],
    manifests: Mapping[str, Manifest],
    changes: Sequence[Change] | None = None,
) -> None:
    """Everything for `cd DIRECTORY && ansible-playbook -i inventory.yml site.yml`. With `changes`, what is ours
    and no longer wanted is removed as well. Raises UsageError for a folder with other people's files."""
    refuse_foreign(directory)
    gone = variables_of_removed(changes)
    every = common(
        "by-hand", {name: by_hand(name) for name in variables.secrets_named(manifests)}, folder="playbook_dir"
    )
    made = inventory(hosts, manifests, None, every, Connections(folder="{{ playbook_dir }}"), gone)
    directory.mkdir(parents=True, exist_ok=True)
    write_inventory(directory, made, hosts)
    (directory / "ansible.cfg").write_text(MARK + configuration(len(hosts)))
    source = resources.playbooks()
    for name in HOW:
        shutil.copyfile(source / name, directory / name)
    for name in ("roles", "library", "tasks"):
        shutil.rmtree(directory / name, ignore_errors=True)
        shutil.copytree(source / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))


def refuse_foreign(directory: Path) -> None:
    config = directory / "ansible.cfg"
    ours = config.is_file() and config.read_text().startswith(MARK)
    if directory.is_dir() and any(directory.iterdir()) and not ours:
        raise UsageError.of(
            str(directory),
            expected="a new or empty folder, or one that was rendered before",
            got="other files",
            next_step="name another folder",
        )


def inventory(
    hosts: Sequence[Host],
    manifests: Mapping[str, Manifest],
    changes: Sequence[Change] | None,
    every: Mapping[str, Any],
    connections: Connections,
    gone: Mapping[str, Mapping[str, Any]],
    bake_s: int = 0,
    order: Sequence[str] = (),
) -> Inventory:
    """Who is in which play, and each host's variables. With `changes`: only hosts and parts that differ. `bake_s`: how
    long the first replica of each model is watched at least. `order`: of replicas that are exchanged; `hosts` stand in it."""
    values: dict[str, dict[str, Any]] = {}
    bakes = baking.seconds([host.name for host in hosts], manifests, changes, bake_s, order)
    for host in hosts:
        mine = None if changes is None else [c for c in changes if c.host == host.name]
        idle: dict[str, Any] = {"hostler_parts": []}
        made = idle if mine == [] else variables.host_variables(manifests[host.name], mine)
        python = manifests[host.name].facts.get("python") or PYTHON
        if "engine_containers" in made:
            made["engine_containers"] = ordering.replicas(made["engine_containers"], order)
        more = {**bakes.get(host.name, {}), **gone.get(host.name, {})}
        values[host.name] = {**connections.variables(host, python), **made, **more}
    return Inventory(groups=groups(values), every=every, hosts=values)


def groups(values: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """A play has a group: hosts are in it when it has work there."""
    found = {"hostler": list(values), "hostler_prepare": [n for n, v in values.items() if _prepares(v)]}
    for part in PARTS:
        has = "engine_containers" if part == "engine" else f"{part}_files"
        found[f"hostler_{part}"] = [n for n, v in values.items() if v.get(has)]
    found["hostler_weights"] = [n for n, v in values.items() if v.get("engine_models")]
    found[CONTROLLER] = [n for n, v in values.items() if "controller_wanted" in v]
    gone = ("engine_retire", "engine_remove", "engine_unneeded")
    found["hostler_retire"] = [n for n, v in values.items() if any(v.get(name) for name in gone)]
    return found


def _prepares(values: Mapping[str, Any]) -> bool:
    parts = {"base", "docker", "toolkit"}.intersection(values.get("hostler_parts", ()))
    named = ("engine_images", "engine_models", "engine_tags", "engine_room")
    return bool(parts or any(values.get(name) for name in named))


def variables_of_removed(changes: Sequence[Change] | None) -> dict[str, dict[str, Any]]:
    names = dict.fromkeys(change.host for change in changes or () if change.host)
    return {name: variables.retired([c for c in changes or () if c.host == name]) for name in names}


def common(run: str, secrets: Mapping[str, Template], *, folder: str = "inventory_dir") -> dict[str, Any]:
    """`folder`: Ansible's variable for where `files` lies. By hand that is beside the playbooks, whose group_vars
    hold with any inventory."""
    names = {"base_program": "hostler-node", "controller_program": program.NAME}
    packed = {
        name: Template(f"{{{{ lookup('ansible.builtin.file', {folder} ~ '/files/{file}.b64') }}}}")
        for name, file in names.items()
    }
    return {"hostler_run": run, "hostler_secrets": dict(secrets), **packed}


def by_hand(name: str) -> Template:
    """A secret from the environment variable of its name."""
    return Template(f"{{{{ lookup('ansible.builtin.env', {environment_name(name)!r}) }}}}")


def environment_name(name: str) -> str:
    return re.sub(r"\W", "_", name).upper()


def write_inventory(directory: Path, made: Inventory, hosts: Sequence[Host]) -> None:
    """inventory.yml and what lies beside it."""
    for name in ("host_vars", "group_vars", "files"):
        shutil.rmtree(directory / name, ignore_errors=True)
        (directory / name).mkdir()
    children = {name: {"hosts": dict.fromkeys(members)} for name, members in made.groups.items()}
    write_yaml(directory / INVENTORY, {"all": {"children": children}})
    write_yaml(directory / "group_vars" / "all.yml", made.every)
    for name, values in made.hosts.items():
        write_yaml(directory / "host_vars" / f"{name}.yml", values)
    packed = base64.encodebytes(base.packed("hostler-node"))
    (directory / "files" / "hostler-node.b64").write_bytes(packed)
    if any(values.get("controller_home") for values in made.hosts.values()):
        archive = base64.encodebytes(program.archive())
        (directory / "files" / f"{program.NAME}.b64").write_bytes(archive)
    (directory / "known_hosts").write_text(known_hosts(hosts))


def write_yaml(path: Path, value: Any) -> None:
    path.write_text(MARK + "---\n" + as_yaml(value))


def as_yaml(value: Any) -> str:
    """YAML in which only templates are evaluated."""
    import yaml

    class Dumper(yaml.SafeDumper):
        represent_scalar: Any

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - one file, one reading
            return True

    def text(dumper: Dumper, data: str) -> Any:
        tag = "!unsafe" if looks_evaluated(data) else "tag:yaml.org,2002:str"
        return dumper.represent_scalar(tag, str(data), style="|" if _block(data) else None)

    def template(dumper: Dumper, data: Template) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", str(data), style='"')

    Dumper.add_representer(str, text)
    Dumper.add_representer(Template, template)
    return yaml.dump(value, Dumper=Dumper, width=1000, sort_keys=False, allow_unicode=True)


def looks_evaluated(text: str) -> bool:
    return not isinstance(text, Template) and any(mark in text for mark in ("{{", "{%", "{#"))


def _block(text: str) -> bool:
    return "\n" in text and "\t" not in text and not any(line.endswith(" ") for line in text.split("\n"))


def inventory_list(
    hosts: Sequence[Host], manifests: Mapping[str, Manifest], changes: Sequence[Change] | None = None
) -> dict[str, Any]:
    """The answer to `--list` of Ansible's dynamic inventory protocol; everything is in it, so `--host` is never asked."""
    every = common("by-hand", {name: by_hand(name) for name in variables.secrets_named(manifests)})
    every["base_program"] = base64.b64encode(base.packed("hostler-node")).decode()
    del every["controller_program"]
    made = inventory(hosts, manifests, None, every, Connections(folder=""), variables_of_removed(changes))
    found: dict[str, Any] = {name: {"hosts": list(members)} for name, members in made.groups.items()}
    found["all"] = {"children": list(made.groups), "vars": guarded(made.every)}
    found["_meta"] = {"hostvars": guarded(made.hosts)}
    return found


def guarded(value: Any) -> Any:
    """JSON in which only templates are evaluated."""
    if isinstance(value, Mapping):
        pairs = dict[str, Any](value)  # pyright: ignore[reportUnknownArgumentType]
        return {key: guarded(item) for key, item in pairs.items()}
    if isinstance(value, list):
        return list(map(guarded, list[Any](value)))  # pyright: ignore[reportUnknownArgumentType]
    return {"__ansible_unsafe": value} if isinstance(value, str) and looks_evaluated(value) else value


def configuration(hosts: int) -> str:
    """ansible.cfg, for runs by hand and our own."""
    return f"""[defaults]
inventory = {INVENTORY}
roles_path = roles
library = library
host_key_checking = True
interpreter_python = /usr/bin/python3
gathering = explicit
no_target_syslog = True
forks = {max(1, min(hosts, 32))}
timeout = 20
retry_files_enabled = False
display_skipped_hosts = False
nocows = True
remote_tmp = /tmp

[ssh_connection]
pipelining = True
ssh_args = -o ControlMaster=auto -o ControlPersist=30s -o BatchMode=yes -o ServerAliveInterval=15 -o ServerAliveCountMax=4
"""
