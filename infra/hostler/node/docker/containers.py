"""Docker as the probe sees it: version, swarm, containers, images; four questions over one connection."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..base import files
from ..base.protocol import as_dict
from .dockerapi import (
    LABEL_ID,
    LABEL_SPEC,
    LABEL_UID,
    PREFIX,
    Docker,
    NotAnswering,
    NotInstalled,
    container_name,
    labels,
    short,
)

Json = Dict[str, Any]
NEVER = "0001-01-01"
SWARM = "/var/lib/docker/swarm/docker-state.json"  # there as long as a node is of a swarm, running or not


class Engine:
    """One look at Docker. `reason` not empty: it cannot be seen; `absent`: there is no Docker; `swarm`: what this
    node is in a swarm, empty where it is in none."""

    def __init__(self, docker: Optional[Docker] = None) -> None:
        self._docker = docker or Docker()
        self.version = ""
        self.reason = ""
        self.absent = False
        self.containers: List[Json] = []
        self._images: Optional[List[Json]] = None
        try:
            about: Json = self._docker.get("/version") or {}
            self.version = str(about.get("Version", ""))
            self.containers = self._list("/containers/json", all=1)
        except NotInstalled:
            self.absent = True
        except NotAnswering as error:
            self.reason = str(error)
        self.swarm = self._swarm()

    def _swarm(self) -> str:
        try:
            info: Json = {} if self.absent or self.reason else self._docker.get("/info") or {}
        except NotAnswering:
            info = {}
        if "Swarm" not in info:
            return "stopped" if in_swarm() else ""
        state = str(as_dict(info["Swarm"]).get("LocalNodeState", ""))
        return "" if state == "inactive" else state

    def _list(self, path: str, **query: Any) -> List[Json]:
        found: List[Json] = self._docker.get(path, **query) or []
        return found

    @property
    def ours(self) -> List[Tuple[str, str]]:
        """(Docker's id, name without our prefix) of the containers that carry our mark; not of one beside another that
        its exchange still knows of: it goes by itself."""
        marked = [c for c in self.containers if LABEL_UID in labels(c) and not goes(c)]
        return sorted((str(c["Id"]), bare(container_name(c))) for c in marked)

    @property
    def foreign(self) -> int:
        return len(self.containers) - len(self.ours)

    def container(self, identity: str) -> Optional[Json]:
        """hosts.types.Seen's `container:`. Raises NotAnswering."""
        found = next((c for c in self.containers if container_name(c) == PREFIX + identity), None)
        details = self._docker.get("/containers/%s/json" % found["Id"]) if found else None
        return describe(details) if details else None

    def image(self, ref: str) -> Optional[Json]:
        """`image:name@sha256:...`: by its digest, since a mirror's image has the mirror's name."""
        digest = ref.partition("@")[2]
        for image in self.images():
            names: List[str] = image.get("RepoDigests") or []
            if digest in [name.partition("@")[2] for name in names]:
                return {"id": image["Id"], "size": image.get("Size", 0)}
        return None

    def tag(self, ref: str) -> Optional[Json]:
        """`tag:name:tag`: the digest that the tag stands for here, empty for an image made here."""
        wanted = short(ref)
        name = wanted.rpartition(":")[0]
        for image in self.images():
            if wanted in map(short, image.get("RepoTags") or []):
                digests: List[str] = image.get("RepoDigests") or []
                own = [known for known in digests if short(known).partition("@")[0] == name]
                return {"digest": next(iter(own or digests), "").partition("@")[2]}
        return None

    def images(self) -> List[Json]:
        if self._images is None:
            self._images = self._list("/images/json")
        return self._images


def goes(container: Mapping[str, Any]) -> bool:
    """Whether it starts beside the one that serves, or has still to finish, and its exchange has not ended."""
    identity = labels(container).get(LABEL_ID, "")
    beside = container_name(container) in (PREFIX + identity + "-old", PREFIX + identity + "-new")
    return beside and os.path.exists(files.at("/var/lib/hostler/journal", identity + ".json"))


def in_swarm() -> bool:
    """Whether a daemon that starts here goes on with a swarm."""
    return os.path.exists(files.at(SWARM))


def describe(details: Mapping[str, Any]) -> Dict[str, Any]:
    """An answer of /containers/ID/json in our words."""
    state: Mapping[str, Any] = details.get("State") or {}
    configured: Mapping[str, Any] = details.get("Config") or {}
    marks = labels(configured)
    started = str(state.get("StartedAt") or "")
    return {
        "spec": marks.get(LABEL_SPEC, ""),
        "id": marks.get(LABEL_ID, ""),
        "uid": marks.get(LABEL_UID, ""),
        "image": details.get("Image", ""),
        "running": bool(state.get("Running")),
        "status": state.get("Status", ""),
        "exit_code": state.get("ExitCode", 0),
        "started": "" if started.startswith(NEVER) else started,
        "restarts": details.get("RestartCount", 0),
        "name": container_name(details),
    }


def bare(name: str) -> str:
    return name[len(PREFIX) :] if name.startswith(PREFIX) else name
