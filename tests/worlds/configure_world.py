"""A small stack, and hosts that are just as its manifests say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from hostler.configure import build
from hostler.hosts.types import Card, Driver, Facts, Host, Observed, Seen, Ssh, Value
from hostler.manifest.contents import Content, FetchedKey, MadeOnHost, Text
from hostler.manifest.items import ImagePin, Manifest
from hostler.models.types import Member, ModelSource, Placement, Release, ReleasedModel, Replica, Runs
from hostler.node.probe.probe import ELSEWHERE
from hostler.record.types import Key, Record
from hostler.stackfile.load import loads
from hostler.stackfile.sections import StackFile

AT = 1000.0
UID = "0123456789abcdef"
STACK = """
stack: office
pools:
  rack: {hosts: [{address: 10.0.0.1, name: gpu-1, user: root}, {address: 10.0.0.2, name: gpu-2, user: ops}]}
models:
  chat: {source: "hf:acme/tiny:Q4_1", replicas: 2}
"""
ALONE = STACK + "updates: {engines: weekly, window: 'Sun 03:00-05:00 UTC'}\n"  # with a controller
PEM = {
    name: f"-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n" for name in ("gateway", "edge")
} | {"controller": "ssh-ed25519 AAAAC3 hostler-updates@gpu-1\n"}


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def pin(name: str, tag: str = "1") -> ImagePin:
    return ImagePin(name=name, tag=tag, digest="sha256:" + digest(name))


def stack(text: str = STACK) -> StackFile:
    return loads(text.encode(), "office.yaml")


def hosts() -> tuple[Host, ...]:
    ssh = {"gpu-1": Ssh(address="10.0.0.1", user="root"), "gpu-2": Ssh(address="10.0.0.2", user="ops")}
    return tuple(Host(name=name, pool="rack", ssh=ssh[name]) for name in ssh)


def facts(number: int, **changes: Any) -> Facts:
    card = Card(index=0, uuid=f"GPU-{number}", name="RTX 3090", memory_mib=24576)
    found = Facts(
        machine_id=f"machine-{number}",
        hostname=f"gpu-{number}",
        os_id="debian",
        os_version="12",
        codename="bookworm",
        os_name="Debian GNU/Linux 12 (bookworm)",
        arch="x86_64",
        kernel="6.1",
        python="3.11.2",
        systemd="252",
        cpus=8,
        memory=64 << 30,
        disk_total=1 << 40,
        disk_free=1 << 39,
        boot_id="boot",
        docker="20.10.24",
        driver=Driver(state="working", version="580.1"),
        cards=(card,),
        addresses=(f"10.0.0.{number}",),
    )
    return replace(found, **changes)


def runs(**changes: Any) -> Runs:
    weights = ModelSource(
        source="hf:acme/tiny:Q4_1",
        url="https://huggingface.co/acme/tiny/resolve/0f/tiny.gguf",
        file="tiny.gguf",
        size=1000,
        sha256=digest("weights"),
    )
    image = pin("ghcr.io/ggml-org/llama.cpp", "server-cuda")
    found = Runs(
        engine="llama.cpp",
        image=image,
        weights=weights,
        argv=("-c", "8192"),
        context=8192,
        slots=1,
        need_mib=2000,
    )
    return replace(found, **changes)


def release(**changes: Any) -> Release:
    haproxy = pin("docker.io/library/haproxy", "3.4")
    models = {"chat": ReleasedModel(asked="asked", runs=runs(**changes))}
    parts = {"gateway": haproxy, "edge": haproxy, "controller": pin("docker.io/library/python", "3.13")}
    return Release(number=1, models=models, parts=parts, when=AT)


def release_of(number: int, weights: str, image: str = "", **changes: Any) -> Release:
    """A release that runs those weights, with that image instead of the usual one."""
    url = f"https://huggingface.co/acme/tiny/resolve/0f/{weights}.gguf"
    source = replace(runs().weights, url=url, file=f"{weights}.gguf")
    made = release(weights=source, **({"image": pin(image)} if image else {}))
    return replace(made, number=number, **changes)


def placement(*names: str) -> Placement:
    """Replica n stands on host n."""
    chosen = names or ("gpu-1", "gpu-2")
    return Placement(
        replicas=tuple(
            Replica(
                id=f"chat-{i}",
                model="chat",
                members=(Member(host=name, cards=(f"GPU-{name[-1]}",), port=18080),),
                need_mib=2000,
            )
            for i, name in enumerate(chosen)
        )
    )


def record(**changes: Any) -> Record:
    key = Key(name="default", sha256=digest("key"), made=AT)
    found = Record(uid=UID, stack="office", gateway_host="gpu-1", keys=(key,), releases=(release(),))
    return replace(found, **changes)


def dead(number: int) -> Seen:
    """A host that is switched off."""
    error = "expected an answer; got no route to host"
    return Seen(host=f"gpu-{number}", at=AT, seconds=3.0, error=error, error_kind="dead")


def bare(number: int, **changes: Any) -> Seen:
    """A host before the first contact: everything was asked, nothing of it is there."""
    return replace(Seen(host=f"gpu-{number}", at=AT, seconds=0.1, facts=facts(number, docker="")), **changes)


def seen_hosts(made: bool = True) -> dict[str, Seen]:
    names = {1: ("edge", "gateway"), 2: ("edge",)}
    certificates = {
        n: {f"made:{m}": Value({"sha256": digest(PEM[m]), "pem": PEM[m]}, AT) for m in made_there}
        for n, made_there in names.items()
    }
    return {f"gpu-{n}": bare(n, observed=certificates[n] if made else {}) for n in names}


def manifests(
    seen: Mapping[str, Seen] | None = None,
    file: StackFile | None = None,
    placed: Placement | None = None,
    **runs_as: Any,
) -> dict[str, Manifest]:
    known = seen_hosts() if seen is None else seen
    return build.manifests(
        file or stack(), hosts(), known, release(**runs_as), placed or placement(), record()
    )


def as_wanted(manifest: Manifest, number: int = 1) -> Seen:
    """What a probe sees on a host that is just as its manifest says."""
    return Seen(
        host=manifest.host,
        at=AT,
        seconds=0.1,
        facts=facts(number),
        observed=dict(_observed(manifest)),
        ours=_ours(manifest),
        uid=manifest.uid,
        epoch=manifest.epoch,
    )


def _observed(manifest: Manifest) -> list[tuple[str, Observed]]:
    found: list[tuple[str, Any]] = []
    found += [
        (f"package:{p.name}", {"version": "1", "hold": p.hold, "state": "installed"})
        for p in manifest.packages
    ]
    found += [(f"path:{d.path}", _path("dir", d.mode, d.owner, d.group)) for d in manifest.directories]
    for file in manifest.files:
        found.append(
            (
                f"path:{file.path}",
                {**_path("file", file.mode, file.owner, file.group), **_content(file.content)},
            )
        )
    found += [(f"json:{m.path}", {**m.values, "log-level": "warn"}) for m in manifest.merged]
    found += [(f"image:{i.ref}", {"id": "sha256:id", "size": 1}) for i in manifest.images]
    found += [(f"model:{m.path}", {"size": m.size, "sha256": m.sha256}) for m in manifest.models]
    units = [u.name for u in manifest.units] + [f"hostler@{c.id}.service" for c in manifest.containers]
    found += [
        (f"unit:{u}", {"enabled": True, "active": "active", "sub": "running", "since": AT}) for u in units
    ]
    found += [(f"port:{p.name}", {"open": True, "zone": "public"}) for p in manifest.ports]
    for c in manifest.containers:
        found.append(
            (f"container:{c.id}", {"spec": c.digest, "image": "sha256:id", "running": True, "exit_code": 0})
        )
        found.append((f"applied:{c.id}", {"spec": c.digest}))
    found += [(f"made:{name}", {"sha256": digest(PEM[name]), "pem": PEM[name]}) for name in manifest.made]
    return [(name, Value(value, AT)) for name, value in found]


def _path(kind: str, mode: str, owner: str, group: str) -> dict[str, Any]:
    return {"type": kind, "mode": mode, "owner": owner, "group": group, "size": 1}


def _content(content: Content) -> dict[str, Any]:
    if isinstance(content, Text):
        return {"sha256": digest(content.text), "text": content.text}
    if isinstance(content, MadeOnHost):
        return {"sha256": content.sha256, "text": content.pem}
    if isinstance(content, FetchedKey):
        return {"text": "-----BEGIN PGP PUBLIC KEY BLOCK-----"}
    return {"sha256": content.sha256}


def _ours(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    own = [
        file.path
        for file in manifest.files
        if file.path.startswith(("/etc/hostler/", "/etc/systemd/system/hostler", *ELSEWHERE))
    ]
    links = [
        f"/etc/systemd/system/multi-user.target.wants/hostler@{c.id}.service" for c in manifest.containers
    ]
    ends = {"controller": (".pub", ".key")}
    keys = [f"/etc/hostler/tls/{m}{end}" for m in manifest.made for end in ends.get(m, (".crt", ".key"))]
    return {
        "files": (*own, *links, *keys),
        "units": tuple(f"hostler@{c.id}.service" for c in manifest.containers),
        "containers": tuple(c.id for c in manifest.containers),
        "models": tuple(m.path for m in manifest.models),
    }
