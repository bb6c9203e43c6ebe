"""Images by digest, and a note of those that were not here before: `down` takes only these away again."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, Tuple

from . import docker, files
from .protocol import Answers, NodeError, Request, as_dict, text

PULLED = "/var/lib/hostler/pulled.json"  # {name@digest: image id}
EVERY_S = 1.0


def pull(request: Request, answers: Answers) -> int:
    """`pull NAME@sha256:...`, or `pull -` with {"refs": [...]}: side by side, a layer that they share once.

    Progress lines {"progress", "total"} in bytes, then {"changed", "why": what came, "images": {ref: id}}.
    """
    refs: List[str] = request.get("refs") or [text(request, "ref")]
    missing = [ref for ref in refs for _ in [_parts(ref)] if docker.image(ref) is None]
    if missing:
        _note(missing)
        layers = Layers(answers)
        auth = text(request, "auth", "e30=")

        def one(ref: str) -> None:
            try:
                docker.pull(*_parts(ref), layers.heard, auth)
            except docker.DockerError as error:
                raise NodeError("image", "%s: %s" % (ref, error.message), error.next_step) from error

        with ThreadPoolExecutor(len(missing)) as pool:
            list(pool.map(one, missing))
    why = ", ".join(ref.rpartition("/")[2].partition("@")[0] for ref in missing)
    answers.say(changed=bool(missing), why=why, images={ref: _checked(ref) for ref in refs})
    return 0


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
