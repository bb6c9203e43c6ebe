"""The fallback: plain ansible-playbook on what `hostler render` and `hostler inventory` give does the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from e2e.desk import ROOT, Desk, replica_of
from lab.hosts import Host

pytestmark = [pytest.mark.lab, pytest.mark.soak]

RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.M)
SCRIPT = '#!/bin/sh\nexec "{hostler}" inventory -f "{file}" "$@"\n'


def rendered(desk: Desk) -> Path:
    folder = desk.operator.home / "by-hand"
    desk("render", str(folder))
    return folder


def played(desk: Desk, folder: Path, *words: str, book: str = "site.yml") -> tuple[dict[str, int], str]:
    """What ansible-playbook changed on each host, and all that it printed; nothing may fail."""
    done = desk.operator.run(["ansible-playbook", *words, book], cwd=folder, env=desk.env(), timeout=420)
    shown = done.stdout + done.stderr
    recap = RECAP.findall(done.stdout)
    assert done.returncode == 0, shown[-6000:]
    assert {host: (down, failed) for host, _, _, down, failed in recap} == {
        "gpu-1": ("0", "0"),
        "gpu-2": ("0", "0"),
    }
    changed = {host: int(changed) for host, _, changed, _, _ in recap}
    return changed, "\n".join(task for task in shown.split("TASK [") if "changed:" in task) + shown


def secrets(desk: Desk) -> set[bytes]:
    """What must stand nowhere: the clients' keys, and the passphrase of Pulumi's state."""
    state = desk.operator.home / ".local/state/hostler"
    return {desk.connection()["key"].encode(), next(state.rglob("passphrase")).read_bytes().strip()}


def test_bare_hosts_are_taken_to_the_same_by_plain_ansible(bare: Desk, hosts: dict[str, Host]) -> None:
    """What is left for `up` is no change of a host: the record, and what Pulumi expects."""
    changed, _ = played(bare, rendered(bare), "-i", "inventory.yml")
    assert all(changed.values())
    assert {replica_of(host) for host in hosts.values()} == {"chat-0", "chat-1"}
    assert bare.plan() == []
    bare.up()
    assert bare.plan() == []
    assert "Paris" in bare.ask()


def test_nothing_is_changed_where_nothing_differs(steady: Desk) -> None:
    folder = rendered(steady)
    changed, shown = played(steady, folder, "-i", "inventory.yml")
    assert changed == {"gpu-1": 0, "gpu-2": 0}, shown[:6000]
    assert steady.plan() == []
    for secret in secrets(steady):
        assert secret.decode() not in shown
        assert [path for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()] == []


def test_check_mode_shows_and_does_nothing(desk: Desk, hosts: dict[str, Host]) -> None:
    edited = [
        "sh",
        "-ec",
        "echo '# by hand' >> /etc/hostler/edge/haproxy.cfg; sha256sum /etc/hostler/edge/haproxy.cfg",
    ]
    before = hosts["gpu-2"].run(edited).stdout
    folder = rendered(desk)
    changed, _ = played(desk, folder, "-i", "inventory.yml", "--check")
    assert changed["gpu-1"] == 0
    assert changed["gpu-2"] > 0
    assert hosts["gpu-2"].run(["sha256sum", "/etc/hostler/edge/haproxy.cfg"]).stdout == before
    changed, _ = played(desk, folder, "-i", "inventory.yml")
    assert changed["gpu-2"] > 0
    assert desk.plan() == []


def test_the_dynamic_inventory_does_the_same(steady: Desk) -> None:
    """With the playbooks as they are in the checkout: all that they are given comes from the script."""
    script = steady.operator.home / "inventory"
    script.write_text(SCRIPT.format(hostler=steady.hostler, file=steady.file))
    script.chmod(0o755)
    changed, shown = played(
        steady, steady.operator.home, "-i", str(script), "-v", book=str(ROOT / "playbooks/site.yml")
    )
    assert changed == {"gpu-1": 0, "gpu-2": 0}, shown[:6000]
    answered = steady("inventory", "--list").out
    assert steady("inventory", "--host", "gpu-2").json["ansible_host"] == "gpu-2"
    for secret in secrets(steady):
        assert secret.decode() not in shown + answered
