"""Images that came through us: which are still ours alone, and taking away those that nothing needs any more.

What was here before us is not among them: `pull` notes only what was missing.
"""

from __future__ import annotations

from typing import Any, Dict, List, Set

from ..base import files
from ..base.protocol import Answers, NodeError, Request
from . import docker, pull, tenants
from .dockerapi import short

Json = Dict[str, Any]


def remove(request: Request, answers: Answers) -> int:
    """`remove-images -` with {"refs": [NAME@sha256:...]}: says {"changed", "why": what went, "kept": [{"what", "why"}]}.
    One that is in use stays, which is no failure."""
    gone: List[str] = []
    stayed: List[Dict[str, str]] = []
    alone = set(ours_alone(docker.call("GET", "/images/json").json(), docker.containers()))
    refs: List[str] = request.get("refs") or []
    for ref in refs:
        if ref not in alone:
            stayed.append({"what": ref, "why": "it is not ours alone"})
            continue
        why = docker.remove_image(ref)
        if why:
            stayed.append({"what": ref, "why": why})
        else:
            gone.append(ref)
    _forget(gone)
    answers.say(changed=bool(gone), why=", ".join(map(pull.short_name, gone)), kept=stayed)
    return 0


def ours_alone(images: List[Json], containers: List[Json]) -> List[str]:
    """Names by which they were pulled. Not those that somebody tagged since, or made a container of."""
    theirs = {str(container.get("ImageID")) for container in containers if not tenants.ours(container)}
    free: Set[str] = set()
    for image in images:
        if not tenants.tags(image) and image["Id"] not in theirs:
            free.update(short(name) for name in image.get("RepoDigests") or ())
    return sorted(ref for ref in pulled() if short(ref) in free)


def pulled() -> List[str]:
    """What is noted; nothing where that cannot be read."""
    try:
        return list(files.read_json(pull.PULLED, {}))
    except (OSError, NodeError):
        return []


def _forget(refs: List[str]) -> None:
    """They are not ours any more: somebody who pulls one again by hand keeps it."""
    if refs:
        noted: Dict[str, str] = files.read_json(pull.PULLED, {})
        files.write_json(pull.PULLED, {ref: known for ref, known in noted.items() if ref not in refs})
