"""The names that the cloud answers for, and its certificate."""

from pathlib import Path

from ..cache import built, digest
from ..pki import certificate_for, pki
from .catalog import REGIONS

PLACES = (*REGIONS, "us-east-1")
# wildcards, as the lab's name service reads them
NAMES = ("*.amazonaws.com", "github.com", "api.github.com", "get.pulumi.com")


def _certified() -> tuple[str, ...]:
    """A wildcard stands for one label."""
    fixed = ("*.amazonaws.com", "*.s3.amazonaws.com", *NAMES[1:])
    regional = [
        f"{label}.{place}.amazonaws.com" for place in PLACES for label in ("*", "*.s3", "api.pricing")
    ]
    return (*fixed, *regional)


def certificate() -> Path:
    """The folder with server.crt and server.key."""
    names = _certified()
    recipe = f"certificate-{digest(pki() / 'ca.crt', *names)}"
    return built("cloud", recipe, lambda path: certificate_for(pki(), path, names))
