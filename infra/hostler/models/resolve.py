"""Sources and images become exact versions: commit ids, checksums, digests. Asks the network.

One attempt that fails says what to do; nothing is guessed but memory, and then it says so.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hostler.errors import StackFileError
from hostler.models import denied, host_files, lookup, lying, mirror
from hostler.models import source as sources
from hostler.models.denied import HUB_SECRET
from hostler.models.gguf import GgufError, Read
from hostler.models.host_files import SeenFiles, SeenFolder
from hostler.models.http import Answer, Http
from hostler.models.hub import Hub, files_of
from hostler.models.lookup import OnHost
from hostler.models.operator_files import OperatorFiles
from hostler.models.safetensors import (
    INDEX,
    Checkpoint,
    CheckpointError,
    indexed,
    names_of,
    read_checkpoint,
)
from hostler.models.source import Format, HubSource, OperatorSource, Parsed, PathSource, RepoFile, UrlSource
from hostler.models.types import ModelSource, WeightsFile

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

SMALL = 16 * 2**20  # bytes of the largest file beside weights that is read


class Weights:
    """Resolves sources. `api` replaces the hub's client, for tests; `hub` is the stack file's `mirror.hub`, which is
    asked instead, and which no release knows of. `folders`: what lies on hosts, by path; `on_host` reads there; `files`
    are those of this machine."""

    def __init__(
        self,
        *,
        token: str = "",
        http: Http | None = None,
        api: HfApi | None = None,
        seen: SeenFiles | None = None,
        hub: str | None = None,
        folders: Mapping[str, SeenFolder] | None = None,
        on_host: OnHost | None = None,
        files: OperatorFiles | None = None,
    ) -> None:
        self.token, self.http, self.seen = token, http or Http(), dict(seen or {})
        self._mirror, self._of_hub = hub, Hub(token, self.http.pause, mirror=hub, api=api)
        self.folders, self.on_host = dict(folders or {}), on_host
        self.files = files or OperatorFiles()

    def resolve(
        self,
        source: Parsed,
        *,
        where: str = "source",
        form: Format = "unknown",
        hosts: Collection[str] | None = None,
    ) -> ModelSource:
        """The exact files. `form`: which ones of a repository that has several; `hosts`: where a path has to lie, None:
        wherever. Raises StackFileError (wrong name, no access) or UnreachableError."""
        match source:
            case HubSource():
                return self._hub(source, where, form)
            case OperatorSource():
                return self._operators(source, where, form)
            case PathSource() if source.path.rstrip("/") in self.folders:
                return self._folder(source, where, form, hosts)
            case PathSource() if sources.is_split(source.path) and form != "safetensors":
                return self._parts(source, where, hosts)
            case UrlSource() if form != "safetensors":
                return self._url(source, where)
            case PathSource() if form != "safetensors" or source.path not in self.seen:
                return self._path(source, where)
            case _:
                raise denied.not_of_hub(str(source), where)

    def reader(self, weights: ModelSource, file: WeightsFile | None = None) -> Read:
        """Reads parts of a resolved file (the first one) by HTTP ranges. Raises StackFileError or
        UnreachableError."""
        one = file or weights.files[0]
        if one.url.startswith((lying.LOCAL, lying.OPERATOR)):
            return lookup.reader(weights, one, self.files, self.on_host)
        url = mirror.hub(self._mirror, one.url)
        headers = {"Authorization": f"Bearer {self.token}"} if weights.secret and self.token else {}

        def read(offset: int, count: int) -> bytes:
            span = {"Range": f"bytes={offset}-{offset + count - 1}"}
            answer = self.http.ask("GET", url, {**headers, **span}, limit=offset + count)
            if answer.status == 206:
                return answer.body[:count]
            if answer.status == 200:  # a server that knows no ranges sends from the start
                return answer.body[offset : offset + count]
            if answer.status == 416:
                return b""
            raise self._no_access(weights.source, url, answer)

        return read

    def quantizations(self, source: HubSource, *, where: str = "source") -> list[RepoFile]:
        """The repository's GGUF files that are whole and say their quantization, smallest first."""
        files = sources.weights_of(files_of(self._of_hub.open(source, where)))
        whole = (file for file in files if sources.label(file.name) and not sources.is_split(file.name))
        return sorted(whole, key=lambda file: file.size)

    def _small(self, url: str, secret: bool, where: str) -> bytes:
        headers = {"Authorization": f"Bearer {self.token}"} if secret and self.token else {}
        at = mirror.hub(self._mirror, url)
        answer = self.http.ask("GET", at, headers)
        if answer.status != 200:
            raise self._no_access(where, at, answer)
        return answer.body

    def _no_access(self, where: str, url: str, answer: Answer) -> StackFileError:
        error = denied.no_access(where, url, answer, bool(self.token))
        return denied.at_mirror(self._mirror, error) if answer.status == 404 else error

    def _hub(self, source: HubSource, where: str, form: Format) -> ModelSource:
        info = self._of_hub.open(source, where)
        files = files_of(info)
        if form == "unknown":
            form = "gguf" if source.quantization or sources.weights_of(files) else "safetensors"
        if form == "gguf":
            chosen = sources.choose(source, files, where=where)
        else:
            chosen = self._of_checkpoint(source, files, info, where)
        parts = [
            WeightsFile(
                url=self._of_hub.address(source, file.name, info),
                file=file.name.rpartition("/")[2],
                size=file.size,
                sha256=file.sha256,
            )
            for file in chosen
        ]
        return ModelSource(
            source=str(source),
            url=parts[0].url,
            file=parts[0].file,
            size=parts[0].size,
            sha256=parts[0].sha256,
            revision=info.sha or "",
            secret=HUB_SECRET if info.gated or info.private else "",
            more=tuple(parts[1:]),
            format="gguf" if form == "gguf" else "safetensors",
        )

    def _of_checkpoint(
        self, source: HubSource, files: Sequence[RepoFile], info: ModelInfo, where: str
    ) -> list[RepoFile]:
        there = {file.name: file for file in files}
        secret = bool(info.gated or info.private)
        index = (
            self._small(self._of_hub.address(source, INDEX, info), secret, where) if INDEX in there else None
        )
        names = names_of(there, indexed(index))
        if not names or not names[0].endswith(".safetensors") or "config.json" not in names:
            raise denied.no_weights(source, where)
        return [there[name] for name in names]

    def read_checkpoint(self, weights: ModelSource, *, where: str = "source") -> Checkpoint:
        """What a resolved checkpoint tells of itself. Raises CheckpointError, StackFileError or UnreachableError."""
        there = {file.file: file for file in weights.files}

        def read(name: str) -> bytes | None:
            return self._beside(weights, there[name], where) if name in there else None

        return read_checkpoint(read, {name: file.size for name, file in there.items()})

    def _beside(self, weights: ModelSource, file: WeightsFile, where: str) -> bytes:
        """A small file of a checkpoint, whole."""
        if not file.url.startswith((lying.LOCAL, lying.OPERATOR)):
            return self._small(file.url, bool(weights.secret), where)
        try:
            return lookup.reader(weights, file, self.files, self.on_host)(0, file.size)
        except GgufError as error:
            raise CheckpointError(f"{file.file} could not be read: {error}") from error

    def _url(self, source: UrlSource, where: str) -> ModelSource:
        answer = self.http.ask("HEAD", source.url)
        if answer.status != 200:
            raise denied.no_access(where, source.url, answer, had_token=False)
        return ModelSource(
            source=source.url,
            url=source.url,
            file=source.file,
            size=_length(answer, source.url, where),
            sha256=source.sha256,
            revision=answer.headers.get("etag", "").strip('"'),
        )

    def _operators(self, source: OperatorSource, where: str, form: Format) -> ModelSource:
        """By content, which is the same wherever the file lies and whoever brings it."""
        paths = self.files.chosen(source, form, where)
        files = [
            WeightsFile(
                url="", file=path.name, size=path.stat().st_size, sha256=self.files.digest(path, where)
            )
            for path in paths
        ]
        if source.sha256 and source.sha256 != files[0].sha256:
            raise denied.other_content(source.text, source.sha256, files[0].sha256, where)
        url = lying.address(files)
        return ModelSource(
            source=source.text,
            url=url,
            file=files[0].file,
            size=files[0].size,
            sha256=files[0].sha256,
            folder=paths[0].parent == Path(source.path),
            more=tuple(replace(file, url=f"{url}/{file.file}") for file in files[1:]),
            format="gguf" if paths[0].suffix.lower() == ".gguf" else "safetensors",
        )

    def _folder(
        self, source: PathSource, where: str, form: Format, hosts: Collection[str] | None
    ) -> ModelSource:
        def read(name: str) -> bytes:
            path = f"{source.path.rstrip('/')}/{name}"
            if not self.on_host:
                raise CheckpointError(f"{path} could not be read")
            return self.on_host(path, 0, SMALL)

        seen = self.folders[source.path.rstrip("/")]
        return host_files.of_folder(source, seen, hosts, read, form, where)

    def _parts(self, source: PathSource, where: str, hosts: Collection[str] | None) -> ModelSource:
        seen = self.folders.get(posixpath.dirname(source.path).rstrip("/"), SeenFolder())
        return host_files.of_parts(source, seen, hosts, where)

    def _path(self, source: PathSource, where: str) -> ModelSource:
        seen = self.seen.get(source.path)
        if seen is None:
            raise denied.no_file(source.path, where)
        return ModelSource(
            source=source.path,
            url=f"file:{source.path}",
            file=source.file,
            size=seen.size,
            sha256=source.sha256 or seen.sha256,
            local=True,
        )


def _length(answer: Answer, url: str, where: str) -> int:
    length = answer.headers.get("content-length", "")
    if length.isdecimal() and int(length):
        return int(length)
    raise StackFileError.of(
        where,
        expected="a server that says how long the file is",
        got=f"no Content-Length from {url}",
        next_step="download it yourself to the same path on each host, and give that path",
    )
