"""Where Pulumi's CLI and its AWS plugin are downloaded from: an installer of the lab's own with the CLI of this machine, and an
archive on GitHub whose program starts the stand-in."""

import io
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..cache import HERE, built, digest
from .api import Api
from .provider.schema import write_schema
from .provider.table import TYPES
from .wire import Environ

GITHUB, PULUMI = "github.com", "get.pulumi.com"
HOSTS = (GITHUB, "api.github.com", PULUMI)
VERSION = version("pulumi_aws")
PATH = f"/pulumi/pulumi-aws/releases/download/v{VERSION}/pulumi-resource-aws-v{VERSION}-linux-amd64.tar.gz"
PROVIDER = Path(__file__).parent / "provider"
CHUNK = 1 << 20
# This machine's own Python where it is there; elsewhere, as in a container on a host of the lab, python3 with its packages.
# -I: whatever Python variables the operator has, this is the tests' own
START = """#!/bin/sh
if [ -x '{python}' ] && [ -d '{tests}/lab' ]; then
    LAB_AWS_SCHEMA='{schema}' exec '{python}' -I -c 'import sys, runpy; sys.path.insert(0, "{tests}")
runpy.run_module("lab.cloud.provider", run_name="__main__", alter_sys=True)' "$@"
fi
here=$(dirname "$0")
LAB_AWS_SCHEMA="$here/inputs.json" exec python3 -c 'import sys, runpy; sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("provider", run_name="__main__", alter_sys=True)' "$here" "$@"
"""
# With the options of Pulumi's own, and its needs: curl, tar, and room for the archive in TMPDIR
INSTALLER = """#!/bin/sh
set -eu
root=${HOME:-}/.pulumi version=
while [ "$#" -gt 0 ]; do
    case $1 in
        --install-root) root=$2; shift ;;
        --version) version=${2#v}; shift ;;
        --no-edit-path | --silent) ;;
        *) echo "error: unknown option $1" >&2; exit 1 ;;
    esac
    shift
done
archive=$(mktemp)
trap 'rm -f "$archive"' EXIT
curl -fsSL -o "$archive" "https://get.pulumi.com/releases/sdk/pulumi-v$version-linux-x64.tar.gz" || {
    echo "error: failed to download Pulumi $version" >&2; exit 1
}
mkdir -p "$root/bin"
tar -xzf "$archive" -C "$root/bin" --strip-components=1
"""


def schema() -> Path:
    """The input types of all resources, derived once for a version of pulumi_aws."""
    recipe = f"schema-{digest(PROVIDER / 'schema.py', VERSION, *TYPES)}"
    return (
        built("cloud-schema", recipe, lambda path: write_schema(path / "inputs.json", TYPES)) / "inputs.json"
    )


def archive(python: str = sys.executable) -> bytes:
    """The plugin as its maker packs it, with all that its program needs besides packages. `python`: of this machine."""
    program = START.format(schema=schema(), python=python, tests=HERE.parent).encode()
    members = {"inputs.json": schema().read_bytes()}
    members |= {f"provider/{file.name}": file.read_bytes() for file in sorted(PROVIDER.glob("*.py"))}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as out:
        for name, content in {"pulumi-resource-aws": program, **members}.items():
            about = tarfile.TarInfo(name)
            about.size, about.mode = len(content), 0o755 if content is program else 0o644
            out.addfile(about, io.BytesIO(content))
    return packed.getvalue()


def cli_path() -> str:
    """Where the version that Hostler installs is on get.pulumi.com."""
    from hostler.provision.engine import PINNED

    return f"/releases/sdk/pulumi-v{PINNED}-linux-x64.tar.gz"


def cli_archive() -> Path:
    """The CLI of this machine as its maker packs it; made once, when it is first asked for."""
    from tools.pulumi_cli import pulumi_cli

    program = pulumi_cli()
    about = program.stat()

    def pack(path: Path) -> None:
        with tarfile.open(path / "pulumi.tar.gz", "w:gz", compresslevel=1) as out:
            out.add(program, "pulumi/pulumi", filter=_as_root)

    recipe = f"pulumi-{digest(str(program), f'{about.st_size} {about.st_mtime_ns}')}"
    return built("cloud-pulumi", recipe, pack) / "pulumi.tar.gz"


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid, member.gid, member.uname, member.gname = 0, 0, "", ""
    return member


class Releases:
    """Answers for these hosts, and leaves all others to the API."""

    def __init__(self, api: Api) -> None:
        self.api, self.archive = api, archive()

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        host = str(environ.get("HTTP_HOST", "")).split(":")[0]
        if host not in HOSTS:
            return self.api(environ, start)
        found = self._find(host, str(environ["PATH_INFO"]))
        status, body = ("200 OK", found) if found else ("404 Not Found", b"not found\n")
        size = body.stat().st_size if isinstance(body, Path) else len(body)
        start(status, [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))])
        return _pieces(body) if isinstance(body, Path) else [body]

    def _find(self, host: str, path: str) -> bytes | Path | None:
        if (host, path) == (GITHUB, PATH):
            return self.archive
        if (host, path) == (PULUMI, "/install.sh"):
            return INSTALLER.encode()
        return cli_archive() if host == PULUMI and path == cli_path() else None


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as handle:
        while piece := handle.read(CHUNK):
            yield piece
