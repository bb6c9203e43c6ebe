"""Files of weights that lie on the hosts already, as a probe saw them: the same on each host of the model's pools. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from hostler.errors import StackFileError
from hostler.models import denied, folders
from hostler.models.lying import LOCAL
from hostler.models.source import Format, PathSource
from hostler.models.types import ModelSource, WeightsFile


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file that a probe saw on the hosts. `sha256` empty: nobody has counted it; `out`: it is a link out of its
    folder, which is all that a container sees."""

    size: int
    sha256: str = ""
    out: bool = False


SeenFiles = Mapping[str, SeenFile]  # by absolute path; in a folder by name


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFolder:
    """What is in a folder, by host; of a host that has none, None."""

    hosts: Mapping[str, SeenFiles | None] = field(default_factory=dict[str, "SeenFiles | None"])


def of_folder(
    source: PathSource,
    seen: SeenFolder,
    hosts: Collection[str] | None,
    read: Callable[[str], bytes],
    form: Format,
    where: str,
) -> ModelSource:
    """`hosts`: those of the model's pools that answer, None: all; `read` gives a small file of the folder. Raises
    StackFileError with the hosts that lack it, or have something else there."""
    path = source.path.rstrip("/")
    asked = _asked(seen, hosts)
    there = {name: files for name, files in asked.items() if files is not None}
    if not there:
        raise denied.no_file(path, where)
    first = min(there)
    names = folders.chosen(path, _sizes(there[first]), read, form, where=where)
    return _of_names(source, path, f"{path}/", names, first, asked, where)


def of_parts(source: PathSource, seen: SeenFolder, hosts: Collection[str] | None, where: str) -> ModelSource:
    """A split file by the name of its first part; `seen` is the folder that it lies in. Raises StackFileError as
    `of_folder`, and for parts that are not there."""
    path, _, name = source.path.rpartition("/")
    asked = _asked(seen, hosts)
    there = {host: files for host, files in asked.items() if files and name in files}
    if not there:
        raise denied.no_file(source.path, where)
    first = min(there)
    names = folders.of_file(source.path, _sizes(there[first]), where=where)
    copied = f"{path}/{name.replace('-00001-of-', '-*-of-')}"
    found = _of_names(source, path, copied, names, first, asked, where)
    return replace(found, sha256=source.sha256 or found.sha256)


def _asked(seen: SeenFolder, hosts: Collection[str] | None) -> dict[str, SeenFiles | None]:
    return {name: files for name, files in seen.hosts.items() if hosts is None or name in hosts}


def _sizes(files: SeenFiles) -> dict[str, int]:
    return {name: file.size for name, file in files.items()}


def _of_names(
    source: PathSource,
    path: str,
    copied: str,
    names: tuple[str, ...],
    first: str,
    asked: Mapping[str, SeenFiles | None],
    where: str,
) -> ModelSource:
    """Those files of the folder `path`, as they are on the host `first`; `copied`: what others have to get of it."""
    there = {name: files for name, files in asked.items() if files is not None}
    listing = there[first]
    _refuse_links(path, [name for name in names if listing[name].out], where)
    _refuse_others(path, copied, first, names, asked, where)
    files = [
        WeightsFile(url=f"{LOCAL}{path}/{name}", file=name, size=listing[name].size, sha256=_sha(name, there))
        for name in names
    ]
    return ModelSource(
        source=source.path,
        url=files[0].url,
        file=files[0].file,
        size=files[0].size,
        sha256=files[0].sha256,
        local=True,
        more=tuple(files[1:]),
        format="gguf" if names[0].lower().endswith(".gguf") else "safetensors",
    )


def _sha(name: str, there: Mapping[str, SeenFiles]) -> str:
    """As one of the hosts knows it."""
    return next((files[name].sha256 for files in there.values() if files[name].sha256), "")


def _refuse_links(path: str, names: list[str], where: str) -> None:
    if names:
        raise StackFileError.of(
            where,
            expected=f"the files themselves in {path}",
            got=f"links out of it, which a container does not see: {', '.join(names[:3])}",
            next_step="download them into a folder: `hf download ORG/REPO --local-dir FOLDER`",
        )


def _refuse_others(
    path: str,
    copied: str,
    first: str,
    names: tuple[str, ...],
    asked: Mapping[str, SeenFiles | None],
    where: str,
) -> None:
    model = asked[first] or {}
    wrong: list[str] = []
    for host, files in sorted(asked.items()):
        other = [name for name in names if not _same((files or {}).get(name), model[name])]
        if files is None:
            wrong.append(f"{host} has no such folder")
        elif other:
            wrong.append(f"{host} has not the same {', '.join(other[:3])}")
    if wrong:
        others = " ".join(host for host in sorted(asked) if host != first)
        raise StackFileError.of(
            where,
            expected=f"the same files in {path} on each host of the model's pools, as on {first}",
            got="; ".join(wrong),
            next_step=f"copy it from {first} (`rsync -aP {copied} HOST:{path}/` for {others}), or name a pool whose hosts have it",
        )


def _same(one: SeenFile | None, other: SeenFile) -> bool:
    return (
        bool(one)
        and one.size == other.size
        and (not one.sha256 or not other.sha256 or one.sha256 == other.sha256)
    )
