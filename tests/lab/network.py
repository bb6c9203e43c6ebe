"""A bridge and a subnet for each lab, and the cuts made on it."""

import json
from contextlib import suppress
from pathlib import Path

from .cache import labs
from .shell import LabError, sh

RULES = """
table bridge {table} {{
  set cut {{ type ipv4_addr; }}
  set pairs {{ type ipv4_addr . ipv4_addr; }}
  chain forward {{ type filter hook forward priority 0;
    ip saddr @cut drop; ip daddr @cut drop; ip saddr . ip daddr @pairs drop; }}
  chain input {{ type filter hook input priority 0; ip saddr @cut drop; }}
  chain output {{ type filter hook output priority 0; ip daddr @cut drop; }}
}}
"""


def free_number() -> int:
    """A subnet 10.77.N.0/24 that no lab and no interface has."""
    used = {int(json.loads(f.read_text())["number"]) for f in labs().glob("*/lab.json")}
    for link in json.loads(sh("ip", "-j", "address")):
        for address in link.get("addr_info", []):
            parts = address.get("local", "").split(".")
            if parts[:2] == ["10", "77"]:
                used.add(int(parts[2]))
    for number in range(1, 250):
        if number not in used:
            return number
    raise LabError("no free subnet: 249 labs run on this machine")


def bridge_name(number: int) -> str:
    return f"hostlerlab{number}"


def _table(number: int) -> str:
    return f"hostler_lab_{number}"


def _forward_dropped() -> bool:
    """Docker on the machine sets FORWARD to DROP, and bridged packets may pass there."""
    return "-P FORWARD DROP" in sh("iptables", "-S", "FORWARD", check=False)


def make_network(number: int) -> None:
    bridge = bridge_name(number)
    sh("ip", "link", "add", bridge, "type", "bridge")
    sh("ip", "address", "replace", f"10.77.{number}.1/24", "dev", bridge)
    sh("ip", "link", "set", bridge, "up")
    sh("nft", "-f", "-", stdin=RULES.format(table=_table(number)))
    if _forward_dropped():
        sh("iptables", "-I", "FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT")
    # each systemd takes some; 128 are used up by about 13 hosts
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if int(limit.read_text()) < 8192:
        with suppress(OSError):
            limit.write_text("8192")


METADATA = """
table ip {table} {{ chain prerouting {{ type nat hook prerouting priority dstnat;
  iifname {bridge} ip daddr 169.254.169.254 tcp dport 80 dnat to {address}:80; }}
}}
"""


def enter_cloud(number: int) -> str:
    """A cloud's own address on the bridge, and that of its metadata service as its instances know it."""
    bridge, address = bridge_name(number), f"10.77.{number}.2"
    sh("ip", "address", "replace", f"{address}/24", "dev", bridge)
    sh("ip", "address", "replace", f"10.78.{number}.1/24", "dev", bridge)
    sh(
        "nft",
        "-f",
        "-",
        stdin=METADATA.format(table=f"{_table(number)}_cloud", bridge=bridge, address=address),
    )
    return address


def leave_cloud(number: int) -> None:
    sh("nft", "delete", "table", "ip", f"{_table(number)}_cloud", check=False)
    for address in (f"10.77.{number}.2/24", f"10.78.{number}.1/24"):
        sh("ip", "address", "delete", address, "dev", bridge_name(number), check=False)


def remove_network(number: int) -> None:
    bridge = bridge_name(number)
    leave_cloud(number)
    if _forward_dropped():
        sh("iptables", "-D", "FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT", check=False)
    sh("nft", "delete", "table", "bridge", _table(number), check=False)
    sh("ip", "link", "delete", bridge, check=False)


def _elements(number: int, action: str, where: str, elements: list[str]) -> None:
    words = f"{action} element bridge {_table(number)} {where} {{ {', '.join(elements)} }}"
    sh("nft", words, check=action == "add")


def cut(number: int, address: str) -> None:
    """Nothing reaches this address or comes from it; its link stays up."""
    _elements(number, "add", "cut", [address])


def restore(number: int, address: str) -> None:
    _elements(number, "delete", "cut", [address])


def cut_pair(number: int, one: str, other: str) -> None:
    _elements(number, "add", "pairs", [f"{one} . {other}", f"{other} . {one}"])


def heal_pair(number: int, one: str, other: str) -> None:
    _elements(number, "delete", "pairs", [f"{one} . {other}", f"{other} . {one}"])
