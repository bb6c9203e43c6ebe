"""When an image was made, by its own configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from hostler.manifest.items import ImagePin
from hostler.models.http import Http
from hostler.models.registry import Registry

from .web import Web, serve

AT = 1767225600.0  # 2026-01-01
PLATFORM = {"os": "linux", "architecture": "amd64"}


@pytest.fixture
def web() -> Iterator[Web]:
    with serve() as found:
        yield found


def put(web: Web, kind: str, value: dict[str, Any]) -> str:
    body = json.dumps(value).encode()
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    web.pages[f"/v2/a/b/{kind}/{digest}"] = (200, {}, body)
    return digest


def image(web: Web, created: str | None, *, index: bool = True) -> ImagePin:
    config = put(web, "blobs", {"created": created} if created else {})
    digest = put(web, "manifests", {"config": {"digest": config}})
    if index:
        other = {"digest": "sha256:none", "platform": {"os": "linux", "architecture": "arm64"}}
        digest = put(web, "manifests", {"manifests": [other, {"digest": digest, "platform": PLATFORM}]})
    return ImagePin(name="x.lan/a/b", tag="1", digest=digest)


def built(web: Web, pin: ImagePin) -> float | None:
    return Registry(Http(timeout=5, pause=lambda _: None), {"x.lan": web.base}).built(pin)


@pytest.mark.parametrize(
    ("created", "seconds"),
    [
        ("2026-01-01T00:00:00Z", AT),
        ("2026-01-01T02:00:00.123456789+02:00", AT + 0.123456),
        ("1970-01-01T00:00:00Z", None),  # a build that can be repeated
        ("yesterday", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("index", [True, False])
def test_its_date(web: Web, created: str | None, seconds: float | None, index: bool) -> None:
    assert built(web, image(web, created, index=index)) == seconds


def test_with_a_token_where_one_is_wanted(web: Web) -> None:
    pin = image(web, "2026-01-01T00:00:00Z")
    web.token = "t"
    web.pages["/token"] = (200, {}, b'{"token": "t"}')
    assert built(web, pin) == AT


def test_what_is_not_there_has_none(web: Web) -> None:
    assert built(web, ImagePin(name="x.lan/a/b", tag="1", digest="sha256:" + "0" * 64)) is None
