"""The process that answers for the outside world on a lab's bridge: web, DNS, apt. Ends the lab when its owner is gone."""

import json
import os
import select
import signal
import socket
import struct
import sys
import threading
from pathlib import Path

from .aptproxy import AptProxy
from .pki import MIRRORS, NAMES, PYPI_NAMES, RPM_NAMES, server
from .shell import Process
from .sites import sites
from .web import Control, Web

OUTSIDE = (*NAMES, *MIRRORS, *RPM_NAMES, *PYPI_NAMES)


def _name(packet: bytes) -> tuple[str, int]:
    labels, at = list[str](), 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("ascii", "replace"))
        at += packet[at] + 1
    return ".".join(labels).lower(), at + 1


def dns_answer(packet: bytes, names: dict[str, str]) -> bytes:
    """A for what the lab knows, an empty answer for its other types, NXDOMAIN for the rest."""
    name, end = _name(packet)
    kind = struct.unpack("!H", packet[end : end + 2])[0]
    wildcard = next((names[known] for known in names if known[:2] == "*." and name.endswith(known[1:])), None)
    question, address = packet[12 : end + 4], names.get(name, wildcard)
    found = [socket.inet_aton(address)] if address and kind in (1, 255) else []
    flags = 0x8580 if address else 0x8583
    head = packet[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0)
    return head + question + b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + a for a in found)


def serve_dns(address: str, directory: Path) -> None:
    """One thread is enough: a lab asks little."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    while True:
        packet, client = server.recvfrom(2048)
        try:
            hosts: dict[str, str] = json.loads((directory / "names.json").read_text())
            server.sendto(dns_answer(packet, dict.fromkeys(OUTSIDE, address) | hosts), client)
        except (OSError, ValueError, IndexError, struct.error):
            continue


def watch(owner: Process, name: str) -> None:
    """Waits for the owner's end, then takes the lab away."""
    try:
        handle = os.pidfd_open(owner.pid)
    except OSError:
        handle = -1
    if handle >= 0 and owner.alive:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.poll()
    from .teardown import remove_lab

    remove_lab(name, keep=os.getpid())
    os._exit(0)


def main(directory: Path) -> None:
    address = json.loads((directory / "lab.json").read_text())["gateway"]
    control = Control(directory)
    known = sites(control)
    plain, tls = Web((address, 80), known, control), Web((address, 443), known, control)
    tls.use_tls(server() / "server.crt", server() / "server.key")
    for one in (plain, tls, AptProxy((address, 3142))):
        threading.Thread(target=one.serve_forever, daemon=True).start()
    threading.Thread(target=serve_dns, args=(address, directory), daemon=True).start()
    (directory / "services.up").touch()
    owner = Process.load(directory / "owner.json")
    if owner:
        watch(owner, directory.name)
    signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
