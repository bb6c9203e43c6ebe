"""Certificates made where they are used: the key never leaves the host."""

from __future__ import annotations

import os
import tempfile

from . import files, shell
from .protocol import Answers, NodeError, Request, identity, text

DAYS = 3650
LONGEST_NAME = 64  # a common name has no room for more; the alternative name has


def make_cert(request: Request, answers: Answers) -> int:
    """`make-cert NAME --cn HOST`: /etc/hostler/tls/NAME.{crt,key} unless a good pair is there.

    Says {"changed", "sha256" (of the file), "pem"}; the certificate is public.
    """
    name, host = identity(request, "name"), text(request, "cn")
    crt, key = "%s/%s.crt" % (files.TLS, name), "%s/%s.key" % (files.TLS, name)
    changed = not is_good(crt, key, host)
    if changed:
        _make(crt, key, host)
    pem = (files.read(crt) or b"").decode("ascii")
    answers.say(changed=changed, sha256=files.sha256_of(crt), pem=pem)
    return 0


def is_good(crt: str, key: str, host: str) -> bool:
    """Both are there, belong together, name the host, and are valid for another 30 days."""
    if files.read(crt) is None or files.read(key) is None:
        return False
    public = [
        openssl("x509", "-in", files.at(crt), "-noout", "-pubkey"),
        openssl("pkey", "-in", files.at(key), "-pubout"),
    ]
    if not all(result.ok for result in public) or public[0].stdout != public[1].stdout:
        return False
    lasts = openssl("x509", "-in", files.at(crt), "-noout", "-checkend", str(30 * 86400))
    return lasts.ok and all(_names(crt, one) for one in (host, "x." + host))


def _names(crt: str, host: str) -> bool:
    return "does match" in openssl("x509", "-in", files.at(crt), "-noout", "-checkhost", host).stdout


def openssl(*words: str) -> shell.Result:
    return shell.run(("openssl", *words), 30.0)


def _make(crt: str, key: str, host: str) -> None:
    """EC P-256, ten years, self-signed; used as server and as client. Below the host's name each replica has one of
    its own, which the gateway asks for by SNI."""
    with tempfile.TemporaryDirectory(prefix="hostler-cert-") as folder:
        new_crt, new_key = os.path.join(folder, "crt"), os.path.join(folder, "key")
        result = openssl(
            *(
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-sha256",
            ),
            *("-days", str(DAYS), "-subj", "/CN=" + host[:LONGEST_NAME].replace("/", "")),
            *("-addext", "subjectAltName=DNS:%s,DNS:*.%s" % (host, host), "-addext", "extendedKeyUsage=serverAuth,clientAuth"),
            *("-keyout", new_key, "-out", new_crt),
        )
        if not result.ok:
            raise NodeError("certificate", "openssl: " + result.why, "is the package openssl installed?")
        for source, target, mode in ((new_key, key, 0o640), (new_crt, crt, 0o644)):
            with open(source, "rb") as file:
                files.write(target, file.read(), mode, "root", files.ACCOUNT)
