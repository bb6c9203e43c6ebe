"""Hub, registry and plain addresses, against servers on loopback."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi

from hostler.configure import engine
from hostler.errors import HostlerError, StackFileError
from hostler.manifest.items import ImagePin, Part
from hostler.models.host_files import SeenFile
from hostler.models.http import Http, UnreachableError
from hostler.models.registry import Registry, parse_reference
from hostler.models.resolve import Weights
from hostler.models.source import HubSource, PathSource, UrlSource

from .web import COMMIT, DIGEST, INDEX, Web

FILE = b"GGUF" + bytes(range(256)) * 8


def http(pauses: list[float] | None = None) -> Http:
    return Http(timeout=5, pause=(pauses if pauses is not None else []).append)


def weights(web: Web, token: str = "", **more: Any) -> Weights:
    return Weights(token=token, http=http(), api=HfApi(endpoint=web.base, token=token or False), **more)


def registry(web: Web, host: str = "docker.io", pauses: list[float] | None = None) -> Registry:
    return Registry(http(pauses), {host: web.base})


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("text", "name", "tag"),
    [
        ("haproxy:3.4", "docker.io/library/haproxy", "3.4"),
        ("haproxy", "docker.io/library/haproxy", "latest"),
        ("vllm/vllm-openai:v0.9", "docker.io/vllm/vllm-openai", "v0.9"),
        ("docker.io/haproxy:3", "docker.io/library/haproxy", "3"),
        ("ghcr.io/ggml-org/llama.cpp:server-cuda", "ghcr.io/ggml-org/llama.cpp", "server-cuda"),
        ("localhost:5000/a/b", "localhost:5000/a/b", "latest"),
        ("registry.lan:5000/a:1", "registry.lan:5000/a", "1"),
    ],
)
def test_references(text: str, name: str, tag: str) -> None:
    found = parse_reference(text)
    assert (found.name, found.tag) == (name, tag)


def test_docker_hub_has_an_address_of_its_own() -> None:
    assert parse_reference("haproxy:3.4").api == "https://registry-1.docker.io"
    assert parse_reference("ghcr.io/a/b").api == "https://ghcr.io"


@pytest.mark.parametrize("text", ["", "UPPER/x", "a b", "x:", "x@sha256:12", "-x", "x@", "a//b", "x:$(id)"])
def test_bad_references(text: str) -> None:
    with pytest.raises(StackFileError, match="registry/name:tag"):
        parse_reference(text)


def test_a_digest_needs_no_network() -> None:
    pin = Registry(Http(attempts=0)).resolve(f"ghcr.io/a/b:1@{DIGEST}")
    assert pin == ImagePin(name="ghcr.io/a/b", tag="1", digest=DIGEST)


def test_image_with_a_token_by_challenge(web: Web) -> None:
    web.token = "t0k"
    web.pages["/token"] = (200, {}, b'{"token": "t0k"}')
    web.image("library/haproxy", "3.4")
    pin = registry(web).resolve("haproxy:3.4", Part.GATEWAY)
    assert pin == ImagePin(name="docker.io/library/haproxy", tag="3.4", digest=DIGEST, part=Part.GATEWAY)
    assert [(m, p) for m, p, _ in web.asked] == [
        ("HEAD", "/v2/library/haproxy/manifests/3.4"),
        ("GET", "/token?scope=repository%3Aa%2Fb%3Apull&service=registry.test"),
        ("HEAD", "/v2/library/haproxy/manifests/3.4"),
    ]
    accepted = web.asked[0][2]["accept"]
    assert "image.index" in accepted
    assert "manifest.list" in accepted


def test_digest_is_computed_where_the_registry_sends_none(web: Web) -> None:
    web.pages["/v2/a/b/manifests/1"] = (200, {}, INDEX)
    assert registry(web, "x.lan").resolve("x.lan/a/b:1").digest == DIGEST


@pytest.mark.parametrize(
    ("status", "says"), [(404, "no such name or tag"), (403, "private"), (401, "private, or")]
)
def test_refused_images_say_why(web: Web, status: int, says: str) -> None:
    web.pages["/v2/a/b/manifests/1"] = (status, {}, b"")
    with pytest.raises(StackFileError, match=says) as error:
        registry(web, "x.lan").resolve("x.lan/a/b:1")
    assert error.value.problems[0].where == "image x.lan/a/b:1"


@pytest.mark.parametrize(
    "passing", [(429, {}, b""), (503, {}, b""), (0, {}, b"")], ids=["429", "503", "reset"]
)
def test_what_passes_by_itself_is_tried_again(web: Web, passing: tuple[int, dict[str, str], bytes]) -> None:
    pauses: list[float] = []
    web.pages["/v2/a/b/manifests/1"] = [passing, passing, (200, {"Docker-Content-Digest": DIGEST}, INDEX)]
    assert registry(web, "x.lan", pauses).resolve("x.lan/a/b:1").digest == DIGEST
    assert len(pauses) == 2


def test_no_more_than_four_attempts(web: Web) -> None:
    web.pages["/v2/a/b/manifests/1"] = (503, {}, b"")
    with pytest.raises(UnreachableError, match="status 503, 4 times"):
        registry(web, "x.lan").resolve("x.lan/a/b:1")
    assert len(web.asked) == 4


def test_network_down() -> None:
    port = closed_port()
    with pytest.raises(UnreachableError, match="refused") as error:
        Registry(http(), {"x.lan": f"http://127.0.0.1:{port}"}).resolve("x.lan/a:1")
    assert f"127.0.0.1:{port}" in error.value.problems[0].next_step


def test_a_connection_that_always_breaks(web: Web) -> None:
    web.pages["/v2/a/manifests/1"] = (0, {}, b"")
    with pytest.raises(UnreachableError) as error:
        registry(web, "x.lan").resolve("x.lan/a:1")
    assert error.value.problems[0].where == web.base.removeprefix("http://")


def test_a_token_stays_with_its_host(web: Web) -> None:
    other = web.base.replace("127.0.0.1", "localhost")
    web.pages["/from"] = (302, {"Location": f"{other}/to"}, b"")
    web.pages["/near"] = (302, {"Location": "/to"}, b"")
    web.pages["/to"] = (200, {}, b"x")
    for path in ("/from", "/near"):
        assert (
            http().ask("GET", web.base + path, {"Authorization": "Bearer s", "Range": "bytes=0-0"}).body
            == b"x"
        )
    far, near = (headers for _, path, headers in web.asked if path == "/to")
    assert "authorization" not in far
    assert (far["range"], near["authorization"]) == ("bytes=0-0", "Bearer s")


def test_redirects_end(web: Web) -> None:
    web.pages["/loop"] = (302, {"Location": "/loop"}, b"")
    with pytest.raises(UnreachableError, match="redirects"):
        http().ask("GET", f"{web.base}/loop")
    with pytest.raises(UnreachableError, match="an http address"):
        http().ask("GET", "file:///etc/hostname")


def test_hub_source_becomes_one_file_of_one_commit(web: Web) -> None:
    web.repo("org/m-GGUF", {"m-q4_1.gguf": FILE, "m-q8_0.gguf": b"", "README.md": b"x"})
    found = weights(web).resolve(HubSource("org/m-GGUF", "Q4_1"))
    assert found.url == f"{web.base}/org/m-GGUF/resolve/{COMMIT}/m-q4_1.gguf"
    assert (found.file, found.size, found.sha256) == (
        "m-q4_1.gguf",
        len(FILE),
        hashlib.sha256(FILE).hexdigest(),
    )
    assert (found.source, found.revision, found.secret) == ("hf:org/m-GGUF:Q4_1", COMMIT, "")
    assert weights(web).reader(found)(4, 3) == b"\0\1\2"
    assert all("authorization" not in headers for _, _, headers in web.asked)


def test_missing_quantization_lists_what_is_there(web: Web) -> None:
    web.repo("org/m-GGUF", {"m-q4_1.gguf": FILE, "m-q8_0.gguf": b""})
    with pytest.raises(StackFileError, match="there is: Q4_1, Q8_0") as error:
        weights(web).resolve(HubSource("org/m-GGUF", "Q5_0"), where="s.yaml:4:3 models.chat.source")
    assert error.value.problems[0].where.startswith("s.yaml:4:3")


def test_unknown_repository(web: Web) -> None:
    web.pages["/api/models/org/none"] = (401, {"X-Error-Code": "RepoNotFound"}, b"{}")
    with pytest.raises(StackFileError, match="none of that name, or a private one") as error:
        weights(web).resolve(HubSource("org/none", "Q4_1"))
    assert "HF_TOKEN" in error.value.problems[0].next_step


def test_unknown_revision(web: Web) -> None:
    web.pages["/api/models/org/m/revision/v9"] = (404, {"X-Error-Code": "RevisionNotFound"}, b"{}")
    with pytest.raises(StackFileError, match="no v9"):
        weights(web).resolve(HubSource("org/m", "Q4_1", "v9"))


def test_gated_without_and_with_a_token(web: Web) -> None:
    web.repo("org/g-GGUF", {"g-q4_1.gguf": FILE}, gated="manual")
    with pytest.raises(StackFileError, match="gated one, and no token") as error:
        weights(web).resolve(HubSource("org/g-GGUF", "Q4_1"))
    assert "HF_TOKEN: env" in error.value.problems[0].next_step
    mine = weights(web, "hf_secret")
    found = mine.resolve(HubSource("org/g-GGUF", "Q4_1"))
    assert found.secret == "HF_TOKEN"
    assert "hf_secret" not in repr(found)
    mine.reader(found)(0, 4)
    assert web.asked[-1][2]["authorization"] == "Bearer hf_secret"


def test_gated_with_a_token_that_has_no_access(web: Web) -> None:
    web.repo("org/g-GGUF", {"g-q4_1.gguf": FILE}, gated="manual")
    web.pages[f"/org/g-GGUF/resolve/{COMMIT}/g-q4_1.gguf"] = (403, {"X-Error-Code": "GatedRepo"}, b"")
    mine = weights(web, "hf_secret")
    with pytest.raises(StackFileError, match="status 403") as error:
        mine.reader(mine.resolve(HubSource("org/g-GGUF", "Q4_1")))(0, 4)
    assert "account of HF_TOKEN" in error.value.problems[0].next_step
    assert "hf_secret" not in str(error.value)


def test_the_hub_is_asked_again_when_it_is_busy(web: Web) -> None:
    web.repo("org/m", {"m-q4_1.gguf": FILE})
    good = web.pages["/api/models/org/m"]
    web.pages["/api/models/org/m"] = [(429, {}, b""), (503, {}, b""), good]
    assert weights(web).resolve(HubSource("org/m", "Q4_1")).revision == COMMIT
    assert web.count("GET", "/api/models/org/m") == 3


def test_hub_down() -> None:
    api = HfApi(endpoint=f"http://127.0.0.1:{closed_port()}", token=False)
    with pytest.raises(UnreachableError) as error:
        Weights(http=http(), api=api).resolve(HubSource("org/m", "Q4_1"))
    assert "127.0.0.1" in error.value.problems[0].where


def test_plain_address(web: Web) -> None:
    web.pages["/d/m.gguf"] = (200, {"ETag": '"abc"', "No-Ranges": "1"}, FILE)
    mine = weights(web)
    found = mine.resolve(UrlSource(f"{web.base}/d/m.gguf", "f" * 64))
    assert (found.file, found.size, found.sha256, found.revision) == ("m.gguf", len(FILE), "f" * 64, "abc")
    assert mine.reader(found)(4, 3) == b"\0\1\2", "a server without ranges is read from the start"
    with pytest.raises(StackFileError, match="status 404"):
        mine.resolve(UrlSource(f"{web.base}/none.gguf"))


def test_path_on_the_host() -> None:
    mine = Weights(http=http(), seen={"/srv/m.gguf": SeenFile(12, "a" * 64)})
    found = mine.resolve(PathSource("/srv/m.gguf"))
    assert (found.url, found.size, found.sha256, found.local) == ("file:/srv/m.gguf", 12, "a" * 64, True)
    assert [file.path for file in engine.model_files(found)] == ["/srv/m.gguf"]
    with pytest.raises(HostlerError, match=r"/srv/n\.gguf on a host"):
        mine.resolve(PathSource("/srv/n.gguf"))


def test_a_path_that_is_only_here_is_to_be_carried_there(tmp_path: Path) -> None:
    (tmp_path / "my model.gguf").write_bytes(FILE)
    with pytest.raises(StackFileError, match="it is on this machine") as error:
        Weights(http=http()).resolve(PathSource(str(tmp_path / "my model.gguf")))
    assert "write ./my model.gguf" in error.value.problems[0].next_step
