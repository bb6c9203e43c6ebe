"""A host makes its own SSH host key: the one that it was born with stood in its user data, where others can read it.

hostkey-make {"old": "ssh-ed25519 AAAA..."} -> {"public", "used": bool}: made beside the old one, or the same as before
hostkey-use {"public"} -> {"changed": bool}: takes its place; all other host keys go, sshd reads it

Two steps, so that the caller knows the new key before sshd shows it: whatever breaks between, one of the two is shown.
"""

from __future__ import annotations

import glob
import os
import shutil
import tempfile

from ..base import files, instances, shell
from ..base.protocol import Answers, NodeError, Request, text

FOLDER = "/etc/ssh"
KEY = FOLDER + "/ssh_host_ed25519_key"
NEXT = FOLDER + "/hostler_next_ed25519_key"
UNITS = ("ssh.service", "sshd.service")
NOT_LOADED = 5  # systemctl's status for a unit that it does not know


def make(request: Request, answers: Answers) -> int:
    """`used`: the host no longer has the old one, and this is the one that it has."""
    current = public(KEY)
    if current and current != _words(text(request, "old")):
        answers.say(public=current, used=True)
        return 0
    if not public(NEXT):
        _generate()
    answers.say(public=public(NEXT), used=False)
    return 0


def use(request: Request, answers: Answers) -> int:
    """Again after an interruption: goes on where it stopped. Raises NodeError for a key that is not there, and where
    sshd does not take it."""
    wanted = _words(text(request, "public"))
    changed = public(KEY) != wanted
    if changed and public(NEXT) != wanted:
        raise NodeError("hostkey", "this host has no such key to use", "ask it again for a new one")
    if changed:
        os.rename(files.at(NEXT), files.at(KEY))
        files.sync_folder(files.at(FOLDER))
    files.write(KEY + ".pub", (wanted + "\n").encode())
    for path in glob.glob(files.at(FOLDER, "ssh_host_*_key*")):
        if os.path.basename(path) not in (os.path.basename(KEY), os.path.basename(KEY) + ".pub"):
            os.unlink(path)
    _reload()
    answers.say(changed=changed)
    return 0


def public(path: str) -> str:
    """The public half of a private key, `ssh-ed25519 AAAA...`; empty where there is none that can be read."""
    if not os.path.isfile(files.at(path)):
        return ""
    said = shell.run(("ssh-keygen", "-y", "-P", "", "-f", files.at(path)))
    return _words(said.stdout) if said.ok else ""


def _generate() -> None:
    """Whole before it has its name."""
    folder = tempfile.mkdtemp(prefix=".hostler-", dir=files.at(FOLDER))
    try:
        made = os.path.join(folder, "key")
        said = shell.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", made))
        if not said.ok:
            raise NodeError("hostkey", said.why, "see whether ssh-keygen works on this host")
        with open(made, "rb") as file:
            files.write(NEXT, file.read(), 0o600)
    finally:
        shutil.rmtree(folder)


def _reload() -> None:
    """Connections stay; new ones are shown the new key."""
    for unit in UNITS:
        said = instances.systemctl("reload", unit)
        if said.ok:
            return
        if said.rc != NOT_LOADED:
            raise NodeError("hostkey", "%s: %s" % (unit, said.why), "systemctl status " + unit)
    raise NodeError("hostkey", "there is no %s" % " or ".join(UNITS), "see how sshd is started on this host")


def _words(key: str) -> str:
    """Without the comment."""
    return " ".join(key.split()[:2])
