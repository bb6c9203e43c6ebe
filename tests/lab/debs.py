"""NVIDIA's apt repositories: real names, versions and layout, stand-in content, signed by a key of the lab."""

import gzip
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .cache import HERE, built, digest
from .gobuild import go_binary
from .shell import sh

VERSION = "1.18.0-1"
DRIVER = "580.95.05-0ubuntu0.24.04.1"
CUDA = "580.95.05-1"
FLAT = "libnvidia-container/stable/deb/amd64"
REPOSITORIES = tuple(f"compute/cuda/repos/{release}/x86_64" for release in ("debian12", "debian13"))
KEY = "3bf863cc.pub"
SOURCE = "/usr/src/nvidia-580.95.05/dkms.conf"  # a boot with it loads the module: see guest/lab-init


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    programs: tuple[str, ...] = ()
    depends: str = ""
    files: tuple[tuple[str, str], ...] = ()
    postinst: str = ""


PACKAGES = (
    Package("libnvidia-container1", VERSION),
    Package("libnvidia-container-tools", VERSION, (), f"libnvidia-container1 (>= {VERSION})"),
    Package("nvidia-container-toolkit-base", VERSION, ("nvidia-ctk", "nvidia-container-runtime")),
    Package(
        "nvidia-container-toolkit",
        VERSION,
        ("nvidia-container-runtime-hook",),
        f"nvidia-container-toolkit-base (= {VERSION}), libnvidia-container-tools (>= {VERSION})",
    ),
    Package("nvidia-utils-580-server", DRIVER, ("nvidia-smi",)),
    Package("nvidia-driver-580-server", DRIVER, (), f"nvidia-utils-580-server (= {DRIVER})"),
)


PINNED = "Package: *nvidia* libcuda* libnv* libx* cuda-drivers*\nPin: version 580.*\nPin-Priority: 1000\n"
PERSISTENCED = """[Unit]
Description=NVIDIA Persistence Daemon
[Service]
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""
# What is built is loaded at the next boot: until then the new nvidia-smi finds no module.
BUILT = "#!/bin/sh\n[ -e /proc/driver/nvidia/version ] || : > /etc/lab-gpu-broken\n"
DRIVERS = (
    Package(f"linux-headers-{os.uname().release}", "1"),
    Package(
        "linux-headers-amd64", "999"
    ),  # Debian's own would bring the headers of a kernel that nobody here runs
    Package(
        "nvidia-driver-pinning-580",
        "580-1",
        files=(("/etc/apt/preferences.d/nvidia-driver-pinning-580", PINNED),),
    ),
    Package("nvidia-kernel-open-dkms", CUDA, files=((SOURCE, "stand-in\n"),), postinst=BUILT),
    Package(
        "nvidia-persistenced",
        CUDA,
        files=(("/lib/systemd/system/nvidia-persistenced.service", PERSISTENCED),),
    ),
    Package("nvidia-driver-cuda", CUDA, ("nvidia-smi",), f"nvidia-persistenced (= {CUDA})"),
    Package(
        "nvidia-open",
        CUDA,
        depends=f"nvidia-kernel-open-dkms (= {CUDA}), nvidia-driver-cuda (= {CUDA})",
    ),
)


def _deb(package: Package, directory: Path) -> None:
    tree = directory / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    tree.chmod(0o755)  # becomes the mode of / in the package
    depends = f"Depends: {package.depends}\n" if package.depends else ""
    (tree / "DEBIAN/control").write_text(
        f"Package: {package.name}\nVersion: {package.version}\nArchitecture: amd64\nMaintainer: lab <lab@localhost>\n"
        f"Section: misc\nPriority: optional\n{depends}Description: stand-in for {package.name} in the test lab\n"
    )
    for program in package.programs:
        (tree / "usr/bin").mkdir(parents=True, exist_ok=True)
        shutil.copy(go_binary("nvidia"), tree / "usr/bin" / program)
    for path, text in package.files:
        (tree / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tree / path[1:]).write_text(text)
    if package.postinst:
        (tree / "DEBIAN/postinst").write_text(package.postinst)
        (tree / "DEBIAN/postinst").chmod(0o755)
    target = directory / f"{package.name}_{package.version}_amd64.deb"
    sh("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, target)
    shutil.rmtree(tree)


def _sign(path: Path, folders: list[Path]) -> bytes:
    """Signs the Release file of each folder; the public key, armoured."""
    gnupg = path / "gnupg"
    gnupg.mkdir(mode=0o700)
    env = os.environ | {"GNUPGHOME": str(gnupg)}

    def gpg(*words: str | Path) -> bytes:
        command = ["gpg", "-q", "--batch", *map(str, words)]
        return subprocess.run(command, env=env, check=True, capture_output=True).stdout

    try:
        secret = ("--passphrase", "", "--pinentry-mode", "loopback")
        gpg(*secret, "--quick-gen-key", "lab <lab@localhost>", "ed25519", "sign", "never")
        for flat in folders:
            gpg("--clearsign", "-o", flat / "InRelease", flat / "Release")
            gpg("--armor", "--detach-sign", "-o", flat / "Release.gpg", flat / "Release")
        return gpg("--armor", "--export")
    finally:
        # gpg leaves an agent for this home behind
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], env=env, check=False, capture_output=True)


def _lists(flat: Path, origin: str) -> None:
    def ftparchive(*words: str) -> bytes:
        return subprocess.run(["apt-ftparchive", *words], cwd=flat, check=True, capture_output=True).stdout

    listed = ftparchive("packages", ".")
    (flat / "Packages").write_bytes(listed)
    (flat / "Packages.gz").write_bytes(gzip.compress(listed, mtime=0))
    release = ftparchive("-o", f"APT::FTPArchive::Release::Origin={origin}", "release", ".")
    (flat / "Release").write_bytes(release)


def _build(path: Path) -> None:
    www = path / "www"
    flat, *repositories = folders = [www / name for name in (FLAT, *REPOSITORIES)]
    for folder, packages in zip(folders, (PACKAGES, *(DRIVERS for _ in repositories)), strict=True):
        folder.mkdir(parents=True)
        for package in packages:
            _deb(package, folder)
        _lists(folder, "https://nvidia.github.io/libnvidia-container" if folder == flat else "NVIDIA")
    source = "deb https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /\n"
    (flat.parent / "nvidia-container-toolkit.list").write_text(source)
    key = _sign(path, folders)
    for place in (flat.parents[2] / "gpgkey", *(folder / KEY for folder in repositories)):
        place.write_bytes(key)


def nvidia_repository() -> Path:
    """The folder that https://nvidia.github.io/ and https://developer.download.nvidia.com/ answer from."""
    return built("nvidia-apt", digest(Path(__file__), HERE / "go/nvidia", os.uname().release), _build) / "www"
