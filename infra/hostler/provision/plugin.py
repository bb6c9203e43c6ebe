"""The AWS plugin of the Pulumi CLI: the version that the installed pulumi_aws speaks, fetched once when it is needed."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

from hostler.errors import ProvisionError
from hostler.provision.engine import Command
from hostler.provision.locations import QUIET, Locations, inherited
from hostler.provision.types import Notice

SITE = "https://github.com/pulumi/pulumi-aws/releases"


def pinned() -> str:
    return version("pulumi_aws")


def folder(places: Locations) -> Path:
    """Where the CLI looks for it; another version beside it is not used."""
    return places.pulumi_home / "plugins" / f"resource-aws-v{pinned()}"


def ensure(command: Command, places: Locations, notice: Notice) -> None:
    """Raises ProvisionError where it is not there and cannot be fetched."""
    program = folder(places) / "pulumi-resource-aws"
    if program.exists() and not folder(places).with_suffix(f"{folder(places).suffix}.partial").exists():
        return
    notice(f"fetching Pulumi's AWS plugin {pinned()} (once; about 200 MB)")
    words = [str(command.path), "plugin", "install", "resource", "aws", f"v{pinned()}", "--non-interactive"]
    environ = {
        **inherited(),
        **QUIET,
        "PULUMI_HOME": str(places.pulumi_home),
        "PULUMI_BACKEND_URL": "file://~",
    }
    done = subprocess.run(
        words,
        env=environ,
        cwd=places.base,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode or not program.exists():
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise ProvisionError.of(
            "Pulumi's AWS plugin",
            expected=f"to fetch version {pinned()}",
            got=lines[-1].removeprefix("error: ") if lines else f"exit code {done.returncode}",
            next_step=f"look at the network and the proxy; or load pulumi-resource-aws-v{pinned()} for this system "
            f"from {SITE} and: hostler pulumi -- plugin install resource aws v{pinned()} --file ARCHIVE",
            detail="\n".join(lines[-20:]),
        )
