"""Waking another host: a magic packet, or a command of its owners."""

from __future__ import annotations

import socket

import pytest

from hostler.node.base import shell
from hostler.node.base.protocol import NodeError
from hostler.node.idle import (
    packets,
)

from .fakes import Heard, Host
from .idling import (
    door,
    moved,
    serving_one,
)

__all__ = ["door", "moved", "serving_one"]


def test_a_magic_packet_goes_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "PAUSE", 0.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
        heard = Heard()
        port = sock.getsockname()[1]
        request = {"op": "wake-host", "mac": "3c:ec:ef:12:34:56", "address": "127.0.0.1", "port": port}
        packets.wake_host(request, heard)
        got = [sock.recv(200) for _ in range(3)]
    assert got == [b"\xff" * 6 + bytes.fromhex("3cecef123456") * 16] * 3
    assert heard.last == {"changed": True, "sent": [f"127.0.0.1:{port}"], "failed": []}


@pytest.mark.parametrize(
    ("named", "places"),
    [
        ({}, ["255.255.255.255"]),
        ({"broadcast": "192.168.20.255"}, ["192.168.20.255"]),
        ({"address": "192.168.20.13"}, ["192.168.20.13"]),
        ({"broadcast": "192.168.20.255", "address": "192.168.20.13"}, ["192.168.20.255", "192.168.20.13"]),
    ],
)
def test_where_it_goes(named: dict[str, str], places: list[str]) -> None:
    assert packets._places(named) == places  # pyright: ignore[reportPrivateUsage]


def test_no_mac_address_is_no_packet() -> None:
    with pytest.raises(NodeError, match="no MAC address"):
        packets.packet("3c:ec:ef:12:34")


def test_a_command_of_the_owners_is_never_told(
    host: Host, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold credentials, and what it says may repeat them."""
    ran: list[tuple[str, ...]] = []
    run = shell.run
    monkeypatch.setattr(shell, "run", lambda argv, *more: ran.append(argv) or run(argv, *more))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    note = host.root / "note"
    packets.wake_host({"op": "wake-host", "command": f"cat\necho s3cret > {note} # there"}, heard)
    assert note.read_text() == "s3cret\n"
    assert heard.lines == [{"changed": True, "sent": []}]
    with pytest.raises(NodeError) as caught:
        packets.wake_host({"op": "wake-host", "command": "echo s3cret; echo s3cret >&2; exit 3"}, heard)
    assert caught.value.message == "its `wake.command` ended with status 3"
    assert "s3cret" not in f"{ran} {vars(caught.value)} {heard.lines}"
