"""Where a model's weights come from: the stack file's `source` word as a type, and the choice of one
file among those of a repository. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from hostler.errors import StackFileError

Format = Literal["gguf", "safetensors", "unknown"]

_HUB = re.compile(
    r"hf:(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::(?P<quant>[\w.-]+))?(?:@(?P<revision>[\w.][\w./-]*))?"
)
_LABEL = re.compile(
    r"(?:^|[-._/])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_MOE)?|BF16|FP?16|FP?32))"
    r"(?:-\d{5}-of-\d{5})?\.gguf$",
    re.IGNORECASE,
)
_SPLIT = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)
_NOT_WEIGHTS = re.compile(r"mmproj|imatrix", re.IGNORECASE)  # vision projectors, calibration data
_FULL_PRECISION = re.compile(r"awq|gptq|safetensors|fp8|bnb", re.IGNORECASE)
DEFAULT_QUANTIZATION = "Q4_K_M"
OWN = ("./", "../", "~/")  # how a source begins that is on the operator's machine


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of the Hugging Face hub. `quantization` empty: the only one there, or Q4_K_M."""

    repo: str
    quantization: str = ""
    revision: str = ""

    def __str__(self) -> str:
        quantization = f":{self.quantization}" if self.quantization else ""
        return f"hf:{self.repo}{quantization}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True, slots=True)
class UrlSource:
    """One file at an https address; `sha256` is the stack file's, empty if it names none."""

    url: str
    sha256: str = ""

    @property
    def file(self) -> str:
        return unquote(PurePosixPath(urlsplit(self.url).path).name)

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class PathSource:
    """A file that is on the hosts already, by absolute path."""

    path: str
    sha256: str = ""

    @property
    def file(self) -> str:
        return PurePosixPath(self.path).name

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class OperatorSource:
    """A file, or a folder, on the machine that runs Hostler. `text` is the stack file's, which is the same for every
    operator; `path` is where that is on this one."""

    text: str
    path: str
    sha256: str = ""

    def __str__(self) -> str:
        return self.text


Parsed = HubSource | UrlSource | PathSource | OperatorSource


@dataclass(frozen=True, slots=True)
class RepoFile:
    """A file of a repository. `sha256` empty: unknown."""

    name: str
    size: int
    sha256: str = ""


def parse(text: str, *, sha256: str = "", folder: str = "/", where: str = "source") -> Parsed:
    """The typed source. `folder`: what `./` stands for, the stack file's folder. Raises StackFileError."""
    if text.startswith("hf:"):
        return _hub(text, where)
    if text.startswith("https://"):
        return _url(text, sha256, where)
    if text.startswith("/"):
        return PathSource(_absolute(text, folder), sha256)
    if text.startswith(OWN):
        return OperatorSource(text, own_path(text, folder), sha256)
    raise StackFileError.of(
        where,
        expected="hf:ORG/REPO[:QUANT][@REVISION], an https address, /PATH on the hosts, or ./PATH beside this file",
        got=repr(text),
        next_step="name a GGUF repository of the hub, such as hf:bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:Q4_K_M",
    )


def _hub(text: str, where: str) -> HubSource:
    found = _HUB.fullmatch(text)
    if not found:
        raise StackFileError.of(
            where,
            expected="hf:ORG/REPO, then perhaps :QUANT and @REVISION",
            got=repr(text),
            next_step="copy the repository's name from its page on the hub",
        )
    return HubSource(found["repo"], found["quant"] or "", found["revision"] or "")


def _url(text: str, sha256: str, where: str) -> UrlSource:
    source = UrlSource(text, sha256)
    if not urlsplit(text).hostname or not source.file or urlsplit(text).username is not None:
        raise StackFileError.of(
            where,
            expected="an https address of one file, without a user or password in it",
            got=repr(text.split("@")[-1]),
            next_step="give the address of the .gguf file itself",
        )
    return source


def own_path(text: str, folder: str) -> str:
    """Where a source of the operator's machine is on this one; `folder` is the stack file's."""
    return _absolute(str(Path(text).expanduser()) if text.startswith("~") else text, folder)


def _absolute(text: str, folder: str) -> str:
    parts: list[str] = []
    for part in PurePosixPath(folder, text).parts[1:]:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return "/" + "/".join(parts)


def format_of(text: str) -> Format:
    """What the source's words say about the format; `unknown` where only a look at it can tell."""
    name = text.partition("@")[0] if text.startswith("hf:") else text
    if ".gguf" in name.lower() or (text.startswith("hf:") and re.search(r":|gguf", name[3:], re.IGNORECASE)):
        return "gguf"
    return "safetensors" if _FULL_PRECISION.search(name) else "unknown"


def label(name: str) -> str:
    """The quantization that a GGUF file's name tells, in capitals; empty: none."""
    found = _LABEL.search(name)
    return found[1].upper() if found else ""


def is_split(name: str) -> bool:
    return bool(_SPLIT.search(name))


def weights_of(files: Iterable[RepoFile]) -> list[RepoFile]:
    """The repository's GGUF files that hold a model, by name."""
    gguf = (file for file in files if file.name.lower().endswith(".gguf"))
    return sorted((file for file in gguf if not _NOT_WEIGHTS.search(file.name)), key=lambda file: file.name)


def choose(source: HubSource, files: Sequence[RepoFile], *, where: str = "source") -> tuple[RepoFile, ...]:
    """The model that the source names: one file, or all parts of one that is split, in their order. Raises
    StackFileError with what is there instead."""
    models = models_of(weights_of(files))
    if not models:
        raise _no_gguf(source, files, where)
    found = _matches(source.quantization, models)
    if len(found) != 1:
        raise _not_one(source, [parts[0] for parts in found or models], where, several=bool(found))
    if not is_whole(found[0]):
        raise _incomplete(source, found[0], where)
    return found[0]


def first_part(name: str) -> str:
    """The name of the first part of the split file that this is a part of; another name as it is."""
    return _SPLIT.sub(lambda found: f"-00001-of-{found[2]}{found[0][-5:]}", name)


def lacking(parts: Sequence[RepoFile]) -> list[str]:
    """Names of the parts of a model that are not there."""
    name = parts[0].name
    if not is_split(name):
        return []
    there = {int(found[1]) for part in parts if (found := _SPLIT.search(part.name))}
    wanted = (number for number in range(1, _count(name) + 1) if number not in there)
    return [_SPLIT.sub(rf"-{number:05}-of-\2.gguf", name) for number in wanted]


def is_whole(parts: Sequence[RepoFile]) -> bool:
    """Whether all parts of a model are there."""
    return not lacking(parts)


def models_of(weights: Sequence[RepoFile]) -> list[tuple[RepoFile, ...]]:
    """Each model's files: the parts of a split one together."""
    stems: dict[str, list[RepoFile]] = {}
    for file in weights:
        stems.setdefault(_SPLIT.sub(f"-of-{_count(file.name)}", file.name), []).append(file)
    return [tuple(parts) for parts in stems.values()]


def _count(name: str) -> int:
    """Of parts, as the name of one says; 1: it is whole."""
    found = _SPLIT.search(name)
    return int(found[2]) if found else 1


def _matches(wanted: str, models: Sequence[tuple[RepoFile, ...]]) -> list[tuple[RepoFile, ...]]:
    """Models of that quantization, best kind of match first: whole file name, exact label, label
    without the maker's prefix; whole ones before split ones."""
    if not wanted:
        if len(models) == 1:
            return list(models)
        wanted = DEFAULT_QUANTIZATION
    word = wanted.upper()
    for kind in range(3):
        found = [parts for parts in models if word in _called(parts[0].name)[kind]]
        if found:
            whole = [parts for parts in found if not is_split(parts[0].name)]
            return whole or found
    return []


def _called(name: str) -> tuple[tuple[str, ...], ...]:
    """How a file may be named in a source, in capitals; the surest kind first."""
    upper = name.upper()
    whole = (upper, upper.removesuffix(".GGUF"), upper.rpartition("/")[2])
    return whole, (label(name),), (label(name).removeprefix("UD-"),)


def _words(files: Sequence[RepoFile]) -> str:
    """What to write after the colon to get one of these."""
    words = {label(file.name) or file.name for file in files}
    return ", ".join(sorted(words)) or "none"


def _no_gguf(source: HubSource, files: Sequence[RepoFile], where: str) -> StackFileError:
    safetensors = any(file.name.endswith(".safetensors") for file in files)
    got = "only safetensors, which vLLM reads" if safetensors else "none"
    return StackFileError.of(
        where,
        expected=f"a GGUF file in {source.repo}",
        got=got,
        next_step="name a repository with GGUF files; their names usually end in -GGUF"
        + ("; or `engine: vllm`" if safetensors else ""),
    )


def _incomplete(source: HubSource, found: Sequence[RepoFile], where: str) -> StackFileError:
    return StackFileError.of(
        where,
        expected=f"all {_count(found[0].name)} parts of {found[0].name} in {source.repo}",
        got=f"{len(found)} of them",
        next_step="choose another quantization, or another repository of the model",
    )


def _not_one(source: HubSource, files: Sequence[RepoFile], where: str, *, several: bool) -> StackFileError:
    wanted = source.quantization or f"{DEFAULT_QUANTIZATION} (taken when none is named)"
    there = ", ".join(file.name for file in files) if several else _words(files)
    got = f"{len(files)} files of it" if several else f"no {wanted}"
    return StackFileError.of(
        where,
        expected=f"one GGUF file of {source.repo} for {wanted}",
        got=f"{got}; there is: {there}",
        next_step=f"write hf:{source.repo}:NAME with one of these",
    )
