"""The kernel's tables of TCP sockets, as proc(5) has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostler.node.base import sockets
from hostler.node.doors import drain
from worlds.ports import free_port

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
LISTENS = "   0: 0100007F:46A0 00000000:0000 0A 00000000:00000000 00:00000000 00000000  999\n"
OPEN = "   1: 0100007F:46A0 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000  999\n"
OURS = "   2: 0100007F:D2F0 0100007F:46A0 01 00000000:00000000 00:00000000 00000000  999\n"
OVER = "   3: 0100007F:46A0 0100007F:D2F0 06 00000000:00000000 00:00000000 00000000  0\n"
LISTENS_6 = (
    "   0: 00000000000000000000000000000000:46A0 00000000000000000000000000000000:0000 0A 0:0 00:0 0 999\n"
)


@pytest.mark.parametrize(
    ("tcp", "tcp6", "quiet"),
    [
        (HEAD + LISTENS, HEAD, False),
        (HEAD + OPEN, HEAD, False),
        (HEAD + OURS, HEAD, True),
        (HEAD + OVER, HEAD, True),
        (HEAD, HEAD + LISTENS_6, False),
        (HEAD, None, True),
        (None, None, False),
    ],
    ids=["listens", "open", "another's port", "over", "by IPv6", "no IPv6", "cannot be read"],
)
def test_quiet(root: Path, tcp: str | None, tcp6: str | None, quiet: bool) -> None:
    folder = root / "proc/net"
    folder.mkdir(parents=True)
    for name, text in (("tcp", tcp), ("tcp6", tcp6)):
        if text is not None:
            (folder / name).write_text(text)
    assert sockets.quiet(0x46A0) is quiet


def test_an_engine_that_has_not_begun_to_listen_has_nothing_in_flight(root: Path) -> None:
    port = free_port()
    assert drain.engine_count(port) is None
    (root / "proc/net").mkdir(parents=True)
    (root / "proc/net/tcp").write_text(HEAD)
    assert drain.engine_count(port) == 0
