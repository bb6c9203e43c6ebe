"""What the controller comes from: Python's own image of Docker Hub, and a package index. Built when a test asks for them.

The image is Debian's Python 3.13 with pip and an SSH client under /usr/bin, where the original has its own build under
/usr/local; the index has just those files of wheels that this machine's pip finds for the product's lock file.
"""

import re
import sys
from functools import cache
from html import escape
from pathlib import Path

from .aptproxy import DEBIAN
from .cache import HERE, built, digest, there
from .images import PATH, SMALL, Image, pack
from .pki import PYPI_NAMES
from .roots import SLIM, apt_through_cache
from .shell import sh
from .web import Request, Response

PACKAGES = "python3,python3-pip,openssh-client,ca-certificates,curl,tzdata"
PYTHON = "3.13"  # of trixie
LOCK = HERE.parent.parent / "requirements.lock"
PROGRAM = HERE.parent.parent / "infra/hostler/configure/program.py"  # which of them are needed


def _root(tar: Path) -> None:
    with apt_through_cache() as options:
        small = tuple(word.replace(' "$1"/usr/share/zoneinfo', "") for word in SMALL)
        sh("mmdebstrap", *options, *SLIM, *small, f"--include={PACKAGES}", "trixie", tar, DEBIAN)


IMAGE = Image(
    name="registry-1.docker.io/library/python",
    tags={PYTHON: {}, f"{PYTHON}.9": {"org.opencontainers.image.version": f"{PYTHON}.9"}},
    config={"Cmd": ["python3"], "Env": [PATH, "LANG=C.UTF-8"]},
    root=_root,
)


def pins() -> str:
    """With what it needs where it may rent."""
    from hostler.configure.program import requirements

    return requirements(rents=True)


def _wheels(path: Path) -> None:
    (path / "pins.txt").write_text(pins())
    how = ("-q", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary", ":all:")
    platforms = (f"manylinux_2_{minor}_x86_64" for minor in (36, 34, 28, 26, 17))
    target = [word for name in platforms for word in ("--platform", name)]
    words = (*how, *target, "--python-version", PYTHON, "--implementation", "cp")
    sh(sys.executable, "-m", "pip", "download", *words, "-d", path / "files", "-r", path / "pins.txt")


def python_world() -> None:
    """The first time takes about two minutes and downloads 80 MB."""
    built("image-python", _image_key(), lambda path: pack(IMAGE, path))
    built("wheels", _wheels_key(), _wheels)


def python_image_if_built() -> Path | None:
    return there("image-python", _image_key())


@cache
def _image_key() -> str:
    return digest(HERE / "python_world.py", HERE / "images.py")


@cache
def _wheels_key() -> str:
    return digest(PYTHON, LOCK, PROGRAM)


class Index:
    """PyPI's simple index (PEP 503), with its files under the name that it has for them."""

    def answer(self, request: Request) -> Response:
        folder = there("wheels", _wheels_key())
        files = sorted((folder / "files").iterdir()) if folder else []
        if found := re.fullmatch(r"/simple/([a-z0-9-]+)/", request.path):
            links = [_link(file) for file in files if _project(file.name) == found[1]]
            page = f"<!DOCTYPE html><html><body>\n{''.join(links)}</body></html>\n"
            return Response(200, page.encode(), {"Content-Type": "text/html"}) if links else Response(404)
        name = request.path.removeprefix("/packages/")
        file = next((one for one in files if one.name == name), None)
        return Response(200, file, {"Content-Type": "application/octet-stream"}) if file else Response(404)


def _project(file: str) -> str:
    return re.sub(r"[-_.]+", "-", file.partition("-")[0]).lower()


def _link(file: Path) -> str:
    return f'<a href="https://{PYPI_NAMES[1]}/packages/{escape(file.name)}">{escape(file.name)}</a><br>\n'
