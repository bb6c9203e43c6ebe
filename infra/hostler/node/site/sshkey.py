"""The controller's SSH key, made where it is used: the private half never leaves the host."""

from __future__ import annotations

import os
import tempfile

from ..base import files, shell
from ..base.protocol import NodeError

NAME = "controller"


def private(name: str = NAME) -> str:
    return "%s/%s.key" % (files.TLS, name)


def public(name: str = NAME) -> str:
    return "%s/%s.pub" % (files.TLS, name)


def is_good(name: str) -> bool:
    """Both halves are there and belong together."""
    known = files.read(public(name))
    if known is None or files.read(private(name)) is None:
        return False
    said = shell.run(("ssh-keygen", "-y", "-P", "", "-f", files.at(private(name))))
    return said.ok and said.stdout.split()[:2] == known.decode("ascii", "replace").split()[:2]


def make(name: str, comment: str) -> None:
    """Ed25519, without a passphrase: it is used when nobody is there. Raises NodeError."""
    with tempfile.TemporaryDirectory(prefix="hostler-key-") as folder:
        path = os.path.join(folder, "key")
        made = shell.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path))
        if not made.ok:
            raise NodeError("key", "ssh-keygen: " + made.why, "is OpenSSH's client installed?")
        for source, target, mode in ((path, private(name), 0o600), (path + ".pub", public(name), 0o644)):
            with open(source, "rb") as file:
                files.write(target, file.read(), mode, "root", "root")
