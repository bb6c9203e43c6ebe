"""Images by digest, and a note of those that were not here before: `down` takes only these away again."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, Tuple

from ..base import files
from ..base.protocol import Answers, NodeError, Request, as_dict, text
from . import docker

PULLED = "/var/lib/hostler/pulled.json"  # {name@digest: image id}
EVERY_S = 1.0


def pull(request: Request, answers: Answers) -> int:
    """`pull NAME@sha256:...`, or `pull -` with {"refs": [...]}: side by side, a layer that they share once. Besides,
    "mirrored": {ref: what to pull in its place}, and "tags": [{"ref", "tag"}], names to put back.

    Progress lines {"progress", "total"} in bytes, then {"changed", "why": what came, "images": {ref: id}}.
    """
    tags: List[Dict[str, str]] = request.get("tags") or []
    refs: List[str] = request.get("refs") or ([] if tags else [text(request, "ref")])
    mirrored: Dict[str, str] = request.get("mirrored") or {}
    missing = [ref for ref in refs for _ in [_parts(ref)] if docker.image(ref) is None]
    if missing:
        _pull([mirrored.get(ref, ref) for ref in missing], answers, text(request, "auth", "e30="))
    for one in tags:
        docker.tag(one["ref"], one["tag"])
    why = ", ".join([short_name(ref) for ref in missing] + [one["tag"] for one in tags])
    answers.say(changed=bool(missing or tags), why=why, images={ref: _checked(ref) for ref in refs})
    return 0


def short_name(ref: str) -> str:
    return ref.rpartition("/")[2].partition("@")[0]


def _pull(places: List[str], answers: Answers, auth: str) -> None:
    """Side by side; all that can be had is here then, whatever one of them meets with."""
    _note(places)
    layers = Layers(answers)

    def one(place: str) -> None:
        try:
            docker.pull(*_parts(place), layers.heard, auth)
        except docker.DockerError as error:
            raise NodeError("image", "%s: %s" % (place, error.message), _next_step(place, error)) from error

    with ThreadPoolExecutor(len(places)) as pool:
        list(pool.map(one, places))


def _next_step(place: str, error: docker.DockerError) -> str:
    """Docker's own words say little about what to do."""
    registry = place.partition("/")[0]
    if "x509" in error.message:
        return (
            "let this host's system trust the authority of %s (update-ca-certificates), restart Docker"
            % registry
        )
    if "server gave HTTP response" in error.message:
        return "give %s a certificate, or name it under insecure-registries in daemon.json" % registry
    return error.next_step or "look at %s: is it up, has it this image by this digest?" % registry


def _parts(ref: str) -> Tuple[str, str]:
    name, _, digest = ref.partition("@")
    if not name or not digest.startswith("sha256:"):
        raise NodeError("usage", "pull: expected NAME@sha256:...; got %r" % ref, rc=2)
    return name, digest


def _note(refs: List[str]) -> None:
    """Before the pull: an interrupted one leaves layers, never an image that nobody owns."""
    pulled: Dict[str, str] = files.read_json(PULLED, {})
    files.write_json(PULLED, {**pulled, **dict.fromkeys(refs, "")})


def _checked(ref: str) -> str:
    found = docker.image(ref)
    if found is None:
        raise NodeError(
            "image", "%s was pulled and is not here" % ref, "look at Docker's log: journalctl -u docker"
        )
    return str(found["Id"])


class Layers:
    """Sums the layers' progress: of what is downloaded, not of what is unpacked."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._layers: Dict[str, Tuple[int, int]] = {}
        self._last = 0.0
        self._one = threading.Lock()

    def heard(self, message: docker.Json) -> None:
        with self._one:
            self._hear(message)

    def _hear(self, message: docker.Json) -> None:
        detail = as_dict(message.get("progressDetail"))
        layer = str(message.get("id", ""))
        if message.get("status") == "Downloading" and detail.get("total"):
            self._layers[layer] = (int(detail["current"]), int(detail["total"]))
        elif message.get("status") == "Download complete" and layer in self._layers:
            total = self._layers[layer][1]
            self._layers[layer] = (total, total)
        now = time.monotonic()
        if now - self._last >= EVERY_S and self._layers:
            self._last = now
            sums = [sum(column) for column in zip(*self._layers.values())]  # noqa: B905 - Python 3.9
            self._answers.say(progress=sums[0], total=sums[1])
