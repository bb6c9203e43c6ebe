"""Repositories of Enterprise Linux 9 under their real addresses: Rocky's, EPEL's, NVIDIA's, Docker's, signed by a key
of the lab. Stand-ins by name; Docker is Debian's own, packed anew under the names of docker.com."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .cache import HERE, built, digest, there
from .debs import PERSISTENCED, SOURCE
from .gobuild import go_binary
from .machine import install
from .roots import apt_through_cache, sources
from .shell import sh

PROGRAMS = {
    "rpmbuild": "rpm",
    "rpmsign": "rpm",
    "createrepo_c": "createrepo-c",
    "modifyrepo_c": "createrepo-c",
}
ROCKY = "pub/rocky/9/BaseOS/x86_64/os"
EPEL = "pub/epel/9/Everything/x86_64"
CUDA = "compute/cuda/repos/rhel9/x86_64"
TOOLKIT = "libnvidia-container/stable/rpm/x86_64"
DOCKER = "linux/centos/9/x86_64/stable"
BRANCH, NEXT = "580.95.05", "590.44.01"


@dataclass(frozen=True)
class Rpm:
    """`programs` are stand-ins for NVIDIA's; `copied`: path here -> path in the extracted packages of Debian."""

    name: str
    version: str = "1"
    epoch: int = 0
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    copied: tuple[tuple[str, str], ...] = ()
    scripts: tuple[tuple[str, str], ...] = field(default=())

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.epoch}:{self.version}-1.el9.x86_64"


# What a minimal installation says that it has, as far as anything here asks.
BASE = (
    Rpm("rocky-release", "9.6", provides=("system-release = 9.6", "system-release(releasever) = 9")),
    Rpm("bash", "5.1", provides=("/bin/sh", "/usr/bin/sh")),
    Rpm("python3", "3.9.21"),
    Rpm("ca-certificates", "2024.2"),
    Rpm("openssl", "3.2.2"),
    Rpm("systemd", "252"),
    Rpm("iptables-nft", "1.8.10", provides=("iptables",)),
)
HEADERS = f"kernel-devel-{os.uname().release}"
SYSTEM = (
    Rpm(HEADERS),
    Rpm("kernel-headers", "5.14.0"),
    Rpm("python3-dnf-plugin-versionlock", "4.3.0"),
    Rpm("container-selinux", "2.231"),
    Rpm("podman-docker", "4.9", files=(("/usr/bin/docker", "#!/bin/sh\n"),)),
)
# What is built is loaded at the next boot: until then the new nvidia-smi finds no module.
BUILT = "[ -e /proc/driver/nvidia/version ] || : > /etc/lab-gpu-broken"


def driver(version: str) -> tuple[Rpm, ...]:
    same = f"= 3:{version}"
    unit = ("/usr/lib/systemd/system/nvidia-persistenced.service", PERSISTENCED)
    return (
        Rpm(
            "kmod-nvidia-open-dkms",
            version,
            3,
            requires=("dkms",),
            files=((SOURCE, "stand-in\n"),),
            scripts=(("post", BUILT),),
        ),
        Rpm("nvidia-persistenced", version, 3, files=(unit,)),
        Rpm(
            "nvidia-driver-cuda",
            version,
            3,
            requires=(f"nvidia-persistenced {same}", f"kmod-nvidia-open-dkms {same}"),
            programs=("nvidia-smi",),
        ),
        Rpm("nvidia-open", version, 3, requires=(f"nvidia-driver-cuda {same}",)),
    )


CONTAINERS = (
    Rpm("libnvidia-container1", "1.18.0"),
    Rpm("libnvidia-container-tools", "1.18.0", requires=("libnvidia-container1 >= 1.18.0",)),
    Rpm("nvidia-container-toolkit-base", "1.18.0", programs=("nvidia-ctk", "nvidia-container-runtime")),
    Rpm(
        "nvidia-container-toolkit",
        "1.18.0",
        requires=("nvidia-container-toolkit-base = 1.18.0", "libnvidia-container-tools >= 1.18.0"),
        programs=("nvidia-container-runtime-hook",),
    ),
)
UNITS = "/usr/lib/systemd/system"
GROUP = "getent group docker >/dev/null || groupadd --system docker"
ENGINE = (
    Rpm(
        "containerd.io",
        "1.7.27",
        requires=("container-selinux",),
        provides=("containerd", "runc"),
        copied=(
            ("/usr/bin/containerd", "usr/bin/containerd"),
            ("/usr/bin/containerd-shim-runc-v2", "usr/bin/containerd-shim-runc-v2"),
            ("/usr/sbin/runc.real", "usr/sbin/runc"),
            ("/usr/bin/runc", "lab-runc"),
            (f"{UNITS}/containerd.service", "lib/systemd/system/containerd.service"),
        ),
    ),
    Rpm("docker-ce-cli", "28.0.4", 1, copied=(("/usr/bin/docker", "usr/bin/docker"),)),
    Rpm(
        "docker-ce",
        "28.0.4",
        3,
        requires=("containerd.io", "docker-ce-cli", "iptables", "systemd"),
        copied=(
            ("/usr/sbin/dockerd", "usr/sbin/dockerd"),
            ("/usr/sbin/docker-proxy", "usr/sbin/docker-proxy"),
            ("/usr/bin/docker-init", "usr/bin/tini-static"),
            (f"{UNITS}/docker.service", "lib/systemd/system/docker.service"),
            (f"{UNITS}/docker.socket", "lib/systemd/system/docker.socket"),
        ),
        scripts=(("pre", GROUP), ("post", "systemctl daemon-reload || :")),
    ),
)
REPOSITORIES = {
    ROCKY: (*BASE, *SYSTEM),
    EPEL: (Rpm("dkms", "3.2.2"), Rpm("htop", "3.3")),
    CUDA: (*driver(BRANCH), *driver(NEXT)),
    TOOLKIT: CONTAINERS,
    DOCKER: ENGINE,
}
STREAMS = {f"{BRANCH[:3]}-open": driver(BRANCH), "open-dkms": (*driver(BRANCH), *driver(NEXT))}


def _spec(package: Rpm) -> str:
    tags = {"Name": package.name, "Version": package.version, "Release": "1.el9", "License": "none"}
    tags |= {"Epoch": str(package.epoch), "Summary": "stand-in in the test lab", "AutoReqProv": "no"}
    lines = [f"{key}: {value}" for key, value in tags.items()]
    lines += [f"Requires: {one}" for one in package.requires]
    lines += [f"Provides: {one}" for one in package.provides]
    lines += ["%description", "Stand-in in the test lab."]
    for name, text in package.scripts:
        lines += [f"%{name}", text]
    paths = [f"/usr/bin/{name}" for name in package.programs]
    paths += [path for path, _ in (*package.files, *package.copied)]
    return "\n".join([*lines, "%files", *paths, ""])


def _fill(package: Rpm, tree: Path, extracted: Path) -> None:
    sources_of = [(f"/usr/bin/{name}", go_binary("nvidia")) for name in package.programs]
    sources_of += [(path, extracted / origin) for path, origin in package.copied]
    for path, origin in sources_of:
        target = tree / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(origin, target)
        target.chmod(0o644 if target.suffix in (".service", ".socket") else 0o755)
    for path, text in package.files:
        target = tree / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def build_one(package: Rpm, folder: Path, work: Path, extracted: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    (work / "tree").mkdir(parents=True)
    _fill(package, work / "tree", extracted)
    (work / "one.spec").write_text(_spec(package))
    defines = {"_topdir": work / "top", "_rpmdir": work / "out", "debug_package": "%{nil}"}
    defines |= {"__os_install_post": "%{nil}", "_build_id_links": "none", "_binary_payload": "w1.gzdio"}
    words = [word for key, value in defines.items() for word in ("--define", f"{key} {value}")]
    sh(
        "rpmbuild",
        "-bb",
        "--quiet",
        f"--buildroot={work / 'tree'}",
        *words,
        "--target",
        "x86_64",
        work / "one.spec",
    )
    for made in (work / "out").rglob("*.rpm"):
        shutil.move(made, folder / made.name)


def _modules(folder: Path) -> None:
    """NVIDIA's streams: a branch each, and one of the newest."""
    documents: list[str] = []
    for number, (stream, packages) in enumerate(STREAMS.items()):
        artifacts = "".join(f"    - {package.nevra}\n" for package in packages)
        documents.append(
            "---\ndocument: modulemd\nversion: 2\ndata:\n  name: nvidia-driver\n"
            f"  stream: {stream}\n  version: 20251001000000\n  context: 0a1b2c3d4{number}\n  arch: x86_64\n"
            "  summary: NVIDIA driver\n  description: stand-in\n  license: {module: [MIT]}\n"
            "  profiles: {default: {rpms: [nvidia-open]}}\n"
            f"  artifacts:\n    rpms:\n{artifacts}...\n"
        )
    (folder / "modules.yaml").write_text("".join(documents))
    sh("modifyrepo_c", "--no-compress", folder / "modules.yaml", folder / "repodata")
    (folder / "modules.yaml").unlink()


@contextmanager
def _signer(path: Path) -> Iterator[dict[str, str]]:
    """The environment in which gpg has the lab's key; the key goes with the block."""
    home = path / "gnupg"
    home.mkdir(mode=0o700)
    env = os.environ | {"GNUPGHOME": str(home)}
    secret = ("--batch", "--passphrase", "", "--pinentry-mode", "loopback")
    key = ("--quick-gen-key", "lab-rpm <lab@localhost>", "rsa3072", "sign", "never")
    try:
        subprocess.run(["gpg", "-q", *secret, *key], env=env, check=True, capture_output=True)
        yield env
    finally:
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], env=env, check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def _extracted(path: Path) -> Path:
    """Debian's Docker, not installed."""
    target = path / "debian"
    with apt_through_cache() as options:
        kept = [word for word in options if not word.startswith("--variant")]
        words = ("--variant=extract", "--include=docker.io,tini", "bookworm", target)
        sh("mmdebstrap", *kept, *words, stdin=sources("bookworm"))
    shutil.copy(HERE / "guest/lab-runc", target / "lab-runc")
    return target


def _build(path: Path) -> None:
    install(PROGRAMS)
    extracted, www = _extracted(path), path / "www"
    with _signer(path) as env:
        for name, packages in REPOSITORIES.items():
            folder = www / name
            folder.mkdir(parents=True)
            for package in packages:
                build_one(package, folder, path / "work", extracted)
            rpms = sorted(map(str, folder.glob("*.rpm")))
            gpg = shutil.which("gpg") or "gpg"
            sign = [
                "rpmsign",
                "--define",
                "_gpg_name lab-rpm",
                "--define",
                f"__gpg {gpg}",
                "--addsign",
                *rpms,
            ]
            subprocess.run(sign, env=env, check=True, capture_output=True)
            sh("createrepo_c", "-q", folder)
            if name == CUDA:
                _modules(folder)
            words = ["gpg", "-q", "--batch", "--armor", "--detach-sign", str(folder / "repodata/repomd.xml")]
            subprocess.run(words, env=env, check=True, capture_output=True)
        key = subprocess.run(["gpg", "--armor", "--export"], env=env, check=True, capture_output=True).stdout
    (path / "key.asc").write_bytes(key)
    for left in (extracted, path / "work"):
        shutil.rmtree(left)


def _recipe() -> str:
    parts = (Path(__file__), HERE / "debs.py", HERE / "go/nvidia", HERE / "guest/lab-runc")
    return digest(*parts, os.uname().release)


def rpm_repositories() -> Path:
    """The folder with `www`, from which all those names answer, and `key.asc`."""
    return built("rpms", _recipe(), _build)


def rpm_repositories_if_built() -> Path | None:
    return there("rpms", _recipe())
