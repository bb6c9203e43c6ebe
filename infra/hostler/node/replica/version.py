"""Which version answers: the container's image and specification, the files, and the model that the engine says it has."""

from __future__ import annotations

import os
import posixpath
from typing import Any, List, NamedTuple, Optional

from ..base import files, wire
from ..base.protocol import as_dict
from ..base.spec import Spec, image_ref, name_of, port
from ..docker import docker
from ..weights import store
from . import container, wait


class Loaded(NamedTuple):
    """What an engine says: the names it answers to, and where its model came from. None: it does not say."""

    names: Optional[List[str]]
    path: Optional[str]


def proven(spec: Spec) -> str:
    """Raises FailedError when another one answers. What nobody can tell, or empty."""
    found = docker.inspect(name_of(spec))
    if not container.fits(found, spec):
        raise wait.fail(spec, _another(found, spec))
    if not spec.get("model") or not port(spec):
        return ""
    path = model_path(spec)
    changed = next((name for name in parts(path) if was_changed(name)), "")
    if changed:
        raise wait.fail(
            spec, "%s: expected the file whose checksum was right; it was written since" % changed
        )
    loaded = ask(port(spec))
    why = flaw(spec["model"], path, loaded)
    if why:
        raise wait.fail(spec, why)
    return "which file it loaded is unknown" if path and loaded.path is None else ""


def _another(found: Optional[docker.Json], spec: Spec) -> str:
    label = docker.label(found, "hostler.spec") or "none"
    image = str((found or {}).get("Image") or "none")
    return "version: expected %s with specification %s; got image %s with specification %s" % (
        image_ref(spec),
        spec["spec"][:12],
        image[:19],
        label[:12],
    )


def flaw(model: str, path: str, loaded: Loaded) -> str:
    """What the engine says that is not what was asked for; what it does not say is no flaw."""
    if loaded.names is not None and model not in loaded.names:
        return "model: expected %s; the engine has %s" % (model, ", ".join(loaded.names) or "none")
    if path and loaded.path is not None and posixpath.normpath(loaded.path) != posixpath.normpath(path):
        return "model: expected the one of %s; the engine has loaded %s" % (path, loaded.path)
    return ""


def ask(at_port: int) -> Loaded:
    """llama-server's /props and vLLM's `root` tell the path; both list their names."""
    models = wire.get(at_port, "/v1/models")
    known = as_dict(models.json()) if models is not None and models.status == 200 else {}
    entries: List[Any] = known.get("data") or []
    listed = [as_dict(one) for one in entries]
    names = [str(one[key]) for one in listed for key in ("id",) if one.get(key)]
    names += [str(name) for one in listed for name in one.get("aliases") or ()]
    props = wire.get(at_port, "/props")
    told = as_dict(props.json()) if props is not None and props.status == 200 else {}
    path = told.get("model_path") or next((one["root"] for one in listed if one.get("root")), None)
    return Loaded(names or None, None if path is None else str(path))


def model_path(spec: Spec) -> str:
    """The file (llama-server) or folder (vLLM) of its command line; empty: it names none."""
    argv: List[str] = spec.get("argv") or []
    for i, word in enumerate(argv[:-1]):
        if word in ("-m", "--model"):
            return argv[i + 1]
    return argv[0] if argv and argv[0].startswith("/") else ""


def parts(path: str) -> List[str]:
    """The files of weights that are loaded for a path, as far as they were checked here."""
    folder = files.at(path) if path else ""
    if not os.path.isdir(folder):
        return [path] if path else []
    checked = sorted(name[: -len(files.BESIDE)] for name in os.listdir(folder) if name.endswith(files.BESIDE))
    return [path + "/" + name for name in checked if not name.endswith(".part")]


def was_changed(path: str) -> bool:
    """Whether a file that was checked is another one now. One that nobody checked is not known to be."""
    return bool(files.read_json(store.sidecar_path(path))) and store.sidecar(path) is None
