"""A certificate authority that only lab hosts and operators trust, and the outside names that the lab answers."""

from pathlib import Path

from .cache import built, digest
from .shell import sh

NAMES = (
    "ghcr.io",
    "registry-1.docker.io",
    "auth.docker.io",
    "huggingface.co",
    "cas-bridge.xethub.hf.co",
    "nvidia.github.io",
    "developer.download.nvidia.com",
    "models.example.com",
)
EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _build(path: Path) -> None:
    path.chmod(0o700)
    sh(
        *(
            "openssl",
            "req",
            "-x509",
            *EC,
            "-keyout",
            path / "ca.key",
            "-out",
            path / "ca.crt",
            "-days",
            "3650",
        ),
        *("-subj", "/CN=Hostler lab CA", "-addext", "basicConstraints=critical,CA:TRUE"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )
    (path / "ext").write_text(
        "subjectAltName=" + ",".join(f"DNS:{n}" for n in NAMES) + "\nextendedKeyUsage=serverAuth\n"
    )
    sh("openssl", "req", *EC, "-keyout", path / "server.key", "-out", path / "csr", "-subj", "/CN=lab")
    sh(
        *("openssl", "x509", "-req", "-in", path / "csr", "-CA", path / "ca.crt", "-CAkey", path / "ca.key"),
        *("-CAcreateserial", "-days", "3650", "-extfile", path / "ext", "-out", path / "server.crt"),
    )
    sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", path / "id_ed25519")


def pki() -> Path:
    """Made once and kept: roots and operators trust it. The folder with ca.crt, server.crt, server.key and the operators' SSH key."""
    return built("pki", digest("1", *NAMES), _build)
