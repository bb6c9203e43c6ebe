"""Parts of files that have no address: on this machine, else on a host that has them, by its agent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hostler.models import lying
from hostler.models.gguf import GgufError, Read
from hostler.models.operator_files import OperatorFiles
from hostler.models.types import ModelSource, WeightsFile

OnHost = Callable[
    [str, int, int], bytes
]  # absolute path, offset, count; raises OSError where no host gives it


def reader(weights: ModelSource, file: WeightsFile, files: OperatorFiles, on_host: OnHost | None) -> Read:
    """Raises GgufError where the bytes cannot be had now. The operator's machine may be the host, and the same path
    with the same size is that file."""
    path = lying.on_host(weights, file)
    here = Path(path if weights.local else lying.on_operator(weights, files.folder, file))

    def read(offset: int, count: int) -> bytes:
        try:
            if _is_same(here, file, files, weights.local):
                with here.open("rb") as opened:
                    opened.seek(offset)
                    return opened.read(count)
            if on_host:
                return on_host(path, offset, count)
        except OSError as error:
            raise GgufError("the file is on the host") from error
        raise GgufError("the file is on the host")

    return read


def _is_same(path: Path, file: WeightsFile, files: OperatorFiles, local: bool) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    known = "" if local else files.remembered(path)
    return not (known and file.sha256 and known != file.sha256)
