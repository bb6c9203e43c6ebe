"""Where the files of a resolved model lie: on its hosts, and, of one that comes from there, on the operator's machine."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from hostler.manifest.items import digest_of
from hostler.models.source import own_path
from hostler.models.types import ModelSource, WeightsFile

MODELS = "/var/lib/hostler/models"
OPERATOR = "operator:"  # how an address begins that names files of the operator's machine, by their content
LOCAL = "file:"


def address(files: Sequence[WeightsFile]) -> str:
    """What stands for an address in a release: the digest of names and contents. So a folder of weights on a host is
    always of one content, whoever brought it there, and wherever it was."""
    return OPERATOR + digest_of([[file.file, file.sha256] for file in files])


def is_operators(weights: ModelSource) -> bool:
    return weights.url.startswith(OPERATOR)


def on_host(weights: ModelSource, file: WeightsFile | None = None) -> str:
    """Where a file of a model (the first one) is on a host. The folder is the digest of the first one's address, so
    that two files of one name never meet, and a file that is not downloaded yet has its place already."""
    one = file or weights
    if weights.local:
        return one.url.removeprefix(LOCAL)
    return f"{MODELS}/{digest_of(weights.url)[:16]}/{posixpath.basename(one.file)}"


def on_operator(weights: ModelSource, folder: str, file: WeightsFile | None = None) -> str:
    """Where it is on this machine, if it is here. `folder` is the stack file's."""
    named = own_path(weights.source, folder)
    # a release of before `folder` was kept tells a folder by its name alone
    is_folder = weights.folder or posixpath.basename(named) != weights.file
    within = named if is_folder else posixpath.dirname(named)
    return posixpath.join(within, (file or weights).file)
