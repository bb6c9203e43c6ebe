"""The container images that hosts pull by their real names, written as OCI blobs without any Docker."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .aptproxy import DEBIAN
from .cache import HERE, built, digest
from .gobuild import go_binary
from .roots import SLIM, apt_through_cache
from .shell import sh

CREATED = "2026-01-01T00:00:00Z"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
SMALL = (
    '--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/usr/share/i18n',
    '--customize-hook=rm -rf "$1"/usr/share/zoneinfo "$1"/etc/machine-id "$1"/etc/hostname "$1"/etc/resolv.conf',
)
STARTS = "lab.starts"  # a label: what its containers start, instead of the engine
ENTRYPOINT = """#!/bin/sh
set -e
# first arg is `-f` or `--some-option`
if [ "${1#-}" != "$1" ]; then set -- haproxy "$@"; fi
# master-worker mode: allows for reload via SIGUSR2; no background mode
if [ "$1" = 'haproxy' ]; then shift; set -- haproxy -W -db "$@"; fi
exec "$@"
"""


@dataclass(frozen=True)
class Image:
    """One root file system and the tags under which it is published, each with its own labels."""

    name: str
    tags: dict[str, dict[str, str]]
    config: dict[str, object]
    root: Callable[[Path], None]
    recipe: str = field(default="")


def _llama(tar: Path) -> None:
    links = '--customize-hook=mkdir "$1"/app && ln -s /usr/bin/llama-server "$1"/app/llama-server'
    with apt_through_cache() as options:
        packages = "--include=llama.cpp-tools,ca-certificates,curl"
        sh(
            "mmdebstrap",
            *options,
            *SLIM,
            *SMALL,
            links,
            packages,
            "forky",
            tar,
            DEBIAN,
        )


def _haproxy(tar: Path) -> None:
    entry = tar.with_name("docker-entrypoint.sh")
    entry.write_text(ENTRYPOINT)
    # 3.4 is in experimental only; this one package from there, the rest from sid
    pins = "".join(
        f"Package: haproxy\nPin: release {r}\nPin-Priority: 990\n\n" for r in ("n=rc-buggy", "a=experimental")
    )
    (tar.with_name("pins")).write_text(pins)
    hooks = (
        f'--setup-hook=mkdir -p "$1"/etc/apt/preferences.d; cp {tar.with_name("pins")} "$1"/etc/apt/preferences.d/lab',
        '--customize-hook=chroot "$1" sh -c "usermod -u 99 haproxy && groupmod -g 99 haproxy"',
        '--customize-hook=chroot "$1" chown -R haproxy:haproxy /var/lib/haproxy',
        f'--customize-hook=install -m 755 {entry} "$1"/usr/local/bin/docker-entrypoint.sh',
        '--customize-hook=ln -s /usr/sbin/haproxy "$1"/usr/local/sbin/haproxy; mkdir -p "$1"/usr/local/etc/haproxy',
    )
    debian = f"deb {DEBIAN}"
    with apt_through_cache() as options:
        packages = ("--include=haproxy", "sid", tar, f"{debian} sid main", f"{debian} experimental main")
        sh("mmdebstrap", *options, *SLIM, *SMALL, *hooks, *packages)


def _stub(tar: Path) -> None:
    with tarfile.open(tar, "w") as out:
        binary = go_binary("stub-engine").read_bytes()
        entry = tarfile.TarInfo("stub-engine")
        entry.size, entry.mode = len(binary), 0o755
        out.addfile(entry, io.BytesIO(binary))


PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
IMAGES = (
    Image(
        name="ghcr.io/ggml-org/llama.cpp",
        tags={
            "server": {"org.opencontainers.image.version": "b1"},
            "server-b1": {"org.opencontainers.image.version": "b1"},
            "server-cuda": {"org.opencontainers.image.version": "b1-cuda"},
            "server-b2": {"org.opencontainers.image.version": "b2"},
            "server-bad": {"org.opencontainers.image.version": "bad", STARTS: "/bin/false"},
        },
        config={
            "Entrypoint": ["/app/llama-server"],
            "Env": [PATH, "LLAMA_ARG_HOST=0.0.0.0", "LLAMA_ARG_PORT=8080"],
            "WorkingDir": "/app",
            "Healthcheck": {"Test": ["CMD", "curl", "-f", "http://localhost:8080/health"]},
        },
        root=_llama,
    ),
    Image(
        name="registry-1.docker.io/library/haproxy",
        tags={"3.4": {}, "3.4.9": {"org.opencontainers.image.version": "3.4.9"}},
        config={
            "User": "haproxy",
            "Entrypoint": ["docker-entrypoint.sh"],
            "Cmd": ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"],
            "Env": [PATH, "HAPROXY_VERSION=3.4"],
            "WorkingDir": "/var/lib/haproxy",
            "StopSignal": "SIGUSR1",
        },
        root=_haproxy,
        recipe=ENTRYPOINT,
    ),
    Image(
        name="ghcr.io/hostler-lab/stub-engine",
        tags={"1": {}, "2": {"org.opencontainers.image.version": "2"}},
        config={"Entrypoint": ["/stub-engine"], "Env": [PATH]},
        root=_stub,
        recipe=digest(HERE / "go/stub-engine"),
    ),
)


class _Blobs:
    """Content-addressed files, and the descriptors that point at them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def add(self, data: bytes | Path, media_type: str) -> dict[str, object]:
        if isinstance(data, Path):
            with data.open("rb") as handle:
                name = hashlib.file_digest(handle, "sha256").hexdigest()
            data.rename(self.path / name)
        else:
            name = hashlib.sha256(data).hexdigest()
            (self.path / name).write_bytes(data)
        return {
            "mediaType": media_type,
            "digest": f"sha256:{name}",
            "size": (self.path / name).stat().st_size,
        }

    def json(self, value: object, media_type: str) -> dict[str, object]:
        return self.add(json.dumps(value, sort_keys=True).encode(), media_type)


def pack(image: Image, path: Path) -> None:
    """Builds an image into a folder: its blobs, and `tags.json` with the digest under each tag."""
    tar, packed = path / "root.tar", path / "layer.gz"
    image.root(tar)
    with tar.open("rb") as handle:
        plain = "sha256:" + hashlib.file_digest(handle, "sha256").hexdigest()
        handle.seek(0)
        with packed.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=2, mtime=0) as out:
            while chunk := handle.read(1 << 20):
                out.write(chunk)
    tar.unlink()
    blobs = _Blobs(path / "blobs")
    layer = blobs.add(packed, "application/vnd.oci.image.layer.v1.tar+gzip")
    platform = {"architecture": "amd64", "os": "linux"}
    tags: dict[str, object] = {}
    for tag, labels in image.tags.items():
        starts = {"Entrypoint": [labels[STARTS]]} if STARTS in labels else {}
        config = {
            **platform,
            "created": CREATED,
            "config": {**image.config, **starts, "Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": [plain]},
            "history": [{"created": CREATED, "created_by": "lab"}],
        }
        config_blob = blobs.json(config, "application/vnd.oci.image.config.v1+json")
        body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config_blob, "layers": [layer]}
        manifest = blobs.json(body, MANIFEST)
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**manifest, "platform": platform}]}
        tags[tag] = blobs.json(index, INDEX)["digest"]
    (path / "tags.json").write_text(json.dumps({image.name: tags}))


def images() -> list[Path]:
    """The folders with `blobs` and `tags.json`, one for each image."""
    made: list[Path] = []
    for image in IMAGES:
        recipe = digest(Path(__file__), image.recipe)
        kind = "image-" + image.name.rsplit("/", 1)[1]
        made.append(built(kind, recipe, lambda path, image=image: pack(image, path)))
    return made
