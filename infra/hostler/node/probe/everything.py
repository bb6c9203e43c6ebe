"""`ours:*`: all that may be asked about what is ours, so that one probe is enough without knowing its names."""

from __future__ import annotations

import os
from typing import Any, Dict, List

from ..base import files, spec
from ..base.instances import WANTS
from ..base.protocol import NodeError
from ..docker.containers import Engine
from ..docker.dockerapi import NotAnswering
from ..docker.images import ours_alone
from .paths import below

ALL = "ours"
OURS = ("/var/lib/hostler", "/etc/hostler", "/run/hostler")
SECRETS = ("/etc/hostler/controller/secrets/", "/etc/hostler/controller/files/")
PRIVATE = (".key", ".zip")  # what is in them is nobody's business: only their mode and checksum


def expand(asked: Dict[str, List[str]]) -> Dict[str, List[str]]:
    """The questions with `ours:*` replaced by all that it stands for."""
    asked = {kind: list(names) for kind, names in asked.items()}
    if not asked.pop(ALL, None):
        return asked
    for kind, names in questions().items():
        known = asked.setdefault(kind, [])
        known += [name for name in names if name not in known]
    return asked


def questions() -> Dict[str, List[str]]:
    ids = sorted({*spec.names(files.WANTED), *spec.names(files.APPLIED), *_linked()})
    wishes = [wish for wish in map(_wish, ids) if wish]
    own = _listed("/etc/hostler")
    return {
        "text": [path for path in own if not _private(path)],
        "path": [path for path in own if _private(path)],
        "made": [name for name in (_certificate(path) for path in own) if name],
        "model": [path for path in _listed(files.MODELS) if not path.endswith((files.BESIDE, ".part"))]
        + _models(wishes),
        "applied": ids,
        "container": ids,
        "unit": ["hostler@%s.service" % name for name in ids],
        "replica": spec.replicas(),
        "route": ["*"],
        "image": sorted({spec.image_ref(wish) for wish in wishes}),
        "tag": sorted({"%s:%s" % (wish["image"]["name"], wish["image"]["tag"]) for wish in wishes}),
    }


def images(docker: Engine) -> Dict[str, Any]:
    """The digests of all images here, ours or not: what is not among them is not here."""
    if docker.absent:
        return {"value": []}
    try:
        digests: List[List[str]] = [image.get("RepoDigests") or [] for image in docker.images()]
    except NotAnswering as error:
        return {"unknown": str(error)}
    return (
        {"unknown": docker.reason}
        if docker.reason
        else {"value": sorted(ref for refs in digests for ref in refs)}
    )


def own_images(docker: Engine) -> List[str]:
    """Those that came through us and that nobody else uses; none where Docker cannot be asked."""
    try:
        return [] if docker.absent or docker.reason else ours_alone(docker.images(), docker.containers)
    except NotAnswering:
        return []


def _private(path: str) -> bool:
    return path.endswith(PRIVATE) or path.startswith(SECRETS)


def _linked() -> List[str]:
    """Instances that start at boot."""
    names = [path.rpartition("/")[2] for path in _listed(WANTS)]
    return [name[len("hostler@") : -len(".service")] for name in names if name.startswith("hostler@")]


def _wish(identifier: str) -> spec.Spec:
    """What is wanted, else what runs; nothing where somebody damaged the file (which the probe then says)."""
    try:
        found = files.read_json(spec.path_of(files.WANTED, identifier), {}) or spec.applied(identifier) or {}
    except (NodeError, OSError):
        return {}
    return found if "image" in found else {}


def _models(wishes: List[spec.Spec]) -> List[str]:
    """Weights that lie elsewhere: what replicas are started with."""
    words = [(wish["argv"], i) for wish in wishes for i, word in enumerate(wish["argv"][:-1]) if word == "-m"]
    paths = {str(argv[i + 1]) for argv, i in words}
    folders = {
        str(mount["source"]) for wish in wishes if wish.get("model") for mount in wish.get("mounts") or ()
    }
    for folder in folders:
        if not folder.startswith(OURS):
            paths.update(folder + "/" + name for name in _beside(folder))
    return sorted(path for path in paths if not path.startswith(files.MODELS + "/"))


def _beside(folder: str) -> List[str]:
    try:
        return [name for name in os.listdir(files.at(folder)) if os.path.isfile(files.at(folder, name))]
    except OSError:
        return []


def _certificate(path: str) -> str:
    name = (
        path[len(files.TLS) + 1 : -len(".crt")]
        if path.startswith(files.TLS + "/") and path.endswith((".crt", ".pub"))
        else ""
    )
    return "" if "/" in name else name


def _listed(folder: str) -> List[str]:
    try:
        return below(folder)
    except OSError:
        return []
