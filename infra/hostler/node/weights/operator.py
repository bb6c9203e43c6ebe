"""Files of weights over the connection of the operator's machine: `operator:PORT/PATH` in place of an address.

The port is one of sshd's on loopback, for as long as the run goes on; without one nobody gives the file now.
"""

from __future__ import annotations

from typing import Optional
from urllib.parse import urlsplit

from ..base.protocol import NodeError
from ..base.wire import LOOPBACK
from . import download

SCHEME = "operator:"
NAME = "the operator's machine"
NEXT = (
    "run `hostler up` where the file is; or copy it to this path, where it is checked and not fetched again"
)


def port(url: str) -> str:
    """Digits; empty: not from there, or nobody gives it now."""
    found = url[len(SCHEME) :].partition("/")[0] if url.startswith(SCHEME) else ""
    return found if found.isdigit() else ""


def is_absent(url: str) -> bool:
    """It comes from the operator's machine, which gives nothing to this host in this run."""
    return url.startswith(SCHEME) and not port(url)


def whence(url: str) -> str:
    """Where it comes from, for people."""
    return NAME if url.startswith(SCHEME) else urlsplit(url).hostname or ""


def opened(url: str, token: str, part: Optional[download.Range] = None) -> download.Source:
    """`download.opened`, of either kind of address."""
    if not url.startswith(SCHEME):
        return download.opened(url, token, part)
    if is_absent(url):
        raise NodeError("operator", "%s gives it, and not to this host in this run" % NAME, NEXT)
    place = "http://%s:%s" % (LOOPBACK, url[len(SCHEME) :])
    try:
        return download.opened(place, token, part)
    except download.Broken as error:
        raise download.Broken(str(error).replace(LOOPBACK, NAME), error.after) from error
    except NodeError as error:
        error.message = error.message.replace(LOOPBACK, NAME + ": ")
        error.next_step = "see what `hostler up` said of it; then run it again"
        raise
