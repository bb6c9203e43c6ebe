"""vLLM itself, on a processor, as the image that Docker Hub has under vllm/vllm-openai. Built when a test asks for it."""

import shutil
import sys
from functools import cache
from pathlib import Path

from .aptproxy import DEBIAN
from .cache import HERE, built, digest, there
from .hubdata import hub_files
from .images import PATH, SMALL, Image, pack
from .machine import install, room
from .roots import SLIM, apt_through_cache
from .shell import LabError, sh
from .torch_without_cuda import without_cuda

VERSION = "0.32.0"
NAME = "registry-1.docker.io/vllm/vllm-openai"
CONTAINER = HERE / "container"
PACKAGES = "opt/vllm"
PYTHON = "3.11"  # of bookworm
UNUSED = ("torch/include", "torch/share")
ROOM = 10  # GiB; while it is built: what is downloaded, unpacked and packed


def _uv() -> Path:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if not found:
        raise LabError("uv is missing: vLLM's packages are installed with it (tools/setup.sh has it)")
    return Path(found)


def _install(packages: Path) -> None:
    """What vllm.lock names, all of it and nothing else: without CUDA's own packages."""
    target = ("--python-version", PYTHON, "--python-platform", "x86_64-manylinux_2_36", "--target", packages)
    lock = CONTAINER / "vllm.lock"
    how = ("-q", "--link-mode=copy", "--no-deps", "--only-binary=:all:")
    sh(_uv(), "pip", "install", *how, *target, "-r", lock)
    for name in UNUSED:
        shutil.rmtree(packages / name)
    about = packages / f"vllm-{VERSION}+cpu.dist-info"  # `vllm` asks what its own package is called
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n")


def _fill(root: Path) -> None:
    packages = root / PACKAGES
    _install(packages)
    without_cuda(packages / "torch", root / "usr/lib/x86_64-linux-gnu")
    shutil.copy(CONTAINER / "lab_faults.py", packages)
    for name in ("vllm", "to-safetensors"):
        shutil.copy(CONTAINER / name, root / "usr/local/bin")
        (root / "usr/local/bin" / name).chmod(0o755)
    # what is compiled now is not compiled at each start: 20 s instead of 60; a few files are no Python of this version
    _inside(root, "python3", "-m", "compileall", "-q", "-j", "0", f"/{PACKAGES}", check=False)


def _inside(root: Path, *argv: str, check: bool = True) -> None:
    """Runs a command in the image's root, with nothing of this machine's environment."""
    sh("chroot", root, "env", "-i", PATH, f"PYTHONPATH=/{PACKAGES}", "HF_HUB_OFFLINE=1", *argv, check=check)


def _model(root: Path, target: Path) -> None:
    """The hub's small model as safetensors, made with what vLLM brings along."""
    work = root / "convert"
    work.mkdir()
    shutil.copy(hub_files() / "1.gguf", work / "model.gguf")
    _inside(root, "/usr/local/bin/to-safetensors", "/convert/model.gguf", "/convert/model")
    (work / "model").rename(target)
    shutil.rmtree(work)


def _root(tar: Path) -> None:
    root = tar.with_name("root")
    with apt_through_cache() as options:
        packages = "--include=python3,libnuma1,ca-certificates"
        sh("mmdebstrap", *options, *SLIM, *SMALL, packages, "bookworm", root, DEBIAN)
    _fill(root)
    _model(root, tar.with_name("model"))
    sh("tar", "--numeric-owner", "--sort=name", "-C", root, "-cf", tar, ".")
    shutil.rmtree(root)


IMAGE = Image(
    name=NAME,
    tags={tag: {"org.opencontainers.image.version": VERSION} for tag in ("latest", f"v{VERSION}")},
    config={
        "Entrypoint": ["vllm", "serve"],
        "Env": [
            PATH,
            f"PYTHONPATH=/{PACKAGES}",
            "VLLM_USAGE_SOURCE=production-docker-image",
            "VLLM_NO_USAGE_STATS=1",
            "VLLM_CPU_KVCACHE_SPACE=1",  # GiB
        ],
        "WorkingDir": "/vllm-workspace",
    },
    root=_root,
)


@cache
def _key() -> str:
    return digest(HERE / "vllm_image.py", HERE / "torch_without_cuda.py", CONTAINER)


def _build(path: Path) -> None:
    install({"as": "binutils", "readelf": "binutils"})
    if not room(ROOM):
        raise LabError(f"less than {ROOM} GiB free for the image of vLLM")
    pack(IMAGE, path)


def vllm_image() -> Path:
    """The folder with `blobs` and `tags.json`; the first time takes minutes and downloads 1 GB."""
    return built("image-vllm-openai", _key(), _build)


def vllm_image_if_built() -> Path | None:
    return there("image-vllm-openai", _key())
