"""What is open to the network: SSH, the edge, the gateway, and nothing else."""

from __future__ import annotations

import pytest

from e2e.desk import Desk
from lab.hosts import Host

pytestmark = pytest.mark.lab

SCAN = """
import asyncio, sys
async def look(port, gate):
    async with gate:
        for limit in (2, 10, 20):  # a busy machine answers late
            try:
                _, writer = await asyncio.wait_for(asyncio.open_connection(sys.argv[1], port), limit)
                writer.close()
                return port
            except asyncio.TimeoutError:
                pass
            except OSError:
                return None
async def main():
    gate = asyncio.Semaphore(400)
    found = await asyncio.gather(*(look(port, gate) for port in range(1, 65536)))
    print(*sorted(port for port in found if port))
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("host", "scanner", "open_ports"), [("gpu-1", "gpu-2", {22, 8000, 8443}), ("gpu-2", "gpu-1", {22, 8443})]
)
def test_nothing_else_is_open(
    steady: Desk, hosts: dict[str, Host], host: str, scanner: str, open_ports: set[int]
) -> None:
    done = hosts[scanner].run(["python3", "-c", SCAN, hosts[host].address], timeout=180)
    assert {int(port) for port in done.stdout.split()} == open_ports


def test_an_edge_lets_only_the_gateway_in(steady: Desk, hosts: dict[str, Host]) -> None:
    address = f"https://{hosts['gpu-2'].address}:8443/v1/models"
    done = hosts["gpu-1"].run(["curl", "-sk", "--max-time", "5", address], check=False)
    assert done.returncode != 0
    assert done.stdout == ""


def test_no_secret_anywhere(steady: Desk, hosts: dict[str, Host]) -> None:
    """The clients' key, private keys and the passphrase: in no argv, log, artifact or plain state."""
    key = steady.connection()["key"]
    state = steady.operator.home / ".local/state/hostler"
    passphrase = next(state.rglob("passphrase")).read_text().strip()
    for name, host in hosts.items():
        found = host.run(
            ["grep", "-rlF", key, "/etc", "/var/log", "/var/lib/hostler", "/run", "/tmp", "/root"],
            check=False,
        )
        assert found.stdout == "", name
        assert key not in host.run(["journalctl", "--no-pager", "-o", "cat"]).stdout
        assert (
            key
            not in host.run(
                ["sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '"]
            ).stdout
        )
    holders = {
        str(p.relative_to(state)) for p in state.rglob("*") if p.is_file() and key.encode() in p.read_bytes()
    }
    assert holders == {"stacks/lab/keys.json"}
    plain = [
        p
        for p in state.rglob("*")
        if p.is_file() and p.name != "passphrase" and passphrase.encode() in p.read_bytes()
    ]
    assert plain == []
    loose = [
        str(p)
        for p in state.rglob("*")
        if p.is_file() and p.stat().st_mode & 0o077 and p.name in ("keys.json", "passphrase")
    ]
    assert loose == []


def test_prompts_and_answers_are_never_logged(steady: Desk, hosts: dict[str, Host]) -> None:
    word = "Xylophonequartz"
    steady.ask(f"Repeat the word {word}.")
    for host in hosts.values():
        assert word not in host.run(["journalctl", "--no-pager", "-o", "cat"]).stdout
        assert (
            word
            not in host.run(["sh", "-c", "for c in $(docker ps -q); do docker logs $c 2>&1; done"]).stdout
        )
