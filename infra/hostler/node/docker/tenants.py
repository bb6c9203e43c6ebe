"""Who else uses Docker on this host: containers, volumes, images and networks that are not ours."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Set

from ..base import files
from . import docker, pull
from .dockerapi import LABEL_ID, LABEL_UID, container_name, short

Json = Dict[str, Any]
DAEMONS = ("/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd")
SILENT = "Docker does not answer"
UNKNOWN = SILENT + ", so it is not known who else uses it"
BUILT_IN = ("bridge", "host", "none")
NAMED = 5  # of each kind, in a reason


def installed() -> bool:
    return any(os.path.exists(files.at(path)) for path in DAEMONS)


def answers() -> bool:
    try:
        docker.call("GET", "/_ping")
    except (OSError, docker.DockerError):
        return False
    return True


def why_stays() -> str:
    """Why the container engine may not go; empty: nobody else has anything in it."""
    if not answers():
        return UNKNOWN if installed() else ""
    try:
        found = {
            "containers": [container_name(container) for container in foreign()],
            "volumes": _volumes(),
            "images": _images(),
            "networks": _networks(),
        }
    except (OSError, docker.DockerError):
        return UNKNOWN
    return "; ".join("other %s are here: %s" % (kind, _few(names)) for kind, names in found.items() if names)


def _few(names: List[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(sorted(names)[:NAMED]) + (" and %d more" % more if more > 0 else "")


def ours(container: Json) -> bool:
    marks: Json = container.get("Labels") or {}
    return LABEL_UID in marks or LABEL_ID in marks


def foreign() -> List[Json]:
    return [container for container in docker.containers() if not ours(container)]


def _volumes() -> List[str]:
    """All but those that go with our containers."""
    found: Json = docker.call("GET", "/volumes").json()
    mine = {
        mount.get("Name")
        for container in docker.containers("hostler.id")
        for mount in _list(container, "Mounts")
    }
    return [str(volume["Name"]) for volume in _list(found, "Volumes") if volume["Name"] not in mine]


def _list(document: Json, key: str) -> List[Any]:
    """Docker says null for an empty list."""
    return document.get(key) or []


def _images() -> List[str]:
    """Those that did not come through us, or that somebody gave a name since."""
    pulled: Set[str] = {short(ref) for ref in files.read_json(pull.PULLED, {})}
    listed: List[Json] = docker.call("GET", "/images/json").json()
    return [_called(image) for image in listed if not pulled & _digests(image) or tags(image)]


def _digests(image: Json) -> Set[str]:
    return {short(ref) for ref in _list(image, "RepoDigests")}


def tags(image: Json) -> List[str]:
    return [tag for tag in _list(image, "RepoTags") if tag != "<none>:<none>"]


def _called(image: Json) -> str:
    return (tags(image) or [str(image["Id"])[:19]])[0]


def _networks() -> List[str]:
    listed: List[Json] = docker.call("GET", "/networks").json()
    return [str(network["Name"]) for network in listed if network["Name"] not in BUILT_IN]
