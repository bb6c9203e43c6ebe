"""A caching HTTP proxy for apt: hosts name a mirror of their own, and this machine's mirror answers; newer.py's packages
come from a folder of their lab."""

import os
import shutil
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from email.message import Message
from email.utils import formatdate, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .cache import home, labs
from .shell import sh

DEBIAN = "http://mirror.lab/debian"  # what hosts have in their sources; this machine's own mirror answers
SECURITY = "http://mirror.lab/debian-security"
NEWER = "http://mirror.lab/newer/"  # LAB/HOST/ORIGIN/FILE
FRESH = 6 * 3600  # seconds for which an index is not asked for again


def mirrors() -> dict[str, str]:
    """The hosts' addresses of Debian -> the ones that this machine's apt uses."""
    found = {f"{DEBIAN}/": "", f"{SECURITY}/": ""}
    listed = sh("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", check=False)
    for uri in listed.split():
        for known in found:
            if uri.rstrip("/").endswith(known.rstrip("/").rsplit("/", 1)[1]) and not found[known]:
                found[known] = uri.rstrip("/") + "/"
    return {known: mirror or known for known, mirror in found.items()}


class AptProxy(ThreadingHTTPServer):
    """One cache on disk for all labs; files become visible whole, by rename."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, Handler)
        self.store = home() / "apt"
        self.mirrors = mirrors()
        self.locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def upstream(self, url: str) -> str:
        for known, mirror in self.mirrors.items():
            if url.startswith(known):
                return mirror + url[len(known) :]
        return url

    def path(self, url: str) -> Path:
        parts = urlsplit(url)
        clean = [p for p in unquote(parts.path).split("/") if p not in ("", ".", "..")]
        return self.store / parts.netloc.replace(":", "_") / Path(*clean)

    def file(self, url: str) -> Path:
        """The file of this address, from the cache where it is new enough; an old one where the mirror is away."""
        if url.startswith(NEWER):
            return self.made(url)
        path = self.path(url)
        with self.locks[url]:
            if path.is_file():
                fixed = path.suffix == ".deb" or "/by-hash/" in url
                if fixed or time.time() - path.stat().st_ctime < FRESH:
                    return path
            try:
                self.fetch(url, path)
            except urllib.error.HTTPError:
                raise
            except OSError:
                if not path.is_file():
                    raise
        return path

    def made(self, url: str) -> Path:
        """A file that is there, in no cache."""
        lab, *rest = [part for part in unquote(url[len(NEWER) :]).split("/") if part not in ("", ".", "..")]
        path = labs() / lab / "newer" / Path(*rest)
        if not path.is_file():
            raise urllib.error.HTTPError(url, 404, "not found", Message(), None)
        return path

    def fetch(self, url: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(self.upstream(url), timeout=60) as answer:
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as fresh:
                shutil.copyfileobj(answer, fresh, 1 << 20)
            expected = answer.headers.get("Content-Length")
            if expected and int(expected) != Path(fresh.name).stat().st_size:
                Path(fresh.name).unlink()
                raise OSError(f"{url} ended early")
            changed = answer.headers.get("Last-Modified")
        if changed:
            stamp = parsedate_to_datetime(changed).timestamp()
            os.utime(fresh.name, (stamp, stamp))
        Path(fresh.name).rename(path)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: AptProxy  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        try:
            self.send(self.server.file(self.path))
        except urllib.error.HTTPError as error:
            self.refuse(error.code)
        except (OSError, ValueError):
            self.refuse(502)

    do_HEAD = do_GET

    def send(self, path: Path) -> None:
        with path.open("rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.send_header("Last-Modified", formatdate(path.stat().st_mtime, usegmt=True))
            self.end_headers()
            if self.command != "HEAD":
                shutil.copyfileobj(handle, self.wfile, 1 << 20)

    def refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass
