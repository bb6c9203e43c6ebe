"""Where the bytes come from that are given: a file of this machine, or an address that is read through."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from hostler.errors import HostlerError
from hostler.models.http import Http

CHUNK = 1 << 18


class Unavailable(Exception):
    """It is not given: `status` for who asks, the text for a person."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """An open answer. `start`: where its first byte belongs; `total` bytes of the whole file, -1: unknown; `tag`: its
    ETag, or nothing."""

    chunks: Iterator[bytes]
    start: int
    total: int
    tag: str = ""


class Origin(Protocol):
    """One file."""

    @property
    def name(self) -> str: ...

    @contextmanager
    def opened(self, start: int, tag: str = "") -> Generator[Body]:
        """From byte `start` on, as long as it is still the file with that ETag. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A file here, while it is still as large as the release says; who gets it checks its content."""

    name: str
    path: Path
    size: int
    sha256: str

    @contextmanager
    def opened(self, start: int, tag: str = "") -> Generator[Body]:  # noqa: ARG002 - its content is fixed
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise Unavailable(410, f"{self.path}: {error.strerror}") from error
        with file:
            size = file.seek(0, 2)
            if size != self.size:
                raise Unavailable(410, f"{self.path} has {size} bytes now; the release names {self.size}")
            file.seek(start)
            yield Body(chunks=_chunks(file), start=start, total=size, tag=f'"{self.sha256}"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A file of the hub, or at an https address, read through: it never lies on this machine."""

    name: str
    url: str
    token: str
    http: Http

    @contextmanager
    def opened(self, start: int, tag: str = "") -> Generator[Body]:
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        headers |= {"If-Range": tag} if start and tag else {}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            with self.http.stream(self.url, headers) as (answer, body):
                if answer.status not in (200, 206):
                    raise Unavailable(answer.status, f"{self.url}: status {answer.status}")
                span, _, total = answer.headers.get("content-range", "").rpartition("/")
                length = answer.headers.get("content-length", "")
                whole = total if answer.status == 206 else length
                begins = span.rpartition(" ")[2].partition("-")[0]
                yield Body(
                    chunks=_chunks(body),
                    start=int(begins) if answer.status == 206 and begins.isdigit() else 0,
                    total=int(whole) if whole.isdigit() else -1,
                    tag=etag if (etag := answer.headers.get("etag", "")).startswith('"') else "",
                )
        except HostlerError as error:
            raise Unavailable(502, str(error)) from error


class Readable(Protocol):
    def read(self, count: int, /) -> bytes: ...


def _chunks(file: Readable | BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk
