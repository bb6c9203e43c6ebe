"""A small HTTP client for registries and files: standard library, the system's certificates (or
SSL_CERT_FILE, REQUESTS_CA_BUNDLE), proxies from the environment, retries of what passes by itself.

A redirect to another host never carries the Authorization header.
"""

from __future__ import annotations

import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property, partial
from urllib.parse import urljoin, urlsplit

from hostler.errors import Exit, HostlerError

TIMEOUT_S = 15.0
ATTEMPTS = 4
REDIRECTS = 6
MOVED = (301, 302, 303, 307, 308)
BODY_LIMIT = 32 * 2**20
_AGAIN = frozenset({429, 500, 502, 503, 504})


class UnreachableError(HostlerError):
    """The operator's machine cannot reach a hub, a registry or a file server."""

    code = Exit.PROVISION


class _AgainError(Exception):
    """Worth another attempt; carries what to say or answer when there is none left."""

    def __init__(self, answer: Answer | None = None, cause: OSError | None = None) -> None:
        super().__init__(str(cause or answer))
        self.answer, self.cause = answer, cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said; header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    url: str = ""


class _Stay(urllib.request.HTTPRedirectHandler):
    """Redirects are followed by Http.ask, which knows what must not travel along."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class Http:
    """`ask` answers whatever the server says, errors too; only no answer at all is an exception."""

    def __init__(
        self,
        *,
        timeout: float = TIMEOUT_S,
        attempts: int = ATTEMPTS,
        pause: Callable[[float], None] | None = None,
    ) -> None:
        self.timeout, self.attempts, self.pause = timeout, attempts, pause

    def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, *, limit: int = BODY_LIMIT
    ) -> Answer:
        """One request with redirects; at most `limit` bytes of the body. Raises UnreachableError."""
        sent = dict(headers or {})
        for _ in range(REDIRECTS):
            once = partial(self._once, method, url, sent, limit)
            answer = patiently(once, self.attempts, self.pause)
            target = answer.headers.get("location")
            if answer.status not in MOVED or not target:
                return answer
            sent, url = _after_redirect(sent, url, urljoin(url, target))
        raise _going_round(url)

    @contextmanager
    def stream(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> Generator[tuple[Answer, http.client.HTTPResponse | urllib.error.HTTPError]]:
        """One request with redirects, and no other attempt; the body is to be read. Raises UnreachableError."""
        sent = dict(headers or {})
        for _ in range(REDIRECTS):
            try:
                body = self._opener.open(self._request("GET", url, sent), timeout=self.timeout)
            except urllib.error.HTTPError as error:
                body = error
            except (OSError, http.client.HTTPException) as error:
                raise unreachable(url, error) from error
            with body:
                answer = _answer(body.status or 0, body.headers, b"", url)
                target = answer.headers.get("location")
                if answer.status not in MOVED or not target:
                    yield answer, body
                    return
            sent, url = _after_redirect(sent, url, urljoin(url, target))
        raise _going_round(url)

    @cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        return urllib.request.build_opener(urllib.request.HTTPSHandler(context=certificates()), _Stay())

    def _request(self, method: str, url: str, headers: Mapping[str, str]) -> urllib.request.Request:
        if urlsplit(url).scheme not in ("https", "http"):
            raise UnreachableError.of(
                url, expected="an http address", got=urlsplit(url).scheme or "no scheme"
            )
        return urllib.request.Request(url, method=method, headers=dict(headers))  # noqa: S310 the scheme is checked

    def _once(self, method: str, url: str, headers: Mapping[str, str], limit: int) -> Answer:
        try:
            with self._opener.open(self._request(method, url, headers), timeout=self.timeout) as response:
                answer = _answer(response.status, response.headers, response.read(limit), url)
        except urllib.error.HTTPError as error:
            with error:
                answer = _answer(error.code, error.headers, error.read(limit), url)
        except (OSError, http.client.HTTPException) as error:
            raise _no_answer(url, error) from error
        if answer.status in _AGAIN:
            raise _AgainError(answer=answer)
        return answer


def _going_round(url: str) -> UnreachableError:
    return UnreachableError.of(
        urlsplit(url).netloc,
        expected="an answer",
        got=f"{REDIRECTS} redirects",
        next_step="check the address",
    )


def certificates() -> ssl.SSLContext:
    """The system's certificates, or the bundle that the environment names."""
    bundle = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE")
    return ssl.create_default_context(cafile=bundle or None)


def patiently(
    ask: Callable[[], Answer], attempts: int, pause: Callable[[float], None] | None = None
) -> Answer:
    """`ask` again on 429, 5xx and a reset connection, with growing pauses (0.3 s to 5 s); then the
    last answer, or UnreachableError."""
    import time

    import tenacity

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_AgainError),
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_random_exponential(multiplier=0.3, max=5),
        sleep=pause or time.sleep,
        reraise=True,
    )
    try:
        return retrying(ask)
    except _AgainError as error:
        if error.answer:
            return error.answer
        raise unreachable("", error.cause) from error


def unreachable(url: str, cause: BaseException | None) -> UnreachableError:
    """No answer: the network is down, a proxy is needed, or a certificate is not trusted."""
    host = urlsplit(url).netloc or getattr(cause, "host", "") or "the network"
    reason = getattr(cause, "reason", None) or cause
    certificate = isinstance(reason, ssl.SSLCertVerificationError)
    return UnreachableError.of(
        host,
        expected="an answer",
        got=str(reason) or type(reason).__name__,
        next_step="set SSL_CERT_FILE to a bundle with that server's authority"
        if certificate
        else f"check that this machine reaches {host}; a proxy is taken from HTTPS_PROXY",
    )


def _no_answer(url: str, error: Exception) -> Exception:
    cause = getattr(error, "reason", None) or error
    if isinstance(cause, (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)):
        return _AgainError(cause=_named(OSError(str(cause) or "connection reset"), url))
    if isinstance(cause, http.client.IncompleteRead):
        return _AgainError(cause=_named(OSError("the answer broke off"), url))
    return unreachable(url, error)


def _named(error: OSError, url: str) -> OSError:
    error.host = urlsplit(url).netloc  # type: ignore[attr-defined]
    return error


def _answer(status: int, headers: Message, body: bytes, url: str) -> Answer:
    return Answer(status=status, headers={k.lower(): v for k, v in headers.items()}, body=body, url=url)


def _after_redirect(sent: Mapping[str, str], url: str, target: str) -> tuple[dict[str, str], str]:
    same = urlsplit(url)[:2] == urlsplit(target)[:2]
    return {k: v for k, v in sent.items() if same or k.lower() != "authorization"}, target
