"""What people and Ansible are given: text stays text, and no secret is in it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jinja2
import pytest
import yaml

from hostler.configure import render
from hostler.configure.connections import Connections
from hostler.errors import HostError, UsageError
from hostler.hosts.types import Host, Ssh
from hostler.manifest.contents import SecretRef, Text
from hostler.manifest.items import File, Manifest, Part
from worlds import configure_world as world

LOOKS_LIKE_A_TEMPLATE = "{{ 7 * 7 }} {% raw %} {# gone? #}\n"


def with_text(text: str) -> dict[str, Manifest]:
    made = world.manifests()
    file = File(path="/etc/hostler/x", part=Part.BASE, content=Text(text=text))
    return {name: replace(manifest, files=(file, *manifest.files)) for name, manifest in made.items()}


def ansible(folder: Path, *words: str) -> str:
    """What Ansible makes of an inventory, without a host."""
    environment = {**os.environ, "ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    program = Path(sys.executable).parent / "ansible"
    done = subprocess.run(
        [program, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def told(output: str) -> str:
    return json.loads(output.partition("=>")[2])["msg"]


MSG = ("gpu-1", "-m", "ansible.builtin.debug", "-a", "msg={{ base_files[0].text }}")


def test_text_that_looks_like_a_template_is_only_text(tmp_path: Path) -> None:
    render.render(tmp_path / "by-hand", world.hosts(), with_text(LOOKS_LIKE_A_TEMPLATE))
    assert (
        told(ansible(tmp_path / "by-hand", "-i", "inventory.yml", *MSG)).strip()
        == LOOKS_LIKE_A_TEMPLATE.strip()
    )


def test_the_dynamic_inventory_says_the_same(tmp_path: Path) -> None:
    render.render(tmp_path / "by-hand", world.hosts(), with_text(LOOKS_LIKE_A_TEMPLATE))
    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps(render.inventory_list(world.hosts(), with_text(LOOKS_LIKE_A_TEMPLATE))))
    script = tmp_path / "dynamic"
    script.write_text(f"#!/bin/sh\nexec cat {answer}\n")
    script.chmod(0o755)
    assert (
        told(ansible(tmp_path / "by-hand", "-i", str(script), *MSG)).strip() == LOOKS_LIKE_A_TEMPLATE.strip()
    )


@pytest.mark.parametrize("playbook", ["site.yml", "teardown.yml"])
def test_playbooks_are_whole(tmp_path: Path, playbook: str) -> None:
    render.render(tmp_path / "r", world.hosts(), world.manifests())
    environment = {**os.environ, "ANSIBLE_CONFIG": str(tmp_path / "r/ansible.cfg")}
    words: Sequence[str | Path] = (
        Path(sys.executable).parent / "ansible-playbook",
        "--syntax-check",
        playbook,
    )
    done = subprocess.run(
        words, cwd=tmp_path / "r", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_hosts_are_in_the_plays_that_concern_them(tmp_path: Path) -> None:
    render.render(tmp_path / "r", world.hosts(), world.manifests())
    children = yaml.safe_load((tmp_path / "r/inventory.yml").read_text())["all"]["children"]
    groups = {name: list(group["hosts"] or ()) for name, group in children.items()}
    both = ["gpu-1", "gpu-2"]
    assert groups == {
        "hostler": both,
        "hostler_prepare": both,
        "hostler_engine": both,
        "hostler_edge": both,
        "hostler_weights": both,
        "hostler_gateway": ["gpu-1"],
        "hostler_controller": [],
        "hostler_retire": [],
    }


def test_a_secret_is_named_and_nowhere_written(tmp_path: Path) -> None:
    secret = File(
        path="/etc/hostler/tls/server.key",
        part=Part.GATEWAY,
        content=SecretRef(name="gateway.tls.key", sha256="0" * 64),
    )
    made = {
        name: replace(manifest, files=(*manifest.files, secret))
        for name, manifest in world.manifests().items()
    }
    render.render(tmp_path / "r", world.hosts(), made)
    values = (tmp_path / "r/host_vars/gpu-1.yml").read_text()
    every = (tmp_path / "r/group_vars/all.yml").read_text()
    assert "hostler_secrets['gateway.tls.key']" in values
    assert "lookup('ansible.builtin.env', 'GATEWAY_TLS_KEY')" in every


def test_a_pinned_host_key_is_the_only_one_that_is_trusted(tmp_path: Path) -> None:
    pinned = tuple(
        replace(h, ssh=Ssh(address=h.ssh.address, user="root", host_key="ssh-ed25519 AAAA"))
        for h in world.hosts()
    )
    render.render(tmp_path / "r", pinned, world.manifests())
    assert (
        tmp_path / "r/known_hosts"
    ).read_text() == "10.0.0.1 ssh-ed25519 AAAA\n10.0.0.2 ssh-ed25519 AAAA\n"
    words = yaml.safe_load((tmp_path / "r/host_vars/gpu-1.yml").read_text().replace("!unsafe", ""))[
        "ansible_ssh_common_args"
    ]
    assert "StrictHostKeyChecking=yes" in words
    assert "UserKnownHostsFile={{ playbook_dir }}/known_hosts" in words
    assert "GlobalKnownHostsFile=/dev/null" in words


def test_a_host_key_of_two_lines_lets_nobody_in(tmp_path: Path) -> None:
    told = "ssh-ed25519 AAAA\n* ssh-ed25519 BBBB"
    hosts = tuple(replace(h, ssh=replace(h.ssh, host_key=told)) for h in world.hosts())
    with pytest.raises(HostError, match="expected one name and one public host key"):
        render.render(tmp_path / "r", hosts, world.manifests())
    assert "BBBB" not in "".join(p.read_text() for p in tmp_path.rglob("known_hosts"))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("/k", ["IdentityFile=/k"]),
        ("/k -o ProxyCommand=id", ["IdentityFile=/k -o ProxyCommand=id"]),
        ("/my keys/it's", ["IdentityFile=/my keys/it's"]),
        ("/{{ 6 * 7 }}", ["IdentityFile=/{{ 6 * 7 }}"]),
    ],
)
def test_what_a_host_is_reached_by_stays_one_word(key: str, words: list[str]) -> None:
    host = Host(name="h", pool="p", ssh=Ssh(address="10.0.0.1", key=key, host_key="ssh-ed25519 AAAA"))
    text = Connections(folder="{{ playbook_dir }}").variables(host)["ansible_ssh_common_args"]
    evaluated = jinja2.Template(text).render(playbook_dir="/f")
    assert [word for word in shlex.split(evaluated) if word.startswith("IdentityFile")] == words
    assert "UserKnownHostsFile=/f/known_hosts" in shlex.split(evaluated)
    assert "ProxyCommand=id" not in shlex.split(evaluated)


def test_other_peoples_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text("mine")
    with pytest.raises(UsageError, match="other files"):
        render.render(tmp_path, world.hosts(), world.manifests())
    assert (tmp_path / "site.yml").read_text() == "mine"


def test_rendering_again_leaves_no_host_that_has_gone(tmp_path: Path) -> None:
    render.render(tmp_path / "r", world.hosts(), world.manifests())
    render.render(tmp_path / "r", world.hosts()[:1], world.manifests())
    assert [path.name for path in (tmp_path / "r/host_vars").iterdir()] == ["gpu-1.yml"]
