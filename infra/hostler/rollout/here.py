"""Files of this machine that a stack file names: whether they are there. Looked at, never read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hostler import operator
from hostler.errors import Problem, StackFileError
from hostler.models.source import OWN, own_path
from hostler.stackfile.sections import StackFile, TlsFiles

MIRROR_KEYS = ("toolkit_key", "driver_key", "docker_key")


def check(file: StackFile) -> None:
    """Certificates and keys, without which nothing can be planned. Raises StackFileError with all that are missing."""
    missing = tuple(_missing(file))
    if missing:
        raise StackFileError(*missing)


def weights_elsewhere(file: StackFile) -> list[str]:
    """A sentence for each model whose weights are not here. That is no mistake: the hosts may have them already."""
    folder = str(Path(file.path).resolve().parent)
    named = {name: model.source or "" for name, model in file.stack.models.items()}
    return [
        f"{file.where(f'models.{name}.source')}: {source} is not on this machine ({trouble}); "
        "`hostler up` goes on where its release is on a host already"
        for name, source in named.items()
        if source.startswith(OWN) and (trouble := _trouble(Path(own_path(source, folder))))
    ]


def _missing(file: StackFile) -> Iterator[Problem]:
    for path, what, name in _named(file):
        place = operator.named_file(file.path, name)
        if trouble := _trouble(place) or ("not a file" if place.is_dir() else ""):
            yield Problem(
                where=file.where(path),
                expected=f"{what} in a file on this machine",
                got=f"{place}: {trouble}",
                next_step="put it there, or mend the path: it starts at the stack file's folder",
            )


def _named(file: StackFile) -> Iterator[tuple[str, str, str]]:
    """(place in the stack file, what it is, path)."""
    tls, mirror = file.stack.gateway.tls, file.stack.mirror
    if isinstance(tls, TlsFiles):
        yield "gateway.tls.cert", "a PEM certificate", tls.cert
        yield "gateway.tls.key", "a PEM private key", tls.key
    for key in MIRROR_KEYS if mirror else ():
        if name := getattr(mirror, key):
            yield f"mirror.{key}", "an OpenPGP key", name


def _trouble(path: Path) -> str:
    """Why it cannot be read; empty: it can, as far as can be told without opening it."""
    try:
        path.stat()
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return "" if os.access(path, os.R_OK) else "permission denied"
