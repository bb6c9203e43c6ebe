"""Everything built is kept under one directory of the user's cache, keyed by a digest of its recipe."""

import fcntl
import hashlib
import os
import shutil
import time
import tokenize
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent


def home() -> Path:
    """The cache directory of the lab."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "hostler-lab"
    path.mkdir(parents=True, exist_ok=True)
    return path


def labs() -> Path:
    """Where the running state of each lab lies."""
    path = home() / "labs"
    path.mkdir(exist_ok=True)
    return path


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time, machine-wide for this cache; let go by the kernel if its holder dies."""
    directory = home() / "locks"
    directory.mkdir(exist_ok=True)
    with (directory / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


def _content(file: Path) -> bytes:
    """What of a file matters to what is built: of Python neither comments nor layout, nor this Python's version."""
    if file.suffix != ".py":
        return file.read_bytes()
    with file.open("rb") as handle:
        words = [t.string for t in tokenize.tokenize(handle.readline) if t.type not in LAYOUT]
    return "\0".join(words).encode()


def digest(*parts: str | Path) -> str:
    """A short digest of texts and of the contents of files and folders."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            files = sorted(f for f in part.rglob("*") if f.is_file()) if part.is_dir() else [part]
            data = b"".join(f.name.encode() + b"\0" + _content(f) for f in files)
        else:
            data = part.encode()
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:12]


def _drop_older(path: Path) -> None:
    """Removes builds of the same thing from days before, unless a lab is there that may stand on one."""
    if any(labs().iterdir()):
        return
    yesterday = time.time() - 24 * 3600
    same = path.name.rpartition("-")[0]
    for other in path.parent.iterdir():
        if other.name.rpartition("-")[0] == same and other.stat().st_mtime < yesterday and other != path:
            shutil.rmtree(other, ignore_errors=True)


def there(kind: str, key: str) -> Path | None:
    """The directory that `built` would give, where it is made already."""
    path = home() / kind / key
    return path if path.exists() else None


def built(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """The directory KIND/KEY, made by `build` unless it is there already; never seen half made."""
    path = home() / kind / key
    if path.exists():
        return path
    with locked(f"build-{kind}"):
        if path.exists():
            return path
        fresh = path.with_name(f".{key}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        print(f"lab: building {kind} (once)", flush=True)
        try:
            build(fresh)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)  # may be gigabytes
            raise
        fresh.rename(path)
        _drop_older(path)
    return path
