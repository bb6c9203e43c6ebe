from __future__ import annotations

import ast
import shlex
from typing import get_args

import pytest

from hostler.gateway import runtime
from hostler.gateway.connect import Kind, snippets
from hostler.gateway.specs import Paths

PATHS = Paths(etc="/etc/hostler/gateway", run="/run/hostler/gateway")
MAP = "/etc/hostler/gateway/keys.map"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
HOSTILE = "k'\"; $(touch /tmp/x) `id`\\"


def test_keys_are_revoked_before_others_are_added() -> None:
    live = {"a": "old", "b": "kept"}
    assert runtime.sync_keys(PATHS, (("b", "kept"), ("c", "new")), live) == (
        f"del map {MAP} a",
        f"add map {MAP} c new",
    )


def test_keys_that_are_as_they_should_be() -> None:
    assert runtime.sync_keys(PATHS, (("a", "x"),), {"a": "x"}) == ()


def test_a_key_under_another_name_is_replaced() -> None:
    assert runtime.sync_keys(PATHS, (("a", "new"),), {"a": "old"}) == (
        f"del map {MAP} a",
        f"add map {MAP} a new",
    )


def test_what_haproxy_shows() -> None:
    assert runtime.shown_keys("0x55d0 abc me\n0x55d1 def you\n\n") == {"abc": "me", "def": "you"}


def test_only_the_hash_of_a_key_is_kept() -> None:
    assert runtime.key_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("ca", ["", PEM], ids=["plain", "authority"])
def test_snippets_name_address_key_and_authority(kind: Kind, ca: str) -> None:
    text = snippets(kind, address="https://llm.example:8000/", key="sk-1", models=("chat",), ca=ca)
    assert "https://llm.example:8000/v1" in text
    assert "sk-1" in text
    assert ("BEGIN CERTIFICATE" in text) == bool(ca)


@pytest.mark.parametrize("kind", ["openai", "langchain"])
def test_python_takes_any_key_as_one_string(kind: Kind) -> None:
    tree = ast.parse(snippets(kind, address="http://x:1", key=HOSTILE, models=("m",)))
    assert HOSTILE in [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]


def test_the_shell_takes_any_key_as_one_word() -> None:
    words = shlex.split(snippets("curl", address="http://x:1", key=HOSTILE, models=("m",)))
    assert f"Authorization: Bearer {HOSTILE}" in words
    words = shlex.split(
        snippets("open-webui", address="http://x:1", key=HOSTILE, models=("m",)), comments=True
    )
    assert f"OPENAI_API_KEY={HOSTILE}" in words


def test_a_stack_without_models() -> None:
    assert '"MODEL"' in snippets("openai", address="http://x:1", key="k", models=())
