"""What lies in the hub's repositories: the small model as GGUF, public and gated, and as safetensors."""

import hashlib
import io
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .hubdata import COMMITS, DENSE, FILE, VECTORS, hub_files
from .minilm import FILE as VECTORS_FILE
from .minilm import minilm_file
from .vllm_image import vllm_image_if_built

README = b"---\nlicense: apache-2.0\nbase_model: HuggingFaceTB/SmolLM2-135M-Instruct\n---\n# SmolLM2 135M\n"
LARGE = (".gguf", ".safetensors", ".bin", ".onnx")
# the same weights for other programs, as such repositories have them: not for vLLM
ALSO_THERE = {
    "README.md": README,
    ".gitattributes": "".join(f"*{s} filter=lfs diff=lfs merge=lfs -text\n" for s in LARGE).encode(),
    "pytorch_model.bin": b"PK\3\4" + b"not for vLLM" * 40_000,
    "onnx/model.onnx": b"not for vLLM either" * 20_000,
}


@dataclass(frozen=True)
class Entry:
    """A file of a repository. `sha256` where it lies in the large file storage, as what is not text does; else empty."""

    content: bytes | Path
    sha256: str = ""

    @property
    def size(self) -> int:
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)

    @property
    def blob(self) -> str:
        """Git's id of it, or of the pointer that git has in its place."""
        text = self.pointer if self.sha256 else self.content
        data = text.read_bytes() if isinstance(text, Path) else text
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

    @property
    def pointer(self) -> bytes:
        version = "version https://git-lfs.github.com/spec/v1"
        return f"{version}\noid sha256:{self.sha256}\nsize {self.size}\n".encode()


def _gguf(index: int) -> dict[str, Entry]:
    folder = hub_files()
    hashes: dict[str, str] = json.loads((folder / "hashes.json").read_text())
    model = f"{index + 1}.gguf"
    return {"README.md": Entry(README), FILE: Entry(folder / model, hashes[model])}


def _entry(content: bytes | Path, name: str) -> Entry:
    if not name.endswith(LARGE):
        return Entry(content)
    with content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as handle:
        return Entry(content, hashlib.file_digest(handle, "sha256").hexdigest())


@cache
def _vectors() -> dict[str, Entry]:
    return {"README.md": Entry(README), VECTORS_FILE: _entry(minilm_file(), VECTORS_FILE)}


@cache
def _dense(folder: Path) -> dict[str, Entry]:
    made = {path.name: path for path in sorted(folder.iterdir())}
    return {name: _entry(content, name) for name, content in (made | ALSO_THERE).items()}


def entries(repo: str, index: int) -> dict[str, Entry] | None:
    """What lies in a commit of a repository; None where that repository is not there (yet)."""
    if repo not in COMMITS:
        return None
    if repo == VECTORS:
        return _vectors()
    if repo != DENSE:
        return _gguf(index)
    image = vllm_image_if_built()
    return _dense(image / "model") if image else None


def large_file(sha256: str) -> Path | bytes | None:
    """What the large file storage has under this name."""
    every = [entries(repo, index) or {} for repo, commits in COMMITS.items() for index in range(len(commits))]
    return next((e.content for there in every for e in there.values() if e.sha256 == sha256), None)
