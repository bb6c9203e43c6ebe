"""A model file onto this host: resumed, checked, and never half under its final name."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from typing import Any, BinaryIO, Dict, Generator

from ..base import files, shell
from ..base.protocol import Answers, NodeError, Request, number, text
from . import operator, peers, store, transfer
from .transfer import Progress, Wish

LOCK_S = 0.2
NOBODY = 5  # exit status: no peer gave it, and outside a token is needed
BESIDE = 32 << 30  # bytes that a host's packages and its largest image may take, unpacked


def fetch(request: Request, answers: Answers) -> int:
    """`fetch -` with {"url", "path", "sha256", "size", "token", "peers", "secret", "limit", "together"}; the token comes on stdin only.

    Progress lines {"progress": bytes, "total": bytes}; then {"changed", "sha256", "size", "path", "why"}. With
    "background": {"changed": false, "background": whether a process fetches it now}; who asks again without it waits
    for that. `secret` names a token: without it, and where no peer gives the file, rc 5.
    """
    wish = _wish(request)
    if request.get("background"):
        answers.say(
            changed=False, background=_may_begin(wish, int(number(request, "together", 0))) and _started(wish)
        )
        return 0
    progress = Progress(answers, wish.size)
    if wish.url.startswith("file:"):
        changed, whence = in_place(wish, progress), ""
    else:
        whence = _alone(wish, progress) or store.told(wish.path)
        changed = bool(whence)
    known: Dict[str, Any] = store.sidecar(wish.path) or {}
    said = {"sha256": known.get("sha256", ""), "size": known.get("size", 0), "path": wish.path, "why": whence}
    answers.say(changed=changed, **said)
    return 0


def _wish(request: Request) -> Wish:
    return Wish(
        text(request, "url"),
        _inside(text(request, "path")),
        text(request, "sha256", "").lower(),
        int(number(request, "size", 0)),
        text(request, "token", ""),
        peers.named(request),
        bool(request.get("secret")),
        bool(request.get("inside")),
        int(number(request, "limit", 0)),
    )


def _may_begin(wish: Wish, together: int) -> bool:
    """Not what is here, nor what comes from hosts that cannot be asked yet, nor where packages and images might not
    find room beside it: then their turn comes first, and it is said what lacks. `together`: bytes of all files that
    this run brings; they begin at once."""
    nobody = operator.is_absent(wish.url) and not wish.peers
    if nobody or wish.url.startswith("file:") or _known(wish):
        return False
    if wish.peers and not peers.may_ask(wish.peers):
        return False
    try:
        have = os.path.getsize(files.at(wish.path) + ".part")
    except OSError:
        have = 0
    return store.free_bytes(wish.path) > max(wish.size, together) - have + BESIDE


def _started(wish: Wish) -> bool:
    """A process of its own, so that packages can be installed meanwhile. What it meets with is met with again, and
    said, by who asks for the file. False for an agent that was not installed: there is no program to start. What other
    hosts are to give it does not fetch outside: they may not be there yet."""
    if not os.path.isfile(sys.argv[0]):
        return False
    asked = {
        **wish._asdict(),
        "peers": [peer._asdict() for peer in wish.peers],
        "secret": wish.gated and "yes",
    }
    started = subprocess.run(
        ["setsid", "--fork", sys.executable, sys.argv[0], "fetch", "-"],
        input=json.dumps({**asked, "inside": bool(wish.peers)}).encode() + b"\n",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=shell.environment({shell.BACKGROUND: "1"}),
        check=False,
    )
    return started.returncode == 0


def _inside(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/"):
        raise NodeError("usage", "fetch: expected an absolute path; got %r" % path, rc=2)
    return path


def in_place(wish: Wish, progress: Progress) -> bool:
    """A user's own file: there, of the right size and content; it stays where it is."""
    path = wish.path
    if not os.path.isfile(files.at(path)):
        raise NodeError(
            "absent", "%s: expected a file; there is none" % path, "put it there, or look at `source`"
        )
    if _known(wish):
        return False
    if store.leads_out(path):
        real = os.path.realpath(files.at(path))
        raise NodeError(
            "content",
            "%s: expected the file itself; it is a link to %s, which its container does not see"
            % (path, real),
            "name that file in `source`, or put the file itself there",
        )
    size = os.path.getsize(files.at(path))
    if wish.size and size != wish.size:
        raise NodeError(
            "content", "%s: expected %d bytes; got %d" % (path, wish.size, size), "put the right file there"
        )
    digest = hashlib.sha256()
    with open(files.at(path), "rb") as file:
        transfer.hash_into(file, size, digest, progress)
    if wish.sha256 and digest.hexdigest() != wish.sha256:
        raise transfer.wrong(
            wish, digest.hexdigest(), "put the right file there, or mend its sha256 in the stack file"
        )
    store.write_sidecar(path, digest.hexdigest(), wish.url)
    return True


def _known(wish: Wish) -> bool:
    """Whether it is here, checked, and what is asked for."""
    known = store.sidecar(wish.path)
    if known is None:
        return False
    return (not wish.sha256 or known["sha256"] == wish.sha256) and (
        not wish.size or known["size"] == wish.size
    )


def _alone(wish: Wish, progress: Progress) -> str:
    """One process at a time on a file; the others wait, and then find it there. Where it came from, empty: it is here."""
    if _known(wish) or _adopted(wish, progress):
        return ""
    os.makedirs(os.path.dirname(files.at(wish.path)), exist_ok=True)
    with _part(wish, progress) as part:
        if _known(wish):
            os.unlink(
                part.name
            )  # made by us a moment ago, after another process had moved its own into place
            return ""
        whence = _brought(wish, part, progress)
        _into_place(wish, part, whence if os.environ.get(shell.BACKGROUND) else "")
    return whence


def _brought(wish: Wish, part: BinaryIO, progress: Progress) -> str:
    """From other hosts of the stack, else from outside; from where, and why not from them."""
    why = ""
    if wish.peers:
        try:
            return "from " + peers.copied(wish, part, progress)
        except peers.Nobody as error:
            why = " (%s)" % error
        if wish.inside or (wish.gated and not wish.token):
            raise NodeError("peers", "no host of the stack gives it" + why, "run it again", rc=NOBODY)
        if operator.is_absent(wish.url):
            raise NodeError("peers", "no host of the stack gives it%s" % why, operator.NEXT)
    transfer.download_into(wish, part, progress)
    return "from %s%s" % (operator.whence(wish.url), why)


def _adopted(wish: Wish, progress: Progress) -> bool:
    """A whole file without its sidecar, by a known checksum: checked instead of fetched again."""
    path = files.at(wish.path)
    if not wish.sha256 or not os.path.isfile(path) or (wish.size and os.path.getsize(path) != wish.size):
        return False
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        transfer.hash_into(file, os.path.getsize(path), digest, progress)
    if digest.hexdigest() != wish.sha256:
        return False
    store.write_sidecar(wish.path, wish.sha256, wish.url)
    return True


@contextlib.contextmanager
def _part(wish: Wish, progress: Progress) -> Generator[BinaryIO, None, None]:
    """The partial file, open and locked. When who held it has moved it into place, a new one is taken."""
    path = files.at(wish.path) + ".part"
    while True:
        part = open(path, "a+b")  # noqa: SIM115 - closed below, the lock with it
        os.fchmod(part.fileno(), 0o644)  # other hosts are given it while it comes
        try:
            _lock(part, progress)
            if _is_still(part, path):
                yield part
                return
        finally:
            part.close()


def _lock(part: BinaryIO, progress: Progress) -> None:
    while True:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            progress.at(os.fstat(part.fileno()).st_size, waiting=True)
        time.sleep(LOCK_S)


def _is_still(part: BinaryIO, path: str) -> bool:
    try:
        return os.fstat(part.fileno()).st_ino == os.stat(path).st_ino
    except FileNotFoundError:
        return False


def _into_place(wish: Wish, part: BinaryIO, untold: str) -> None:
    """On disk, then under its name, then the sidecar: a kill between leaves a whole file that is checked again."""
    part.flush()
    os.fchmod(part.fileno(), 0o644)
    os.fsync(part.fileno())
    digest = str(transfer.read_notes(wish)["sha256"])
    os.rename(part.name, files.at(wish.path))
    files.sync_folder(os.path.dirname(files.at(wish.path)))
    store.write_sidecar(wish.path, digest, wish.url, untold)
    files.remove(transfer.notes(wish))
