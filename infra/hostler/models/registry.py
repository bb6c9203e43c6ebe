"""Container images: a reference as people write it becomes a name and a digest.

Asks the registry for the digest of the manifest (an index of platforms where there is one), with an
anonymous token where the registry wants one. A reference that carries its digest needs no network.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from hostler.errors import HostlerError, StackFileError
from hostler.manifest.items import ImagePin, Part
from hostler.models import mirror
from hostler.models.http import ATTEMPTS, Answer, Http, UnreachableError

_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
FIRST = 86400.0 * 365  # what is older is no date
WITHOUT = "take `images` out of `mirror`"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PATH = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_TAG = re.compile(r"\w[\w.-]{0,127}")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """registry/path:tag@digest, every part spelled out."""

    registry: str  # docker.io, ghcr.io, registry.lan:5000
    path: str  # library/haproxy
    tag: str
    digest: str = ""

    @property
    def name(self) -> str:
        return f"{self.registry}/{self.path}"

    @property
    def api(self) -> str:
        """The address of the registry's API; Docker Hub has one of its own."""
        return f"https://{'registry-1.docker.io' if self.registry == 'docker.io' else self.registry}"

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}" + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> Reference:
    """Short names are Docker Hub's, as everywhere; no tag is `latest`. Raises StackFileError."""
    rest, _, digest = text.partition("@")
    head, slash, tail = rest.partition("/")
    named = bool(slash) and (any(sign in head for sign in ".:") or head == "localhost")
    registry, path = (head, tail) if named else ("docker.io", rest)
    path, _, tag = path.partition(":")
    registry = "docker.io" if registry == "index.docker.io" else registry
    if registry == "docker.io" and "/" not in path:
        path = f"library/{path}"
    good = (
        _PATH.fullmatch(path)
        and (not tag or _TAG.fullmatch(tag))
        and (not digest or _DIGEST.fullmatch(digest))
    )
    if not good or text.endswith((":", "@")):
        raise StackFileError.of(
            f"image {text!r}",
            expected="registry/name:tag, perhaps with @sha256: and 64 hex digits",
            got=text,
            next_step="copy the reference that `docker pull` takes",
        )
    return Reference(registry=registry, path=path, tag=tag or "latest", digest=digest)


class Registry:
    """Resolves references. `bases` puts another address in place of a registry's own, for tests; `mirror` is the
    stack file's `mirror.images`: what it has is what a tag means, and the pin keeps the image's own name."""

    def __init__(
        self, http: Http | None = None, bases: Mapping[str, str] | None = None, mirror: str | None = None
    ) -> None:
        self.http, self.bases, self.mirror = http or Http(), dict(bases or {}), mirror

    def resolve(self, text: str, part: Part = Part.ENGINE) -> ImagePin:
        """The pin of what `text` means now. Raises StackFileError (no such image, private) or
        UnreachableError."""
        reference = parse_reference(text)
        digest = reference.digest or self._digest(reference)
        return ImagePin(name=reference.name, tag=reference.tag, digest=digest, part=part)

    def _digest(self, reference: Reference) -> str:
        base, path = self._place(reference)
        url = f"{base}/v2/{path}/manifests/{reference.tag}"
        headers = {"Accept": _MANIFESTS}
        answer = self._asked("HEAD", url, path, headers)
        if answer.status != 200:
            raise _refused(reference, answer, self._there(reference))
        found = answer.headers.get("docker-content-digest", "")
        return found if _DIGEST.fullmatch(found) else self._computed(reference, url, headers)

    def _asked(self, method: str, url: str, path: str, headers: dict[str, str]) -> Answer:
        """With a token where one is wanted, which then stays in `headers`."""
        answer = self.http.ask(method, url, headers)
        if answer.status == 401 and (token := self._token(answer, path)):
            headers["Authorization"] = f"Bearer {token}"
            answer = self.http.ask(method, url, headers)
        return answer

    def built(self, pin: ImagePin) -> float | None:
        """When an image was made, in seconds since 1970, by its own configuration (OCI image-spec, config.md: `created`).
        None: it does not say, as builds that can be repeated do with a date of 1970. Raises UnreachableError."""
        base, path = self._place(parse_reference(f"{pin.name}@{pin.digest}"))
        headers = {"Accept": _MANIFESTS}

        def read(kind: str, digest: str) -> dict[str, Any]:
            return _document(self._asked("GET", f"{base}/v2/{path}/{kind}/{digest}", path, headers))

        document = read("manifests", pin.digest)
        if "manifests" in document:
            document = read("manifests", _for_servers(document["manifests"]))
        config: Mapping[str, Any] = document.get("config") or {}
        return _seconds(read("blobs", str(config.get("digest"))).get("created")) if config else None

    def _there(self, reference: Reference) -> str:
        """The repository at the mirror; empty: it is asked for by its own name."""
        return mirror.image(self.mirror, reference.name)

    def _place(self, reference: Reference) -> tuple[str, str]:
        """The address of the API, and the repository's path there."""
        if there := self._there(reference):
            host, _, path = there.partition("/")
            return f"{urlsplit(self.mirror).scheme}://{host}", path
        return self.bases.get(reference.registry, reference.api), reference.path

    def _computed(self, reference: Reference, url: str, headers: Mapping[str, str]) -> str:
        """For registries that do not send the digest: it is that of the manifest's bytes."""
        answer = self.http.ask("GET", url, headers)
        if answer.status != 200 or not answer.body:
            raise _refused(reference, answer, self._there(reference))
        return f"sha256:{hashlib.sha256(answer.body).hexdigest()}"

    def _token(self, answer: Answer, path: str) -> str:
        """An anonymous token, by the registry's own challenge; empty: it hands out none."""
        scheme, _, rest = answer.headers.get("www-authenticate", "").partition(" ")
        asked = dict(_PARAMETER.findall(rest))
        realm = asked.pop("realm", "")
        if scheme.lower() != "bearer" or not realm:
            return ""
        query = {"scope": f"repository:{path}:pull"} | {
            key: value for key, value in asked.items() if key in ("service", "scope")
        }
        given = self.http.ask("GET", f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}")
        return _token_in(given) if given.status == 200 else ""


def _document(answer: Answer) -> dict[str, Any]:
    """Empty where there is none."""
    try:
        return dict(json.loads(answer.body)) if answer.status == 200 else {}
    except (ValueError, TypeError):
        return {}


def _for_servers(manifests: Sequence[Mapping[str, Any]]) -> str:
    """The digest of an index's image for hosts."""
    for one in manifests:
        platform: Mapping[str, Any] = one.get("platform") or {}
        if (platform.get("os"), platform.get("architecture")) == ("linux", "amd64"):
            return str(one.get("digest"))
    return str(manifests[0].get("digest")) if manifests else ""


def _seconds(said: object) -> float | None:
    """RFC 3339, with as many digits of a second as there are."""
    try:
        at = datetime.fromisoformat(str(said)).timestamp()
    except ValueError:
        return None
    return at if at > FIRST else None


def _token_in(answer: Answer) -> str:
    document = _document(answer)
    return str(document.get("token") or document.get("access_token") or "")


def _refused(reference: Reference, answer: Answer, there: str = "") -> HostlerError:
    """`there`: the repository at the mirror that was asked for it."""
    if answer.status == 429 or answer.status >= 500:
        return UnreachableError.of(
            f"image {reference}",
            expected=f"an answer from {f'the mirror, for {there}' if there else reference.registry}",
            got=f"status {answer.status}, {ATTEMPTS} times",
            next_step=f"look at the mirror's log, or {WITHOUT}"
            if there
            else "wait and try again, or pin it by digest: name:tag@sha256:...",
        )
    if there:
        return StackFileError.of(
            f"image {reference}",
            expected=f"a public image at the mirror: {there}:{reference.tag}",
            got=f"status {answer.status}",
            next_step=f"copy it there, such as with `skopeo copy --all docker://{reference.name}:{reference.tag} "
            f"docker://{there}:{reference.tag}`, or {WITHOUT}",
        )
    said = {
        401: "401: it is private, or there is none",
        403: "403: it is private",
        404: "404: no such name or tag",
    }
    return StackFileError.of(
        f"image {reference}",
        expected=f"a public image at {reference.registry}",
        got=said.get(answer.status, f"status {answer.status}"),
        next_step="check the name and tag, or pin it by digest: name:tag@sha256:...",
    )
