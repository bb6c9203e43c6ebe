"""Where Pulumi's CLI downloads the AWS plugin from: an archive on GitHub whose program starts the stand-in."""

import io
import sys
import tarfile
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..cache import HERE, built, digest
from .api import Api
from .provider.schema import write_schema
from .provider.table import TYPES
from .wire import Environ

HOSTS = ("github.com", "api.github.com", "get.pulumi.com")
VERSION = version("pulumi_aws")
PATH = f"/pulumi/pulumi-aws/releases/download/v{VERSION}/pulumi-resource-aws-v{VERSION}-linux-amd64.tar.gz"
# -I: whatever Python variables the operator has, this is the tests' own
START = """#!/bin/sh
LAB_AWS_SCHEMA='{schema}' exec '{python}' -I -c 'import sys, runpy; sys.path.insert(0, "{tests}")
runpy.run_module("lab.cloud.provider", run_name="__main__", alter_sys=True)' "$@"
"""


def schema() -> Path:
    """The input types of all resources, derived once for a version of pulumi_aws."""
    provider = Path(__file__).parent / "provider"
    recipe = f"schema-{digest(provider / 'schema.py', VERSION, *TYPES)}"
    return (
        built("cloud-schema", recipe, lambda path: write_schema(path / "inputs.json", TYPES)) / "inputs.json"
    )


def archive() -> bytes:
    """The plugin as its maker packs it."""
    program = START.format(schema=schema(), python=sys.executable, tests=HERE.parent).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as out:
        about = tarfile.TarInfo("pulumi-resource-aws")
        about.size, about.mode = len(program), 0o755
        out.addfile(about, io.BytesIO(program))
    return packed.getvalue()


class Releases:
    """Answers for these hosts, and leaves all others to the API."""

    def __init__(self, api: Api) -> None:
        self.api, self.archive = api, archive()

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        host = str(environ.get("HTTP_HOST", "")).split(":")[0]
        if host not in HOSTS:
            return self.api(environ, start)
        found = host == HOSTS[0] and environ["PATH_INFO"] == PATH
        status, body = ("200 OK", self.archive) if found else ("404 Not Found", b"not found\n")
        start(status, [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
        return [body]
