"""`wake-host`: another machine is woken from here, by a magic packet or by its owner's own command. Whether it comes is the
caller's to see."""

from __future__ import annotations

import re
import socket
import time
from typing import List, Tuple

from ..base import shell
from ..base.protocol import Answers, NodeError, Request, number, text

TIMES = 3
PAUSE = 0.1
PORT = 9
EVERYBODY = "255.255.255.255"
COMMAND_S = 120.0


def wake_host(request: Request, answers: Answers) -> int:
    """`wake-host -` {"mac", "broadcast", "address", "port"} or {"command"}: says {"changed", "sent": [places]}. Packets go
    three times to each address that is named: of a broadcast, or of the machine alone, which routers let through.

    A command may hold credentials: nothing of it, and nothing that it says, is in any answer, error or list of processes.
    """
    command = request.get("command")
    if command:
        script = "{\n%s\n} </dev/null\n" % command  # what it runs must not read the rest of it
        result = shell.run(("sh", "-s"), COMMAND_S, script.encode())
        if not result.ok:
            why = "its `wake.command` ended with status %d" % result.rc
            raise NodeError("wake", why, "try it on the gateway's host")
        answers.say(changed=True, sent=[])
        return 0
    payload = packet(text(request, "mac"))
    port = int(number(request, "port", PORT)) if request.get("port") else PORT
    places = [(str(place), port) for place in _places(request)]
    failed = send(payload, places)
    if len(failed) == len(places):
        raise NodeError(
            "wake", "no packet could be sent: %s" % "; ".join(failed), "look at the host's network"
        )
    answers.say(changed=True, sent=["%s:%d" % place for place in places], failed=failed)
    return 0


def _places(request: Request) -> List[str]:
    named = [str(request[key]) for key in ("broadcast", "address") if request.get(key)]
    return named or [EVERYBODY]


def packet(mac: str) -> bytes:
    """Raises NodeError (usage)."""
    digits = re.sub(r"[:.-]", "", mac)
    if not re.fullmatch(r"[0-9a-fA-F]{12}", digits):
        raise NodeError("usage", "%r is no MAC address" % mac, "write 3c:ec:ef:12:34:56", rc=2)
    return b"\xff" * 6 + bytes.fromhex(digits) * 16


def send(payload: bytes, places: List[Tuple[str, int]]) -> List[str]:
    """To each so often; what could not be sent, in words."""
    failed: List[str] = []
    for place in places:
        try:
            family = socket.getaddrinfo(place[0], place[1], type=socket.SOCK_DGRAM)[0]
            with socket.socket(family[0], socket.SOCK_DGRAM) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                for _ in range(TIMES):
                    sock.sendto(payload, family[4])
                    time.sleep(PAUSE)
        except OSError as error:
            failed.append("%s: %s" % (place[0], error))
    return failed
