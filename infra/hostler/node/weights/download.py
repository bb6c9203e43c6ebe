"""One HTTP answer with a body to read: redirects, ranges, and errors that say what to do.

The authorization header goes to the first host alone: a redirect to another host, port or scheme loses it.
"""

from __future__ import annotations

import http.client
import ssl
from typing import Dict, NamedTuple, Optional, Protocol, Tuple
from urllib.parse import SplitResult, urljoin, urlsplit

from ..base.protocol import NodeError

REDIRECTS = 10
REDIRECTED = (301, 302, 303, 307, 308)
TIMEOUT_S = 60.0
AGAIN = (408, 425, 429, 500, 502, 503, 504)
MEANING = {
    401: ("the token is missing or not valid", "set the model's secret to a token that may read it"),
    403: ("access is refused", "accept the model's licence on its page, or use a token that may read it"),
    404: ("there is no such file", "look at the address, the revision and the file's name"),
    410: ("the file is gone", "look at the address, the revision and the file's name"),
    429: (
        "the server wants fewer requests",
        "wait some minutes, then run it again; a token raises the limit",
    ),
}


class Broken(Exception):
    """The connection broke or the server asked to wait: worth another try. `after`: seconds the server asks for."""

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after


class Range(NamedTuple):
    """Ask for the rest from `start` on, when it is still the file with this validator (ETag or date)."""

    start: int = 0
    validator: str = ""


class Body(Protocol):
    """What is read of an HTTP response."""

    def read(self, count: int, /) -> bytes: ...

    def getheader(self, name: str) -> Optional[str]: ...

    def close(self) -> None: ...


class Source(NamedTuple):
    """An open answer. `start`: where its first byte belongs; `size`: of the whole file, -1 unknown."""

    response: Body
    connection: http.client.HTTPConnection
    status: int
    start: int
    size: int
    validator: str


def opened(url: str, token: str = "", part: Optional[Range] = None) -> Source:
    """Open `url`, after its redirects; 416 is an answer too. Raises Broken, or NodeError when trying is in vain."""
    first = urlsplit(url)
    current = url
    for _ in range(REDIRECTS):
        place = urlsplit(current)
        source = _asked(place, _headers(place, first, token, part or Range()))
        if source.status not in REDIRECTED:
            return _good(source, place)
        target = source.response.getheader("Location") or ""
        source.connection.close()
        current = _next(current, target)
    raise NodeError(
        "download", "%s: more than %d redirects" % (first.hostname, REDIRECTS), "look at the address"
    )


def origin(place: SplitResult) -> Tuple[str, str, int]:
    return (
        place.scheme,
        (place.hostname or "").lower(),
        place.port or (443 if place.scheme == "https" else 80),
    )


def _next(current: str, target: str) -> str:
    new = urljoin(current, target)
    if not target or urlsplit(new).scheme not in ("https", "http"):
        raise NodeError("download", "a redirect leads to %r" % target[:100], "look at the address")
    if urlsplit(current).scheme == "https" and urlsplit(new).scheme != "https":
        raise NodeError("download", "a redirect leads from https to http", "use another address")
    return new


def _headers(place: SplitResult, first: SplitResult, token: str, part: Range) -> Dict[str, str]:
    headers = {"User-Agent": "hostler", "Accept-Encoding": "identity", "Connection": "close"}
    if token and origin(place) == origin(first):
        headers["Authorization"] = "Bearer " + token
    if part.start:
        headers["Range"] = "bytes=%d-" % part.start
    if part.start and part.validator:
        headers["If-Range"] = part.validator
    return headers


def _asked(place: SplitResult, headers: Dict[str, str]) -> Source:
    connection = _connection(place)
    path = (place.path or "/") + ("?" + place.query if place.query else "")
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
    except ssl.SSLCertVerificationError as error:
        connection.close()
        raise NodeError(
            "download",
            "%s: its certificate is not trusted: %s" % (place.hostname, error.verify_message),
            "is there a proxy between, or is the clock wrong?",
        ) from error
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise Broken("%s: %s" % (place.hostname, error or type(error).__name__)) from error
    start, size = extent(response)
    return Source(response, connection, response.status, start, size, _validator(response))


def _connection(place: SplitResult) -> http.client.HTTPConnection:
    if place.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            place.hostname or "", place.port, timeout=TIMEOUT_S, context=context
        )
    if place.scheme == "http":
        return http.client.HTTPConnection(place.hostname or "", place.port, timeout=TIMEOUT_S)
    raise NodeError("usage", "expected an https address; got %r" % place.scheme, rc=2)


def extent(response: http.client.HTTPResponse) -> Tuple[int, int]:
    """First byte and whole size, by Content-Range (`bytes 5-9/10`, `bytes */10`) or Content-Length."""
    if response.status in (206, 416):
        span, _, total = (
            (response.getheader("Content-Range") or "").replace("bytes", "").strip().partition("/")
        )
        start = span.partition("-")[0].strip()
        return int(start) if start.isdigit() else 0, int(total) if total.isdigit() else -1
    length = response.getheader("Content-Length") or ""
    return 0, int(length) if length.isdigit() else -1


def _validator(response: http.client.HTTPResponse) -> str:
    """What If-Range may carry: a strong ETag, else the date."""
    etag = response.getheader("ETag") or ""
    return etag if etag.startswith('"') else response.getheader("Last-Modified") or ""


def _good(source: Source, place: SplitResult) -> Source:
    status = source.status
    if status in (200, 206, 416):
        return source
    source.response.close()
    source.connection.close()
    if status in AGAIN:
        after = source.response.getheader("Retry-After") or ""
        raise Broken(_said(place, status), float(after) if after.isdigit() else 0.0)
    raise NodeError(
        "download", _said(place, status), MEANING.get(status, ("", "look at the address"))[1], status=status
    )


def _said(place: SplitResult, status: int) -> str:
    meaning = MEANING.get(status, ("the server failed" if status >= 500 else "unexpected", ""))[0]
    return "%s%s: %s (HTTP %d)" % (place.hostname, place.path, meaning, status)
