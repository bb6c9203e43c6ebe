"""Certificates made where they are used: the key never leaves the host.

`ca` is the stack's own authority, `server` what it issued for the address that clients use. Every other one is a
host's own, self-signed and pinned by the others.
"""

from __future__ import annotations

import ipaddress
import os
import tempfile
from typing import List, Set, Tuple

from ..base import files, shell
from ..base.protocol import Answers, NodeError, Request, identity, text
from . import sshkey

DAYS = 3650
SPARE_S = 30 * 86400  # one that ends sooner is made anew
LONGEST_NAME = 64  # a common name has no room for more; the alternative name has
AUTHORITY, SERVER = "ca", "server"
NEW = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256")


def make_cert(request: Request, answers: Answers) -> int:
    """`make-cert NAME --cn WHOM`: /etc/hostler/tls/NAME.{crt,key} unless a good pair is there.

    WHOM is the host's name (`controller`: an SSH key, NAME.pub and NAME.key, with it in its comment); for `server` the name or IP address that clients use, for `ca` the stack's name.
    Says {"changed", "sha256" (of the file), "pem"}; the certificate is public.
    """
    name, whom = identity(request, "name"), text(request, "cn")
    changed = not is_good(name, whom)
    if changed:
        _make(name, whom)
    pem = (files.read(certificate(name)) or b"").decode("ascii")
    answers.say(changed=changed, sha256=files.sha256_of(certificate(name)), pem=pem)
    return 0


def certificate(name: str) -> str:
    """What others are to know of it."""
    return sshkey.public(name) if name == sshkey.NAME else "%s/%s.crt" % (files.TLS, name)


def key(name: str) -> str:
    return "%s/%s.key" % (files.TLS, name)


def is_good(name: str, whom: str) -> bool:
    """Both are there, belong together, are valid for another 30 days, and say what they must."""
    if name == sshkey.NAME:
        return sshkey.is_good(name)
    if not _pair(name) or not _openssl_says("x509", name, "-checkend", str(SPARE_S)).ok:
        return False
    if name == AUTHORITY:
        return "CA:TRUE" in _openssl_says("x509", name, "-ext", "basicConstraints").stdout
    if name == SERVER:
        return _names(name, whom) and _issued_here(name)
    return _own_names(whom) <= set(_alternatives(name))


def _pair(name: str) -> bool:
    if files.read(certificate(name)) is None or files.read(key(name)) is None:
        return False
    public = [
        _openssl_says("x509", name, "-pubkey"),
        openssl("pkey", "-in", files.at(key(name)), "-pubout"),
    ]
    return all(result.ok for result in public) and public[0].stdout == public[1].stdout


def _names(name: str, whom: str) -> bool:
    check = "-checkip" if is_address(whom) else "-checkhost"
    return "does match" in _openssl_says("x509", name, check, whom).stdout


def _alternatives(name: str) -> List[str]:
    """Its alternative names, by the words that they were made with: openssl itself matches no `*.gpu-1`."""
    lines = _openssl_says("x509", name, "-ext", "subjectAltName").stdout.splitlines()[1:]
    return [word.strip() for line in lines for word in line.split(",")]


def _own_names(whom: str) -> Set[str]:
    """Below the host's name each replica has one of its own, which the gateway asks for by SNI."""
    return {"DNS:" + whom, "DNS:*." + whom}


def _client_names(whom: str) -> List[str]:
    """The name that is asked for, then those that clients used before: another operator may reach this host by another
    address, and two must not undo each other's certificate."""
    before = _alternatives(SERVER) if _pair(SERVER) and _issued_here(SERVER) else []
    asked = ("IP:" if is_address(whom) else "DNS:") + whom
    return list(dict.fromkeys([asked, *(name.replace("IP Address:", "IP:") for name in before)]))


def _issued_here(name: str) -> bool:
    """Whether the authority that is here now signed it."""
    authority = files.at(certificate(AUTHORITY))
    return openssl("verify", "-x509_strict", "-CAfile", authority, files.at(certificate(name))).ok


def _openssl_says(verb: str, name: str, *words: str) -> shell.Result:
    return openssl(verb, "-in", files.at(certificate(name)), "-noout", *words)


def openssl(*words: str) -> shell.Result:
    return shell.run(("openssl", *words), 30.0)


def is_address(whom: str) -> bool:
    try:
        ipaddress.ip_address(whom)
    except ValueError:
        return False
    return True


def _make(name: str, whom: str) -> None:
    """EC P-256, ten years. What uses it must load it: that is noted before anything is written."""
    if name == sshkey.NAME:
        sshkey.make(name, "hostler-updates@" + whom)
        return
    with tempfile.TemporaryDirectory(prefix="hostler-cert-") as folder:
        made = tuple(os.path.join(folder, end) for end in ("key", "crt"))
        common, words = _kind(name, whom)
        subject = "/CN=" + common[:LONGEST_NAME].replace("/", "")
        out = ("-keyout", made[0], "-out", made[1])
        result = openssl(*NEW, "-days", str(DAYS), "-subj", subject, *words, *out)
        if not result.ok:
            raise NodeError("certificate", "openssl: " + result.why, "is OpenSSL 3 or newer installed?")
        files.write("%s/%s" % (files.DUE, "edge" if name == "edge" else "gateway"), b"")
        private = (0o600, "root") if name == AUTHORITY else (0o640, files.ACCOUNT)
        for source, target, (mode, group) in (
            (made[0], key(name), private),
            (made[1], certificate(name), (0o644, files.ACCOUNT)),
        ):
            with open(source, "rb") as file:
                files.write(target, file.read(), mode, "root", group)


def _kind(name: str, whom: str) -> Tuple[str, Tuple[str, ...]]:
    """Its common name, and openssl's words for what it may do."""
    if name == AUTHORITY:
        return "Hostler " + whom, _extensions("keyUsage=critical,keyCertSign,cRLSign")
    if name == SERVER:
        authority = ("-CA", files.at(certificate(AUTHORITY)), "-CAkey", files.at(key(AUTHORITY)))
        limits = ("basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth")
        return whom, authority + _extensions(*limits, "subjectAltName=" + ",".join(_client_names(whom)))
    names = "subjectAltName=" + ",".join(sorted(_own_names(whom)))
    return whom, _extensions(names, "extendedKeyUsage=serverAuth,clientAuth")


def _extensions(*values: str) -> Tuple[str, ...]:
    return tuple(word for value in values for word in ("-addext", value))
