"""The images: a Debian root with cloud-init that reads EC2's metadata service, bare or with NVIDIA's driver and Docker."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..aptproxy import AptProxy
from ..cache import HERE, built, digest
from ..debs import FLAT, nvidia_repository
from ..gobuild import go_binary
from ..roots import base_root
from ..shell import sh

SUITE = "bookworm"
CONFIG = """datasource_list: [Ec2]
network: {config: disabled}
locale: C.UTF-8
system_info: {default_user: {name: ubuntu, gecos: Ubuntu, groups: [adm, sudo]}}
"""
# cloud-init knows AWS by DMI, which it does not read in a container, or by a hypervisor's file, which is not there.
# It is told by another file, and only from its network stage on, as its local stage would wait for a DHCP lease.
SIGN = "/run/lab-hypervisor-uuid"
TELL = f'[Service]\nExecStartPre=/bin/sh -c "echo ec2-lab > {SIGN}"\n'
TOOLKIT = ("libnvidia-container1", "libnvidia-container-tools", "nvidia-container-toolkit")
IN_CHROOT = """set -eu
mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; mount -t tmpfs tmpfs "$1/run"
root=$1; shift; exec chroot "$root" "$@"
"""


@contextmanager
def _apt(root: Path) -> Iterator[None]:
    """Debian's packages through the lab's own cache, and no service started by its package."""
    proxy = AptProxy(("127.0.0.1", 0))
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    settings, policy = root / "etc/apt/apt.conf.d/99build", root / "usr/sbin/policy-rc.d"
    settings.write_text(f'Acquire::http::Proxy "http://127.0.0.1:{proxy.server_port}";\n')
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        settings.unlink()
        policy.unlink()
        proxy.shutdown()
        proxy.server_close()


def _inside(root: Path, *argv: str) -> None:
    """Runs a command in the root, with mounts that end with it."""
    env = ("env", "DEBIAN_FRONTEND=noninteractive", "LANG=C.UTF-8")
    sh("unshare", "--mount", "--propagation", "private", "sh", "-c", IN_CHROOT, "sh", root, *env, *argv)


def _install(root: Path, *packages: str) -> None:
    with _apt(root):
        _inside(root, "apt-get", "update", "-qq")
        _inside(root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages)
    _inside(root, "sh", "-c", "apt-get clean; rm -rf /var/lib/apt/lists/*")


def _cloud_init(root: Path) -> None:
    _install(root, "cloud-init", "python3-apt", "netbase")
    shutil.rmtree(root / "root/.ssh")  # the lab's own key
    (root / "etc/cloud/cloud.cfg.d/99-lab.cfg").write_text(CONFIG)
    units = root / "etc/systemd/system"
    (units / "cloud-init.service.d").mkdir()
    (units / "cloud-init.service.d/lab.conf").write_text(TELL)
    source = root / "usr/lib/python3/dist-packages/cloudinit/sources/DataSourceEc2.py"
    source.write_text(source.read_text().replace("/sys/hypervisor/uuid", SIGN))
    # bookworm's stages each start a Python of their own, and this one has nothing to do
    sh("systemctl", f"--root={root}", "-q", "mask", "cloud-init-local.service")


def _nvidia(root: Path) -> None:
    _install(root, "docker.io")
    debs = [deb for name in TOOLKIT for deb in (nvidia_repository() / FLAT).glob(f"{name}*_amd64.deb")]
    for deb in dict.fromkeys(debs):
        shutil.copy(deb, root / "tmp")
    _inside(root, "sh", "-c", "dpkg -i /tmp/*.deb >/dev/null; rm /tmp/*.deb")
    shutil.copy(go_binary("nvidia"), root / "usr/bin/nvidia-smi")
    _inside(root, "nvidia-ctk", "runtime", "configure", "--runtime=docker")


def plain_root() -> Path:
    """As Canonical's Ubuntu images: cloud-init, a user ubuntu, no driver, no Docker."""

    def build(path: Path) -> None:
        sh("cp", "-a", "--reflink=auto", base_root(SUITE) / "root", path / "root")
        _cloud_init(path / "root")

    return built("cloud-roots", f"plain-{digest(Path(__file__), base_root(SUITE).name)}", build) / "root"


def nvidia_root() -> Path:
    """As Amazon's deep learning images: the driver, Docker and the container toolkit on top of plain_root."""

    def build(path: Path) -> None:
        sh("cp", "-a", "--reflink=auto", plain_root(), path / "root")
        _nvidia(path / "root")

    recipe = digest(Path(__file__), base_root(SUITE).name, nvidia_repository(), HERE / "go/nvidia")
    # built within built: each kind has its own lock
    return built("cloud-roots-nvidia", f"nvidia-{recipe}", build) / "root"
