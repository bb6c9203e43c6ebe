"""NVIDIA's apt repository: real names, versions and layout, stand-in content, signed by a key of the lab."""

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
FLAT = "libnvidia-container/stable/deb/amd64"


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    programs: tuple[str, ...] = ()
    depends: str = ""


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
    target = directory / f"{package.name}_{package.version}_amd64.deb"
    sh("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, target)
    shutil.rmtree(tree)


def _sign(path: Path, flat: Path) -> None:
    gnupg = path / "gnupg"
    gnupg.mkdir(mode=0o700)
    env = os.environ | {"GNUPGHOME": str(gnupg)}

    def gpg(*words: str | Path) -> bytes:
        command = ["gpg", "-q", "--batch", *map(str, words)]
        return subprocess.run(command, env=env, check=True, capture_output=True).stdout

    try:
        secret = ("--passphrase", "", "--pinentry-mode", "loopback")
        gpg(*secret, "--quick-gen-key", "lab <lab@localhost>", "ed25519", "sign", "never")
        gpg("--clearsign", "-o", flat / "InRelease", flat / "Release")
        gpg("--armor", "--detach-sign", "-o", flat / "Release.gpg", flat / "Release")
        key = gpg("--armor", "--export")
        (flat.parents[2] / "gpgkey").write_bytes(key)
    finally:
        # gpg leaves an agent for this home behind
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], env=env, check=False, capture_output=True)


def _build(path: Path) -> None:
    flat = path / "www" / FLAT
    flat.mkdir(parents=True)
    for package in PACKAGES:
        _deb(package, flat)
    listed = subprocess.run(
        ["apt-ftparchive", "packages", "."], cwd=flat, check=True, capture_output=True
    ).stdout
    (flat / "Packages").write_bytes(listed)
    (flat / "Packages.gz").write_bytes(gzip.compress(listed, mtime=0))
    origin = ("-o", "APT::FTPArchive::Release::Origin=https://nvidia.github.io/libnvidia-container")
    release = subprocess.run(
        ["apt-ftparchive", *origin, "release", "."], cwd=flat, check=True, capture_output=True
    )
    (flat / "Release").write_bytes(release.stdout)
    source = "deb https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /\n"
    (flat.parent / "nvidia-container-toolkit.list").write_text(source)
    _sign(path, flat)


def nvidia_repository() -> Path:
    """The folder that https://nvidia.github.io/ answers from."""
    return built("nvidia-apt", digest(Path(__file__), HERE / "go/nvidia"), _build) / "www"
