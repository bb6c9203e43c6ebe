"""Whether the controller reaches each host: it logs in as it will, and asks for root."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hostler.errors import HostlerError
from hostler.hosts import ways
from hostler.hosts.connect import transport_for
from hostler.hosts.types import Host, Ssh

LIMIT_S = 30.0


def prove() -> dict[str, str]:
    """Host -> empty, or why it is not reached."""
    names = sorted(ways.names())
    if not names:
        return {}
    with ThreadPoolExecutor(min(32, len(names))) as pool:
        return dict(zip(names, pool.map(_why_not, names), strict=True))


def _why_not(name: str) -> str:
    transport = transport_for(Host(name=name, pool="", ssh=Ssh(address="")))
    try:
        done = transport.run(["id", "-u"], timeout=LIMIT_S, root=True)
    except HostlerError as error:
        return str(error.problems[0]) if error.problems else str(error)
    finally:
        transport.close()
    if done.rc or done.stdout.strip() != b"0":
        return f"sudo does not make it root: {done.stderr.decode('utf-8', 'replace').strip() or done.rc}"
    return ""
