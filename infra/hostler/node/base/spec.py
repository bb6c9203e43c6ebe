"""Container specifications on this host: what is wanted, and what is applied.

A specification is manifest.items.Container as JSON, with its digest under `spec`.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional, Tuple

from . import files
from .protocol import NodeError, as_dict

Spec = Dict[str, Any]
PREFIX = "hostler-"


def container_name(identifier: str) -> str:
    return PREFIX + identifier


def name_of(found: Spec) -> str:
    """Of the container of a specification: it has another name while its former one still serves beside it."""
    return str(found.get("container") or container_name(found["id"]))


def old_name(identifier: str) -> str:
    """Under this name the former container waits until the new one has answered."""
    return PREFIX + identifier + "-old"


def wanted(identifier: str) -> Spec:
    return _known(files.read_json(path_of(files.WANTED, identifier)), files.WANTED, identifier)


def applied(identifier: str) -> Optional[Spec]:
    return files.read_json(path_of(files.APPLIED, identifier))


def applied_or_error(identifier: str) -> Spec:
    return _known(applied(identifier), files.APPLIED, identifier)


def set_applied(identifier: str, spec: Optional[Spec]) -> None:
    if spec is None:
        files.remove(path_of(files.APPLIED, identifier))
    else:
        files.write_json(path_of(files.APPLIED, identifier), spec)


def path_of(folder: str, identifier: str) -> str:
    return "%s/%s.json" % (folder, identifier)


def _known(found: Optional[Spec], folder: str, identifier: str) -> Spec:
    if found is None or "spec" not in found or "image" not in found:
        raise NodeError(
            "nothing-wanted",
            "%s: expected a container specification at %s; got %s"
            % (identifier, path_of(folder, identifier), "nothing" if found is None else "something else"),
            "run `hostler up`",
        )
    return found


def image_ref(spec: Spec) -> str:
    return "%s@%s" % (spec["image"]["name"], spec["image"]["digest"])


def kept(found: Spec) -> Spec:
    """What stays of a specification when its exchange is over."""
    return {key: value for key, value in found.items() if key not in ("need_mib", "container")}


def drains(spec: Spec) -> bool:
    """Whether requests are routed to it by a gateway: a replica, not the gateway or an edge itself."""
    return bool(spec.get("port")) and spec.get("effect", "drain") == "drain"


def port(spec: Spec) -> int:
    """The loopback port on which the engine answers."""
    return int(spec.get("port") or as_dict(spec.get("health")).get("port") or 0)


def first_port(found: Spec) -> int:
    """The one of its two ports that the doors' configurations name; 0: it has none."""
    return int(found.get("first_port") or found.get("port") or 0)


def replicas() -> List[str]:
    """The replicas that this host runs, by their applied specifications."""
    found: List[Tuple[str, Spec]] = [(name, applied(name) or {}) for name in names(files.APPLIED)]
    return [name for name, spec in found if drains(spec)]


def names(folder: str) -> List[str]:
    """The `<id>` of a folder of `<id>.json`, sorted."""
    try:
        entries = os.listdir(files.at(folder))
    except FileNotFoundError:
        return []
    return sorted(entry[:-5] for entry in entries if entry.endswith(".json"))
