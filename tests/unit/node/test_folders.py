"""Folders of weights on a host: what is in them, parts of their files, and links that lead out."""

import base64
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import files
from hostler.node.base.protocol import NodeError
from hostler.node.probe import everything
from hostler.node.weights import fetch, store

from .fakes import Heard

Call = Callable[..., dict[str, Any]]
FOLDER = "/srv/llama"


@pytest.fixture
def folder(root: Path) -> Path:
    path = Path(files.at(FOLDER))
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"weights")
    (path / "config.json").write_bytes(b'{"a": 1}')
    (path / "onnx").mkdir()
    return path


def probed(call: Call, path: str = FOLDER) -> dict[str, Any]:
    return call("probe", ask=[f"folder:{path}"])["observed"][f"folder:{path}"]


def test_what_is_in_a_folder(folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(probed(call)["value"]) == {"config.json", "model.safetensors"}
    assert probed(call)["value"]["config.json"] == {
        "size": 8,
        "sha256": sha256(b'{"a": 1}').hexdigest(),
        "out": False,
    }
    monkeypatch.setattr("hostler.node.probe.paths.HASHED", 4)
    assert probed(call)["value"]["model.safetensors"]["sha256"] == "", "large: nobody has read it"
    store.write_sidecar(f"{FOLDER}/model.safetensors", "f" * 64, "file:")
    assert probed(call)["value"]["model.safetensors"]["sha256"] == "f" * 64, "checked once"
    assert probed(call, "/srv/none") == {"absent": True}
    assert probed(call, f"{FOLDER}/config.json") == {"absent": True}


def test_links(folder: Path, call: Call) -> None:
    """A container sees the folder alone."""
    blob = folder.parent / "blob"
    blob.write_bytes(b"weights")
    (folder / "far.safetensors").symlink_to(blob)
    (folder / "near.safetensors").symlink_to("model.safetensors")
    (folder / "broken.safetensors").symlink_to("nowhere")
    found = probed(call)["value"]
    assert (found["far.safetensors"]["out"], found["near.safetensors"]["out"]) == (True, False)
    assert "broken.safetensors" not in found
    near = {"op": "fetch", "url": f"file:{FOLDER}/near.safetensors", "path": f"{FOLDER}/near.safetensors"}
    fetch.fetch(near, Heard())
    far = {"op": "fetch", "url": f"file:{FOLDER}/far.safetensors", "path": f"{FOLDER}/far.safetensors"}
    with pytest.raises(NodeError, match=r"it is a link to .*/srv/blob, which its container does not see"):
        fetch.fetch(far, Heard())


def test_parts_of_a_file(folder: Path, call: Call) -> None:
    def part(offset: int, count: int) -> bytes:
        answer = call("span", path=f"{FOLDER}/model.safetensors", offset=offset, count=count)
        assert answer["size"] == 7
        return base64.b64decode(answer["data"])

    assert (part(0, 4), part(4, 100), part(7, 1)) == (b"weig", b"hts", b"")


@pytest.mark.parametrize(
    "wrong",
    [{"path": "/etc/shadow"}, {"offset": -1}, {"count": -1}, {"count": 1 << 30}],
    ids=["no weights", "before", "nothing", "too much"],
)
def test_parts_that_are_not_given(wrong: dict[str, Any], folder: Path, call: Call) -> None:
    with pytest.raises(NodeError, match="span:"):
        call("span", **{"path": f"{FOLDER}/config.json", "offset": 0, "count": 1, **wrong})


def test_all_files_of_a_folder_that_a_replica_mounts_are_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vLLM's words name just the folder."""
    os.makedirs(files.at("/var/lib/hostler/cache"))
    Path(files.at("/var/lib/hostler/cache/kernel")).touch()
    mounts = [{"source": FOLDER}, {"source": "/var/lib/hostler/cache"}, {"source": "/srv/gone"}]
    wishes = {
        "dense-0": {
            "image": {"name": "a", "tag": "1", "digest": "sha256:0"},
            "argv": [FOLDER],
            "model": "dense",
            "mounts": mounts,
        },
        "gateway": {
            "image": {"name": "b", "tag": "1", "digest": "sha256:1"},
            "argv": [],
            "model": "",
            "mounts": [{"source": "/srv"}],
        },
    }
    monkeypatch.setattr(everything.spec, "names", lambda _: list(wishes))
    monkeypatch.setattr(everything, "_wish", wishes.__getitem__)
    assert everything.questions()["model"] == [f"{FOLDER}/config.json", f"{FOLDER}/model.safetensors"]
