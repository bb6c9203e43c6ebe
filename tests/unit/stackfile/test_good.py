"""Short forms, units and defaults; every good file can be shown, and read by an editor's schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hostler.stackfile.asked import asked_digest, asked_digests
from hostler.stackfile.config import as_json, config_text
from hostler.stackfile.hosts import host_name, hosts_of
from hostler.stackfile.load import load
from hostler.stackfile.schema import schema

from .cases import STACKS, at, cases, loaded, text_of

GOOD = cases("good")
TEXTS = {case["id"]: text_of(case) for case in GOOD} | {
    path.name: path.read_text(encoding="utf-8") for path in sorted(STACKS.glob("*.yaml"))
}
SHORTEST = TEXTS["the shortest"]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["id"])
def test_good(case: dict[str, Any]) -> None:
    stack = loaded(text_of(case)).stack
    assert {path: at(stack, path) for path in case["values"]} == case["values"]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_shown_file_means_the_same(text: str) -> None:
    file = loaded(text)
    shown = loaded(config_text(file))
    assert shown.stack == file.stack
    assert config_text(shown).replace("  # default", "") == config_text(file).replace("  # default", "")
    json.dumps(as_json(file))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_schema_takes_it(text: str) -> None:
    document = yaml.safe_load(text)
    if "<<" not in text:
        jsonschema.Draft202012Validator(schema()).validate(document)
    jsonschema.Draft202012Validator(schema()).validate(yaml.safe_load(config_text(loaded(text))))


def test_defaults_are_marked() -> None:
    text = config_text(loaded(SHORTEST))
    assert "stack: case  # default" in text
    assert "        name: basement  # default" in text
    assert "    pool: [home]  # default" in text
    assert "    drain: 10m  # default" in text
    assert '    source: "hf:bartowski/Meta-Llama-3-8B-Instruct-GGUF:Q4_K_M"\n' in text
    assert "    # context: not set; tokens of context" in text
    assert "  host: basement  # default" in text


def test_what_happens_to_rented_machines_is_shown_though_nobody_said_it() -> None:
    text = config_text(loaded(TEXTS["rented hosts beside owned ones"]))
    assert "    idle:  # default\n      after: 30m  # default\n      do: terminate  # default\n" in text
    assert "controller: none  # default" in text


def test_json_has_base_units_and_the_files_keys() -> None:
    shown = as_json(loaded(SHORTEST))
    assert shown["stack"]["models"]["chat"]["drain"] == 600.0
    assert shown["stack"]["pools"]["home"]["hosts"][0]["name"] == "basement"
    assert "models.chat.source" in shown["given"]
    assert "models.chat.drain" not in shown["given"]


@pytest.mark.parametrize("path", sorted(STACKS.glob("*.yaml")), ids=lambda path: path.name)
def test_examples_load(path: Path) -> None:
    assert load(path).stack.stack == path.stem


def test_examples_are_all_there() -> None:
    assert {path.stem for path in STACKS.glob("*.yaml")} >= {"lab", "workstation", "rack-3090"}


def test_positions() -> None:
    file = loaded(
        "pools:\n  home:\n    - basement\nmodels:\n  chat:\n    source: 'hf:a/b'\n    context: 8k\n"
    )
    assert file.where("models.chat.context") == "case.yaml:7:14 models.chat.context"
    assert file.where("models.chat.replicas") == "case.yaml:5:3 models.chat.replicas"
    assert file.where("gateway.port") == "case.yaml:1:1 gateway.port"
    assert file.where("pools.home.hosts[0]") == "case.yaml:3:7 pools.home.hosts[0]"


def test_hosts() -> None:
    text = TEXTS["hosts in all their forms"]
    hosts = hosts_of(loaded(text))
    assert [host.name for host in hosts][:3] == ["gpu1", "gpu2", "gpu3"]
    assert (hosts[2].ssh.user, hosts[2].ssh.address, hosts[2].ssh.port) == ("ops", "gpu3.lan", 2222)
    assert hosts[0].where == "case.yaml:3:7 pools.rack.hosts[0]"
    assert all(host.pool == "rack" and host.owned for host in hosts)


def test_a_key_file_is_relative_to_the_stack_file(tmp_path: Path) -> None:
    path = tmp_path / "office.yaml"
    path.write_text(
        "pools: {a: [{address: x, key: keys/id}, {address: y, key: ~/id}]}\nmodels: {c: 'hf:a/b'}\n"
    )
    first, second = hosts_of(load(path))
    assert first.ssh.key == str(tmp_path / "keys/id")
    assert second.ssh.key == str(Path("~/id").expanduser())


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("local", "local"),
        ("GPU-1.lan", "gpu-1"),
        ("10.0.0.5", "10-0-0-5"),
        ("fd00::1", "fd00-1"),
        ("my_box", "my-box"),
    ],
)
def test_host_names(address: str, name: str) -> None:
    assert host_name(address) == name


SAME = ["replicas: 3", "pool: home", "smoke: Hello", "drain: 1h", "private: true", "cache: f16"]
OTHER = [
    "context: 8k",
    "slots: 1",
    "slots: 2",
    "cache: q8_0",
    "args: [-v]",
    "cards: 1",
    "image: 'a/b:c'",
    "engine: llama.cpp",
]


@pytest.mark.parametrize(("more", "same"), [(m, True) for m in SAME] + [(m, False) for m in OTHER])
def test_asked_digest_is_of_what_runs(more: str, same: bool) -> None:
    plain = loaded("pools: {home: [a]}\nmodels: {chat: {source: 'hf:a/b'}}\n").stack
    changed = loaded(f"pools: {{home: [a]}}\nmodels: {{chat: {{source: 'hf:a/b', {more}}}}}\n").stack
    assert (asked_digest(plain, "chat") == asked_digest(changed, "chat")) is same
    assert asked_digests(plain) == {"chat": asked_digest(plain, "chat")}
