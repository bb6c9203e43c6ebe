"""What a rented host is told at its first boot: cloud-config text. Pure but for `host_key`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

BIRTH_MINUTES = 30  # a host that nobody adopts ends itself after these
LIMIT = 16384  # bytes that EC2 takes

# the node agent (files.py, adopt.py) knows these, too
BORN = "/etc/hostler-born.json"
LEASE = "/var/lib/hostler/lease"
TIMER = "hostler-lease.timer"

SCRIPT = Path(__file__).with_name("lease.sh")
PROGRAM = "/usr/local/sbin/hostler-lease"
UNITS = "/etc/systemd/system"
# without the default dependencies it goes on during a shutdown that hangs
TIMER_UNIT = """\
[Unit]
Description=Ends this rented host when its lease is over
DefaultDependencies=no

[Timer]
OnBootSec=5
OnUnitActiveSec=60
AccuracySec=1

[Install]
WantedBy=timers.target
"""
SERVICE_UNIT = f"""\
[Unit]
Description=Looks whether the lease of this rented host is over
DefaultDependencies=no
After=local-fs.target

[Service]
Type=oneshot
ExecStart={PROGRAM}
TimeoutStartSec=50
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """An ed25519 key in OpenSSH's forms."""

    private: str = field(repr=False)
    public: str  # ssh-ed25519 AAAA...


def host_key() -> HostKey:
    """A fresh key, for the first connection only: whoever may read the instance's user data can read it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return HostKey(private=private.decode(), public=public.decode())


def user_data(*, uid: str, stack: str, slot: str, key: HostKey, public_key: str) -> str:
    """The cloud-config of a slot's host: its first host key, the stack's key for the image's login user, and the lease
    that it is born with: unless `adopt` (node agent) gives it another within BIRTH_MINUTES, the host powers off, which
    ends the instance. Nothing else in it is secret. Raises ValueError above LIMIT."""
    config = {
        "ssh_deletekeys": True,  # the image's own
        "ssh_keys": {"ed25519_private": key.private, "ed25519_public": key.public},
        "ssh_authorized_keys": [public_key],
        "ssh_pwauth": False,
        "disable_root": True,
        # not runcmd, which comes last and not at all where something before it hangs
        "bootcmd": [["sh", "-c", birth(uid, stack, slot)]],
    }
    # JSON is YAML, and needs no quoting rules of its own
    text = f"#cloud-config\n{json.dumps(config, indent=1)}\n"
    if len(text.encode()) > LIMIT:
        raise ValueError(f"user data of {slot}: {len(text.encode())} bytes, EC2 takes {LIMIT}")
    return text


def birth(uid: str, stack: str, slot: str) -> str:
    """A shell script: the lease and what ends the host, at the first boot; later ones change nothing."""
    born = json.dumps({"uid": uid, "stack": stack, "slot": slot}, sort_keys=True)
    return f"""\
if [ ! -e {BORN} ]; then
set -e
umask 022
mkdir -p {LEASE.rpartition("/")[0]} {PROGRAM.rpartition("/")[0]} {UNITS}/timers.target.wants
{_file(PROGRAM, SCRIPT.read_text(encoding="utf-8"))}chmod 755 {PROGRAM}
{_file(f"{UNITS}/{TIMER}", TIMER_UNIT)}{_file(f"{UNITS}/hostler-lease.service", SERVICE_UNIT)}\
ln -sf {UNITS}/{TIMER} {UNITS}/timers.target.wants/{TIMER}
echo birth {BIRTH_MINUTES * 60} >{LEASE}
systemctl daemon-reload
{_file(BORN + ".new", born + chr(10))}mv {BORN}.new {BORN}
fi
systemctl start --no-block {TIMER}
"""


def _file(path: str, text: str) -> str:
    """Shell that writes a file; `text` ends with a newline and has no line that is the mark."""
    return f"cat >{path} <<'HOSTLER'\n{text}HOSTLER\n"
