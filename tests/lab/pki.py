"""A certificate authority that only lab hosts and operators trust, and the outside names that the lab answers."""

from importlib import import_module
from pathlib import Path
from typing import Any

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
# of Enterprise Linux: later than the authority, too, as those below
RPM_NAMES = ("dl.rockylinux.org", "dl.fedoraproject.org", "download.docker.com")
PYPI: Any = import_module("pip._internal.models.index").PyPI  # it has no types
PYPI_NAMES: tuple[str, str] = (PYPI.netloc, PYPI.file_storage_domain)  # those that pip asks
EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
# an office's mirrors of these: the authority is older than their names, so they have a certificate of their own
MIRRORS = ("registry.office.example", "hub.office.example", "apt.office.example")


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
    certificate_for(path, path, NAMES)
    sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", path / "id_ed25519")


def certificate_for(authority: Path, path: Path, names: tuple[str, ...]) -> None:
    """server.crt and server.key for these names."""
    alternatives = ",".join(f"DNS:{name}" for name in names)
    (path / "ext").write_text(f"subjectAltName={alternatives}\nextendedKeyUsage=serverAuth\n")
    sh("openssl", "req", *EC, "-keyout", path / "server.key", "-out", path / "csr", "-subj", "/CN=lab")
    signed_by = ("-CA", authority / "ca.crt", "-CAkey", authority / "ca.key", "-CAcreateserial")
    sh(
        *("openssl", "x509", "-req", "-in", path / "csr", *signed_by, "-CAserial", path / "ca.srl"),
        *("-days", "3650", "-extfile", path / "ext", "-out", path / "server.crt"),
    )


def server() -> Path:
    """The folder with the server.crt and server.key of all outside names."""
    every = (*NAMES, *MIRRORS, *RPM_NAMES, *PYPI_NAMES)
    recipe = digest(pki() / "ca.crt", *every)
    return built("server", recipe, lambda path: certificate_for(pki(), path, every))


def pki() -> Path:
    """Made once and kept: roots and operators trust it. The folder with ca.crt, server.crt, server.key and the operators' SSH key."""
    return built("pki", digest("1", *NAMES), _build)
