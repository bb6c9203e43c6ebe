"""One file from an address into its partial file: over broken connections, resumed, checked."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
from typing import Any, BinaryIO, Dict, NamedTuple, Protocol, Tuple

from ..base import files
from ..base.protocol import Answers, NodeError, as_dict
from . import download, operator, pace, store

ATTEMPTS = 6  # in a row without a byte
PAUSE_S = 1.0  # before the second attempt; doubled for each further one
LONGEST_PAUSE_S = 60.0
RESERVE = 64 << 20  # bytes of the file system that stay free
EVERY_S = 1.0  # between two progress lines


class Digest(Protocol):
    """What hashlib.sha256() returns."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class Peer(NamedTuple):
    """Another host of the stack that may have the file, and where its edge is."""

    host: str
    address: str
    port: int


class Wish(NamedTuple):
    """What is asked for. `sha256` empty and `size` 0: unknown. `peers`: who is asked first, the nearest first;
    `gated`: outside a token is needed; `inside`: outside is not asked at all; `limit`: bytes a second from outside,
    0: as fast as it goes."""

    url: str
    path: str
    sha256: str
    size: int
    token: str
    peers: Tuple[Peer, ...] = ()
    gated: bool = False
    inside: bool = False
    limit: int = 0


class Progress:
    """At most one line in a while."""

    def __init__(self, answers: Answers, total: int) -> None:
        self._answers = answers
        self.total = total
        self._last = time.monotonic()

    def at(self, count: int, **more: Any) -> None:
        now = time.monotonic()
        if now - self._last >= EVERY_S:
            self._last = now
            self._answers.say(progress=count, total=self.total, **more)


def wrong(wish: Wish, got: str, next_step: str) -> NodeError:
    return NodeError("content", "%s: expected SHA-256 %s; got %s" % (wish.path, wish.sha256, got), next_step)


def download_into(wish: Wish, part: BinaryIO, progress: Progress) -> None:
    """Until the part is whole and right; what was resumed and is wrong is fetched once more from the start."""
    resumed = size_of(part) > 0
    digest = _tries(wish, part, progress)
    if wish.sha256 and digest != wish.sha256 and resumed:
        start_over(part, wish)
        digest = _tries(wish, part, progress)
    if wish.sha256 and digest != wish.sha256:
        start_over(part, wish)
        raise wrong(wish, digest, "the source has another file now: look at the model's source")
    keep_digest(wish, part, digest)


def _tries(wish: Wish, part: BinaryIO, progress: Progress) -> str:
    """Over broken connections; the SHA-256 of the whole. Any byte that came resets the count."""
    failures = 0
    while True:
        before = size_of(part)
        try:
            return _attempt(wish, part, progress)
        except download.Broken as error:
            failures = failures + 1 if size_of(part) <= before else 1
            if failures >= ATTEMPTS:
                raise NodeError(
                    "download", "%s; tried %d times" % (error, failures), "run it again: it resumes"
                ) from error
            time.sleep(max(error.after and min(error.after, LONGEST_PAUSE_S), _pause(failures)))


def _pause(failures: int) -> float:
    return min(PAUSE_S * 2 ** (failures - 1), LONGEST_PAUSE_S)


def _attempt(wish: Wish, part: BinaryIO, progress: Progress) -> str:
    have = size_of(part)
    validator = str(read_notes(wish).get("validator", ""))
    if have and not _may_resume(wish, have, validator):
        have = start_over(part, wish)  # nothing would tell whether the rest fits
    if have and have == wish.size and wish.sha256:
        return _digest_of(part, have, progress).hexdigest()  # whole already: ended before it had its name
    _room(wish, wish.size, have)
    source = pace.paced(operator.opened(wish.url, wish.token, download.Range(have, validator)), wish.limit)
    try:
        return received(wish, part, source, have, progress)
    finally:
        source.response.close()
        source.connection.close()


def _may_resume(wish: Wish, have: int, validator: str) -> bool:
    """Whether something will tell that the rest fits to what is here."""
    return bool(wish.sha256 or validator) and not (wish.size and have > wish.size)


def received(wish: Wish, part: BinaryIO, source: download.Source, have: int, progress: Progress) -> str:
    if wish.size and source.size >= 0 and source.size != wish.size:
        raise NodeError(
            "content", "%s: expected %d bytes; the server offers %d" % (wish.path, wish.size, source.size), ""
        )
    if source.status == 416 and source.size == have:
        return _digest_of(part, have, progress).hexdigest()
    if source.status == 416 or (source.status == 206 and source.start != have):
        start_over(part, wish)
        raise download.Broken("the server does not know this range")
    if source.status == 200 and have:
        have = start_over(part, wish)
    progress.total = max(source.size, wish.size)
    _room(wish, source.size, have)
    files.write_json(notes(wish), {"validator": source.validator, "size": progress.total})
    digest = _digest_of(part, have, progress)
    most = wish.size or max(source.size, 0)
    count = _copy(source, part, have, digest, progress, most)
    if count < most:
        raise download.Broken("the connection ended after %d of %d bytes" % (count, most))
    return digest.hexdigest()


def _digest_of(part: BinaryIO, have: int, progress: Progress) -> Digest:
    """Of what is here already; the file then stands at its end."""
    digest = hashlib.sha256()
    part.seek(0)
    hash_into(part, have, digest, progress)
    return digest


def hash_into(file: BinaryIO, size: int, digest: Digest, progress: Progress) -> None:
    done = 0
    while done < size:
        chunk = file.read(min(files.CHUNK, size - done))
        if not chunk:
            return
        digest.update(chunk)
        done += len(chunk)
        progress.at(done, checking=True)


def _copy(
    source: download.Source, part: BinaryIO, have: int, digest: Digest, progress: Progress, most: int
) -> int:
    """Bytes in the file when the answer ends; raises Broken when it breaks, or has more than `most` (0: unknown)
    whatever its header said, OSError when the disk is full."""
    count = have
    while True:
        try:
            chunk = source.response.read(files.CHUNK)
        except http.client.IncompleteRead as error:
            chunk = error.partial
            if not chunk:
                raise download.Broken("the connection ended early") from error
        except (OSError, http.client.HTTPException) as error:
            raise download.Broken(str(error) or type(error).__name__) from error
        if not chunk:
            return count
        if most and count + len(chunk) > most:
            part.truncate(0)
            raise download.Broken("more than %d bytes came" % most)
        part.write(chunk)
        part.flush()
        digest.update(chunk)
        count += len(chunk)
        progress.at(count)


def _room(wish: Wish, size: int, have: int) -> None:
    """Enough space for what is still to come; what is here already counts. Raises NodeError before a byte moves."""
    need = size - have
    free = store.free_bytes(wish.path) - RESERVE
    if size > 0 and need > free:
        raise NodeError(
            "disk",
            "%s needs %s more; %s are free there" % (wish.path, gib(need), gib(max(free, 0))),
            "make room below %s, or place the model on another host" % files.MODELS,
        )


def gib(count: int) -> str:
    return "%.1f GiB" % (count / (1 << 30)) if count >= 1 << 30 else "%.1f MiB" % (count / (1 << 20))


def start_over(part: BinaryIO, wish: Wish) -> int:
    part.truncate(0)
    files.remove(notes(wish))
    return 0


def size_of(part: BinaryIO) -> int:
    return os.fstat(part.fileno()).st_size


def keep_digest(wish: Wish, part: BinaryIO, digest: str) -> None:
    """What the whole part was found to be, for who moves it into place."""
    files.write_json(notes(wish), {"sha256": digest, "size": size_of(part)})


def notes(wish: Wish) -> str:
    return wish.path + ".part" + files.BESIDE


def read_notes(wish: Wish) -> Dict[str, Any]:
    try:
        return as_dict(files.read_json(notes(wish)))
    except NodeError:
        return {}
