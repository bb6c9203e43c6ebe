"""Hostler's own program as one file, and the pins of what it needs: what the controller runs.

The package as it is installed here, with its playbooks and templates, in an archive whose bytes follow from its content
alone. Python packages are not in it: the gateway's host gets them by the checksums of the same lock file.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

import hostler
from hostler import resources
from hostler.hosts import ways

NAME = "hostler.zip"
LOCK = "requirements.lock"
BORN = (1980, 1, 1, 0, 0, 0)  # of each member: an archive knows nothing earlier
SHARED = ("playbooks", "templates", "stacks")
LEFT_OUT = ("__pycache__", "share")
# What the controller imports
ROOTS = (
    "ansible-core",
    "ansible-runner",
    "click",
    "fastapi",
    "httpx",
    "huggingface-hub",
    "jinja2",
    "paramiko",
    "platformdirs",
    "prometheus-client",
    "pyyaml",
    "tenacity",
    "uvicorn",
)
RENTING = ("boto3", "pulumi", "pulumi-aws")  # where it may rent, as well
_ENTRY = re.compile(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==", re.MULTILINE)


@cache
def archive() -> bytes:
    """The program, importable from a folder that it is unpacked into. The controller's own is the one that it was
    given."""
    if there := ways.folder():
        return (there / NAME).read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:  # stored: compressed bytes differ from one zlib to another
        for name, path in sorted(_members()):
            member = zipfile.ZipInfo(name, BORN)
            member.external_attr = 0o644 << 16
            out.writestr(member, path.read_bytes())
    return packed.getvalue()


@cache
def digest() -> str:
    return sha256(archive()).hexdigest()


def _members() -> Iterator[tuple[str, Path]]:
    package = Path(hostler.__file__).parent
    for path in package.rglob("*"):
        inside = path.relative_to(package)
        if path.is_file() and not set(LEFT_OUT).intersection(inside.parts):
            yield f"hostler/{inside}", path
    for folder in SHARED:
        for path in (resources.share() / folder).rglob("*"):
            inside = path.relative_to(resources.share())
            if path.is_file() and "__pycache__" not in inside.parts:
                yield f"hostler/share/{inside}", path
    yield f"hostler/share/{LOCK}", resources.share() / LOCK


@cache
def requirements(*, rents: bool = False) -> str:
    """The part of the lock file that the controller needs: exact versions with the SHA-256 of each of their files.
    `rents`: with Pulumi and AWS."""
    every = entries((resources.share() / LOCK).read_text(encoding="utf-8"))
    return "\n".join(_closure(every, (*ROOTS, *(RENTING if rents else ())))) + "\n"


def entries(text: str) -> Mapping[str, str]:
    """Package -> its lines in a lock file, with the comment that says who asks for it."""
    starts = [(found[1].replace("_", "-"), found.start()) for found in _ENTRY.finditer(text)]
    ends = [start for _, start in starts[1:]] + [len(text)]
    return {name: text[start:end].rstrip() for (name, start), end in zip(starts, ends, strict=True)}


def _closure(every: Mapping[str, str], roots: tuple[str, ...]) -> Iterator[str]:
    """The roots, and what was locked because one of them asks for it."""
    wanted: set[str] = set()
    fresh = {name for name in roots if name in every}
    while fresh:
        wanted |= fresh
        fresh = {
            name
            for name, lines in every.items()
            if name not in wanted and wanted.intersection(_asked_by(lines))
        }
    return (every[name] for name in sorted(wanted))


def _asked_by(lines: str) -> set[str]:
    """`# via x`, or a comment line for each."""
    _, _, said = lines.partition("# via")
    return {word.strip("# ").partition(" ")[0].replace("_", "-") for word in re.split(r"[\n,]", said)} - {""}
