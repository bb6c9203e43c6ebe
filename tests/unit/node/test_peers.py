"""Weights from another host: whole files, files that grow, peers that break off, lie, or are somebody else's."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from hostler.node.base import files
from hostler.node.weights import fetch, peers, transfer

from .fakes import Heard, until
from .two_hosts import PATH, Edge, Scene, certificate, said, scene
from .web import CONTENT, SHA256

__all__ = ["scene"]


def test_a_whole_file_comes_from_the_peer(scene: Scene) -> None:
    scene.has()
    done = scene.fetched()
    assert (done["rc"], done["changed"], done["why"]) == (0, True, "from gpu-1")
    assert scene.other.whole()
    assert scene.site.asked == []
    assert scene.edge.asked == ["files.gpu-1"]
    assert sorted(os.listdir(scene.other.path.parent)) == ["model.gguf", "model.gguf.hostler"]
    assert scene.fetched()["changed"] is False


def test_what_is_here_already_is_not_copied_again(scene: Scene) -> None:
    scene.has()
    scene.other.path.with_name("model.gguf.part").write_bytes(CONTENT[:2_000_000])
    scene.edge.cut = len(CONTENT) - 2_000_000 + 4096  # would break off if more were asked for
    assert scene.fetched()["why"] == "from gpu-1"
    assert scene.other.whole()
    assert len(scene.edge.asked) == 1


def test_a_wrong_beginning_is_not_the_peers_fault(scene: Scene) -> None:
    scene.has()
    scene.other.path.with_name("model.gguf.part").write_bytes(b"x" * 1000)
    assert scene.fetched()["why"] == "from gpu-1"
    assert scene.other.whole()
    assert scene.site.asked == []


def test_a_file_that_still_comes_is_followed(scene: Scene) -> None:
    """Only one goes over the outside line, and the other has it as soon as it has."""
    scene.site.gate = threading.Event()
    first = threading.Thread(target=scene.has)
    first.start()
    part = Path(files.at(PATH + ".part"))
    until(lambda: part.exists() and part.stat().st_size >= 1 << 20, "the first half is there")
    follower = scene.other.begin(url=scene.site.url(), peers=[scene.peer])
    copy = scene.other.path.with_name("model.gguf.part")
    until(lambda: copy.exists() and copy.stat().st_size >= 1 << 20, "it follows")
    assert len(scene.site.asked) == 1
    scene.site.gate.set()
    done = said(follower)
    first.join(10)
    assert (done["rc"], done["why"]) == (0, "from gpu-1")
    assert scene.edge.asked == ["files.gpu-1"], "one answer, which grew"
    assert scene.other.whole()


def test_a_download_that_ends_early_lets_its_followers_go(scene: Scene) -> None:
    part = Path(files.at(PATH + ".part"))
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[: 2 << 20])
    files.write_json(PATH + ".part.hostler", {"size": len(CONTENT)})
    with part.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        follower = scene.other.begin(url=scene.site.url(), peers=[scene.peer])
        copy = scene.other.path.with_name("model.gguf.part")
        until(lambda: copy.exists() and copy.stat().st_size == 2 << 20, "it follows")
    done = said(follower)
    assert done["why"] == "from 127.0.0.1 (gpu-1: has nothing of it)"
    assert scene.other.whole()
    assert scene.site.asked[0]["range"] == f"bytes={2 << 20}-"


def test_a_peer_that_dies_in_the_middle_is_replaced_by_outside(scene: Scene) -> None:
    scene.has()
    scene.edge.cut, scene.edge.gone = 1_500_000, True
    done = scene.fetched()
    assert (done["rc"], done["why"]) == (0, "from 127.0.0.1 (gpu-1: Connection refused)")
    assert scene.other.whole()
    assert int(scene.site.asked[0]["range"].removeprefix("bytes=").rstrip("-")) > 1_400_000


def test_the_next_peer_goes_on_where_one_broke_off(scene: Scene) -> None:
    scene.has()
    scene.edge.cut, scene.edge.gone = 1_500_000, True
    second = Edge(tls=scene.edge.tls, knows=scene.other.certificate)
    scene.other.knows("gpu-3", scene.edge.tls / "edge.crt")
    both = [scene.peer, {"host": "gpu-3", "address": "127.0.0.1", "port": second.port}]
    assert scene.fetched(peers=both)["why"] == "from gpu-3"
    assert scene.other.whole()
    assert scene.site.asked == []
    second.close()


@pytest.mark.parametrize("total", ["many", "*", ""])
def test_one_that_talks_nonsense_is_gone_past(scene: Scene, total: str) -> None:
    scene.edge.says = f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes five-/{total}\r\n\r\nx".encode()
    done = scene.fetched()
    assert (done["rc"], done["why"].partition(" ")[0]) == (0, "from")
    assert scene.other.whole()


def test_who_gave_the_wrong_beginning_is_to_blame(scene: Scene) -> None:
    """The one that went on from there is asked again, for the whole."""
    scene.has()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(CONTENT)}\r\n\r\n".encode()
    scene.edge.says = head + b"x" * 1_000_000
    second = Edge(tls=scene.edge.tls, knows=scene.other.certificate)
    scene.other.knows("gpu-3", scene.edge.tls / "edge.crt")
    both = [scene.peer, {"host": "gpu-3", "address": "127.0.0.1", "port": second.port}]
    assert scene.fetched(peers=both)["why"] == "from gpu-3"
    assert scene.other.whole()
    assert scene.site.asked == []
    second.close()


def test_after_a_wrong_copy_there_is_time_for_another(scene: Scene) -> None:
    wish = transfer.Wish(
        "", PATH, SHA256, len(CONTENT), "", (peers.Peer("gpu-1", "127.0.0.1", 1),), False, False, 0
    )
    part = scene.root / "part"
    part.write_bytes(b"x" * len(CONTENT))
    with part.open("a+b") as file:
        asking = peers._Asking(wish, file, transfer.Progress(Heard(), 0))
        asking.heard -= 3600
        assert not asking._right(wish.peers[0], "0" * 64)
        assert not asking.over()


def test_who_has_nothing_is_not_waited_for_without_end(scene: Scene) -> None:
    done = scene.fetched()
    assert done["why"] == "from 127.0.0.1 (gpu-1: has nothing of it)"
    assert scene.other.whole()


def test_wrong_bytes_of_a_peer_are_not_kept(scene: Scene) -> None:
    wrong = b"x" * len(CONTENT)
    files.write(PATH, wrong)
    files.write_json(PATH + ".hostler", {"sha256": SHA256, "size": len(CONTENT)})
    done = scene.fetched()
    assert "gpu-1: gave other bytes" in done["why"]
    assert scene.other.whole()
    assert "range" not in scene.site.asked[0]


def test_without_a_checksum_the_peers_word_holds(scene: Scene) -> None:
    scene.has()
    done = scene.fetched(sha256="", size=0)
    assert (done["sha256"], done["why"]) == (SHA256, "from gpu-1")
    assert scene.other.whole()


def test_without_a_checksum_a_wrong_beginning_is_found_too(scene: Scene) -> None:
    scene.has()
    scene.other.path.with_name("model.gguf.part").write_bytes(b"x" * 1000)
    assert scene.fetched(sha256="", size=0)["why"] == "from gpu-1"
    assert scene.other.whole()


def test_without_a_checksum_other_bytes_than_the_peer_says_are_not_kept(scene: Scene) -> None:
    files.write(PATH, b"x" * len(CONTENT))
    files.write_json(PATH + ".hostler", {"sha256": SHA256, "size": len(CONTENT)})
    assert "gave other bytes" in scene.fetched(sha256="", size=0)["why"]
    assert scene.other.whole()


def test_a_gated_file_without_its_token_is_not_asked_for_outside(scene: Scene) -> None:
    done = scene.fetched(secret="HF_TOKEN")
    assert (done["rc"], done["error"]) == (fetch.NOBODY, "peers")
    assert scene.site.asked == []
    done = scene.fetched(secret="HF_TOKEN", token="hf_abc", peers=[])
    assert scene.other.whole()
    assert scene.site.asked[0]["authorization"] == "Bearer hf_abc"


def test_one_with_another_certificate_is_not_believed(scene: Scene, tmp_path: Path) -> None:
    scene.has()
    scene.other.knows("gpu-1", certificate(tmp_path))  # the same names
    assert scene.fetched()["why"] == "from 127.0.0.1 (gpu-1: has another certificate)"


def test_one_whose_certificate_is_not_here_is_not_asked(scene: Scene) -> None:
    scene.has()
    (scene.other.tls / "sharing/gpu-1.crt").unlink()
    assert "its certificate is not known here yet" in scene.fetched()["why"]


def test_in_the_background_outside_is_not_asked(scene: Scene) -> None:
    assert scene.fetched(inside=True)["error"] == "peers"
    assert scene.site.asked == []


def test_in_the_background_nothing_begins_before_the_doors_can_be_known(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_started", lambda _: True)
    asked = {"url": scene.site.url(), "path": PATH, "sha256": SHA256, "size": 1, "background": True}

    def begins(peer: str) -> bool:
        heard = Heard()
        fetch.fetch({"op": "fetch", **asked, "peers": [{**scene.peer, "host": peer}]}, heard)
        return bool(heard.last["background"])

    monkeypatch.setattr(fetch, "BESIDE", 0)
    assert not begins("gpu-2")
    (scene.root / "etc/hostler/tls/sharing").mkdir()
    (scene.root / "etc/hostler/tls/sharing/gpu-2.crt").touch()
    assert begins("gpu-2")
