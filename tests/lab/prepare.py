"""What a fresh host gets on top of the shared root: its name, address, keys, user and cards."""

import shutil
import uuid
from pathlib import Path

from .gobuild import go_binary
from .gpus import card_lines
from .roots import NO_EXPIRY
from .shell import sh
from .spec import PASSWORD, Placed


def _network(root: Path, host: Placed) -> None:
    (root / "etc/systemd/network/10-host0.network").write_text(
        f"[Match]\nName=host0\n[Network]\nAddress={host.address}/24\nGateway={host.gateway}\n"
        + "".join(f"Address={more}\n" for more in host.spec.addresses)
        + f"LinkLocalAddressing=no\nIPv6AcceptRA=no\n[Route]\nDestination={host.cloud}\nScope=link\n"
    )
    name = host.spec.name
    (root / "etc/hostname").write_text(f"{name}\n")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n{host.address} {name}\n")
    (root / "etc/resolv.conf").write_text(f"nameserver {host.gateway}\n")
    (root / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
    # https goes direct: apt falls back to the http proxy otherwise
    proxy = f'Acquire::http::Proxy "http://{host.gateway}:3142";\nAcquire::https::Proxy "DIRECT";\n'
    if (root / "etc/apt").is_dir():
        (root / "etc/apt/apt.conf.d/01lab").write_text(NO_EXPIRY + proxy)


def _user(root: Path, host: Placed) -> None:
    user, keys = host.spec.user, root / "root/.ssh/authorized_keys"
    if user == "root":
        return
    groups = ["-G", "sudo"] if host.spec.sudo == "password" else []
    sh("chroot", root, "useradd", "-m", "-s", "/bin/bash", *groups, user)
    folder = root / "home" / user / ".ssh"
    folder.mkdir(mode=0o700)
    shutil.move(keys, folder / "authorized_keys")
    sh("chroot", root, "chown", "-R", f"{user}:", f"/home/{user}/.ssh")
    if host.spec.sudo == "nopasswd":
        (root / "etc/sudoers.d/lab").write_text(f"{user} ALL=(ALL) NOPASSWD: ALL\n")
    if host.spec.sudo == "password":
        sh("chroot", root, "chpasswd", stdin=f"{user}:{PASSWORD}\n")


def _cards(root: Path, host: Placed) -> None:
    spec = host.spec
    if not spec.gpus:
        return
    (root / "etc/lab-gpus").write_text("\n".join(card_lines(spec.name, list(spec.gpus))) + "\n")
    if spec.driver != "absent":
        shutil.copy(go_binary("nvidia"), root / "usr/bin/nvidia-smi")
    if spec.driver == "broken":
        (root / "etc/lab-gpu-broken").touch()


def prepare(root: Path, host: Placed, keys: Path) -> None:
    """Fills the fresh root of this host; `keys` holds its SSH host key."""
    _network(root, host)
    for key in keys.glob("ssh_host_*"):
        shutil.copy(key, root / "etc/ssh" / key.name)
    if not host.spec.metadata:
        (root / "etc/ssh/sshd_config.d/hostkey.conf").write_text("HostKey /etc/ssh/ssh_host_ed25519_key\n")
        _user(root, host)
    _cards(root, host)
    if not host.spec.python3:
        for program in (root / "usr/bin").glob("python3*"):
            program.unlink()
