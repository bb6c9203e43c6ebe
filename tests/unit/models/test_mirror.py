"""Mirrors of images and of the hub: where they are asked, and what a release does not know of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from hostler.errors import StackFileError
from hostler.manifest.items import ImagePin, Part
from hostler.models import mirror
from hostler.models.http import Http, UnreachableError
from hostler.models.registry import Registry
from hostler.models.resolve import Weights
from hostler.models.source import HubSource

from .web import COMMIT, DIGEST, Web

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[2] / "cases" / "models" / "mirror.yaml").read_text()
)
FILE = b"GGUF" + bytes(64)


def http() -> Http:
    return Http(timeout=5, pause=[].append)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_where_it_is_asked_for(case: dict[str, Any]) -> None:
    if "name" in case:
        assert mirror.image(case.get("images"), case["name"]) == case["there"]
    elif "hub" in case:
        assert mirror.hub(case["hub"], case["url"]) == case["there"]
    else:
        assert mirror.packages(case["apt"], case["url"]) == case["there"]


def test_without_mirrors_every_address_stays() -> None:
    assert mirror.hub(None, f"{mirror.HUB}/a") == f"{mirror.HUB}/a"
    assert mirror.packages(None, "https://nvidia.github.io/a") == "https://nvidia.github.io/a"


# -- images


def test_a_tag_means_what_the_mirror_has_and_the_pin_keeps_the_name(web: Web) -> None:
    web.image("proxy/ghcr.io/ggml-org/llama.cpp", "server")
    found = Registry(http(), mirror=f"{web.base}/proxy/{{registry}}").resolve(
        "ghcr.io/ggml-org/llama.cpp:server"
    )
    assert found == ImagePin(name="ghcr.io/ggml-org/llama.cpp", tag="server", digest=DIGEST, part=Part.ENGINE)


def test_a_mirror_that_wants_a_token_is_asked_for_one(web: Web) -> None:
    web.token = "t0k"
    web.pages["/token"] = (200, {}, b'{"token": "t0k"}')
    web.image("library/haproxy", "3.4")
    assert Registry(http(), mirror=web.base).resolve("haproxy:3.4").digest == DIGEST


def test_an_image_that_the_mirror_lacks_is_named_with_the_way_there(web: Web) -> None:
    with pytest.raises(StackFileError) as error:
        Registry(http(), mirror=f"{web.base}/all").resolve("haproxy:3.4")
    problem = error.value.problems[0]
    there = web.base.removeprefix("http://") + "/all/library/haproxy:3.4"
    assert problem.where == "image docker.io/library/haproxy:3.4"
    assert problem.expected.endswith(f"at the mirror: {there}")
    assert problem.got == "status 404"
    assert f"docker://docker.io/library/haproxy:3.4 docker://{there}`" in problem.next_step


def test_a_mirror_that_fails_is_named_not_the_registry_behind_it(web: Web) -> None:
    web.pages["/v2/library/haproxy/manifests/3.4"] = (503, {}, b"")
    with pytest.raises(UnreachableError) as error:
        Registry(http(), mirror=web.base).resolve("haproxy:3.4")
    problem = error.value.problems[0]
    assert "the mirror, for 127.0.0.1" in problem.expected
    assert "take `images` out of `mirror`" in problem.next_step


# -- the hub


def weights(web: Web, token: str = "") -> Weights:
    return Weights(token=token, http=http(), hub=f"{web.base}")


def test_a_release_names_the_hub_and_not_its_mirror(web: Web) -> None:
    """What is read of the file comes from the mirror all the same."""
    web.repo("org/m-GGUF", {"m-q4_1.gguf": FILE})
    mine = weights(web)
    found = mine.resolve(HubSource("org/m-GGUF", "Q4_1"))
    assert found.url == f"https://huggingface.co/org/m-GGUF/resolve/{COMMIT}/m-q4_1.gguf"
    assert found.revision == COMMIT
    assert mine.reader(found)(0, 4) == b"GGUF"
    assert [path.partition("?")[0] for _, path, _ in web.asked] == [
        "/api/models/org/m-GGUF",
        f"/org/m-GGUF/resolve/{COMMIT}/m-q4_1.gguf",
    ]


def test_the_hubs_client_asks_nobody_else(web: Web) -> None:
    """It would tell huggingface.co of its environment first, over whatever line there is."""
    web.repo("org/m-GGUF", {"m-q4_1.gguf": FILE})
    code = (
        "from hostler.models.resolve import Weights\nfrom hostler.models.source import HubSource\n"
        f"Weights(hub={web.base!r}).resolve(HubSource('org/m-GGUF', 'Q4_1'))\n"
    )
    # its own endpoint is ours, too: what it asks besides is seen
    environment = {**os.environ, "HF_ENDPOINT": web.base, "HF_HOME": "/nonexistent"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert [path.partition("?")[0] for _, path, _ in web.asked] == ["/api/models/org/m-GGUF"]


def test_a_checkpoint_is_read_at_the_mirror(web: Web) -> None:
    web.repo("org/m", {"model.safetensors": FILE, "config.json": b"{}"})
    found = weights(web).resolve(HubSource("org/m"), form="safetensors")
    assert {urlsplit(file.url).netloc for file in found.files} == {"huggingface.co"}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/models/org/m", "RepoNotFound"),
        ("/api/models/org/m", ""),  # a server that only says 404
        ("/api/models/org/m/revision/v9", "RevisionNotFound"),
    ],
)
def test_what_the_mirror_lacks_is_to_be_copied_there(web: Web, path: str, code: str) -> None:
    web.pages[path] = (404, {"X-Error-Code": code} if code else {}, b"{}")
    with pytest.raises(StackFileError) as error:
        weights(web).resolve(HubSource("org/m", "Q4_1", "v9" if "v9" in path else ""))
    problem = error.value.problems[0]
    assert problem.got.endswith(f"at the mirror {urlsplit(web.base).netloc}")
    assert "copy it to the mirror, or take `hub` out of `mirror`" in problem.next_step


def test_a_file_that_the_mirror_lacks(web: Web) -> None:
    web.repo("org/m-GGUF", {"m-q4_1.gguf": FILE})
    mine = weights(web)
    found = mine.resolve(HubSource("org/m-GGUF", "Q4_1"))
    web.pages.clear()
    with pytest.raises(StackFileError, match=r"status 404, at the mirror 127\.0\.0\.1"):
        mine.reader(found)(0, 4)


def test_a_mirror_that_is_down_is_named(web: Web) -> None:
    mine = Weights(http=http(), hub="http://127.0.0.1:1")
    with pytest.raises(UnreachableError) as error:
        mine.resolve(HubSource("org/m", "Q4_1"))
    assert "127.0.0.1:1" in error.value.problems[0].where
