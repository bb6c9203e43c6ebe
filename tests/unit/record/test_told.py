"""What a record may say of hosts: nothing that becomes a word of a command, a line of a file, or another file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.errors import RefusedError
from hostler.hosts.types import Host, Seen, Slot, Ssh
from hostler.record import store
from hostler.record.types import Record

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx0"
SSH = Ssh(address="203.0.113.9", user="ubuntu", port=22, key="/home/ann/my keys/id", host_key=KEY)
HOST = Host(name="burst-0", pool="burst", ssh=SSH, owned=False)


def load(host: Host, name: str = "burst-0", **more: Any) -> Record:
    record = Record(uid="u1", stack="s", hosts={name: host}, **more)
    return store.load(store.dump(record), "gpu-1: record")


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"address": "gpu1.lan."},
        {"address": "2001:db8::7"},
        {"address": "local", "user": None, "port": None, "key": None, "host_key": None},
        {"address": ""},
        {"address": "my_alias", "jump": "root@door:2222,[2001:db8::1]:22"},
        {"user": "Ann.Smith-2", "port": 65535, "key": "~/.ssh/id_ed25519"},
        {"host_key": KEY + " burst-0 comment"},
    ],
)
def test_what_a_stack_file_can_say_is_taken(good: dict[str, Any]) -> None:
    host = replace(HOST, ssh=replace(SSH, **good))
    assert load(host).hosts["burst-0"] == host


@pytest.mark.parametrize(
    ("field", "strange"),
    [
        ("address", "-oProxyCommand=id"),
        ("address", "203.0.113.9 -o ProxyCommand=id"),
        ("address", "a\nb"),
        ("address", "*"),
        ("address", "{{ 6 * 7 }}"),
        ("address", "999.1.1.1"),
        ("user", "-l"),
        ("user", "root -o ProxyCommand=id"),
        ("user", "{{ x }}"),
        ("port", -1),
        ("port", 65536),
        ("key", "-oProxyCommand=id"),
        ("key", "/k\nx"),
        ("key", "/{{ lookup('pipe', 'id') }}"),
        ("key", "/{% x %}"),
        ("jump", "-oProxyCommand=id"),
        ("jump", "a b"),
        ("host_key", f"{KEY}\n* {KEY}"),
        ("host_key", f"{KEY} one\r* {KEY}"),
        ("host_key", f"@cert-authority * {KEY}"),
        ("host_key", "ssh-ed25519"),
    ],
)
def test_all_else_is_refused(field: str, strange: Any) -> None:
    with pytest.raises(RefusedError) as caught:
        load(replace(HOST, ssh=replace(SSH, **{field: strange})))
    problem = caught.value.problems[0]
    assert problem.where == f"gpu-1: record: hosts.burst-0.ssh.{field}"
    assert problem.expected
    assert repr(str(strange))[:20] in problem.got
    assert problem.next_step


@pytest.mark.parametrize(
    "name", ["../../.ssh/config", "-oProxyCommand=id", "", "a/b", "A", "a b", "x\ny", "{{ x }}"]
)
def test_a_name_is_a_name(name: str) -> None:
    """It becomes host_vars/NAME.yml and known-NAME."""
    with pytest.raises(RefusedError, match="expected a host's name"):
        load(replace(HOST, name=name), name)
    with pytest.raises(RefusedError, match="expected its own name, burst-0"):
        load(replace(HOST, name=name))
    with pytest.raises(RefusedError, match="expected a host's name"):
        load(HOST, slots={name: Slot(name=name)})
    with pytest.raises(RefusedError, match="expected its own name, burst-0"):
        load(HOST, slots={"burst-0": Slot(name=name)})


@pytest.mark.parametrize("pool", ["../x", "-x", "a b", "{{ x }}"])
def test_so_is_a_pools(pool: str) -> None:
    with pytest.raises(RefusedError, match=r"burst-0\.pool: expected a name"):
        load(replace(HOST, pool=pool))
    with pytest.raises(RefusedError, match=r"slots\.burst-0\.pool: expected a name"):
        load(HOST, slots={"burst-0": Slot(name="burst-0", pool=pool)})


def test_a_copy_is_no_better() -> None:
    record = Record(uid="u1", stack="s", hosts={"x": replace(HOST, name="../x")})
    seen = Seen(host="gpu-1", at=0.0, seconds=0.0, record=store.dump(record), copy=store.dump(record))
    with pytest.raises(RefusedError, match=r"gpu-1: record: hosts\.x\.name"):
        store.at_home({"gpu-1": seen})
    assert store.best_copy({"gpu-1": seen}) is None
