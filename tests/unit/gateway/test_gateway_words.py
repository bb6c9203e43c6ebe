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


def test_admins_have_a_map_of_their_own() -> None:
    admins = MAP.replace("keys", "admins")
    assert runtime.show_keys(PATHS, runtime.ADMINS) == f"show map {admins}"
    assert runtime.sync_keys(PATHS, (("c", "new"),), {"a": "old"}, runtime.ADMINS) == (
        f"del map {admins} a",
        f"add map {admins} c new",
    )


USAGE = """# table: usage, type: string, size:20480, used:3
0x7f0a1400a0d0: key=chat\\ me use=0 exp=0 shard=0 http_req_cnt=3 bytes_out_cnt=1450
0x7f0a1400a1d0: key=org.m:q4\\ lap-top use=1 exp=0 shard=0 http_req_cnt=1 bytes_out_cnt=0
0x7f0a1400a2d0: key=chat\\ internal use=0 exp=0 shard=0 http_req_cnt=12 bytes_out_cnt=99999999999

"""


def test_usage_by_model_and_key() -> None:
    assert runtime.usage(USAGE) == {
        ("chat", "me"): (3, 1450),
        ("org.m:q4", "lap-top"): (1, 0),
        ("chat", "internal"): (12, 99999999999),
    }


@pytest.mark.parametrize(
    "answer", ["", "\n", "# table: usage, type: string, size:20480, used:0\n", "Unknown command"]
)
def test_nothing_was_used(answer: str) -> None:
    assert runtime.usage(answer) == {}


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


SPENT = {"ci": (1796083200.4, "12.30 of 12.00 EUR; it is free"), "b": (5.0, "1\n2  3")}


def test_spent_keys_as_a_map() -> None:
    assert runtime.spent_map(SPENT) == "b 5 1 2 3\nci 1796083200 12.30 of 12.00 EUR; it is free\n"
    assert runtime.spent_map({}) == ""
    assert runtime.spent_map({"a b": (1, "x"), "#": (1, "x"), "c;d": (1, "x"), "": (1, "x")}) == ""
    assert runtime.spent(runtime.spent_map(SPENT)) == {
        "ci": (1796083200.0, "12.30 of 12.00 EUR; it is free"),
        "b": (5.0, "1 2 3"),
    }


@pytest.mark.parametrize("text", ["", "ci\n", "ci 12\n", "ci soon 12 of 12\n", "\0\n"])
def test_what_is_damaged_is_nobody(text: str) -> None:
    assert runtime.spent(text) == {}


def test_spent_keys_live() -> None:
    answer = "0x1 b 5 1 2 3\n0x2 old 7 x\n0x3 ci 1796083200 11.00 of\n\n"
    assert runtime.sync_spent("/run/spent.map", SPENT, answer) == (
        "del map /run/spent.map old",
        r"set map /run/spent.map ci 1796083200\ 12.30\ of\ 12.00\ EUR\;\ it\ is\ free",
    )
    assert runtime.sync_spent("/run/spent.map", {"b": (5, "1 2 3")}, "0x1 b 5 1 2 3\n") == ()
    assert runtime.sync_spent("/m", {"b": (5, "x")}, "Unknown map identifier.\n") == (r"add map /m b 5\ x",)
