"""Downloads that are cut, lied to, or have no room; and what is under the final name meanwhile."""

import json
import os
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import files
from hostler.node.base.protocol import NodeError
from hostler.node.owning import end_run
from hostler.node.weights import fetch, store, transfer

from .fakes import Heard, until
from .web import CONTENT, SHA256, Web, web

PATH = files.MODELS + "/m/model.gguf"


@pytest.fixture
def site(short_root: Path, quick: None) -> Generator[Web, None, None]:
    with web() as found:
        yield found


def fetched(site: Web, **request: Any) -> dict[str, Any]:
    heard = Heard()
    asked = {"url": site.url(), "path": PATH, "sha256": SHA256, "size": len(CONTENT), **request}
    fetch.fetch({"op": "fetch", **asked}, heard)
    return heard.last


def part(content: bytes, validator: str = '"v1"') -> None:
    path = Path(files.at(PATH + ".part"))
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    files.write_json(PATH + ".part.hostler", {"validator": validator})


def whole() -> bool:
    return Path(files.at(PATH)).read_bytes() == CONTENT


def names() -> list[str]:
    return sorted(os.listdir(files.at(os.path.dirname(PATH))))


def test_a_file_with_its_sidecar(site: Web) -> None:
    first = {"changed": True, "sha256": SHA256, "size": len(CONTENT), "path": PATH, "why": "from 127.0.0.1"}
    assert fetched(site) == first
    assert whole()
    assert names() == ["model.gguf", "model.gguf.hostler"]
    known = json.loads(Path(files.at(PATH + ".hostler")).read_bytes())
    assert (known["sha256"], known["size"], known["url"]) == (SHA256, len(CONTENT), site.url())
    assert fetched(site)["changed"] is False
    assert len(site.asked) == 1


def test_cut_twice_then_resumed(site: Web) -> None:
    site.cuts = [1_000_000, 500_000]
    assert fetched(site)["changed"]
    assert whole()
    assert [asked.get("range") for asked in site.asked] == [None, "bytes=1000000-", "bytes=1500000-"]
    assert site.asked[1]["if-range"] == '"v1"'


def test_a_part_of_an_earlier_run_is_resumed(site: Web) -> None:
    part(CONTENT[:2_000_000])
    fetched(site)
    assert whole()
    assert site.asked[0]["range"] == "bytes=2000000-"


def test_a_whole_part_is_not_fetched_again(site: Web) -> None:
    part(CONTENT)
    fetched(site)
    assert whole()
    assert site.asked == []


def test_another_file_at_the_source_is_fetched_whole(site: Web) -> None:
    """If-Range: the server answers 200 with the new file."""
    part(b"x" * 1000, '"v0"')
    fetched(site)
    assert whole()


def test_a_wrong_part_is_fetched_once_more(site: Web) -> None:
    part(b"x" * 1000)
    fetched(site)
    assert whole()
    assert len(site.asked) == 2


def test_without_ranges_it_starts_over(site: Web) -> None:
    site.ranges, site.cuts = False, [1_000_000]
    fetched(site)
    assert whole()


def test_without_validator_and_checksum_it_starts_over(site: Web) -> None:
    """Nothing would tell whether the rest fits."""
    site.etag = ""
    part(b"x" * 1000, "")
    assert fetched(site, sha256="")["sha256"] == SHA256
    assert "range" not in site.asked[0]


def test_unknown_checksum_is_recorded(site: Web) -> None:
    assert fetched(site, sha256="", size=0)["sha256"] == SHA256
    assert (store.sidecar(PATH) or {})["sha256"] == SHA256


def test_wrong_bytes_never_get_the_name(site: Web) -> None:
    site.content = b"x" * len(CONTENT)
    with pytest.raises(NodeError, match="expected SHA-256"):
        fetched(site)
    assert not os.path.exists(files.at(PATH))
    assert os.path.getsize(files.at(PATH + ".part")) == 0


def test_another_size_is_refused_before_a_byte(site: Web) -> None:
    with pytest.raises(NodeError, match="expected 5 bytes; the server offers 3000000"):
        fetched(site, size=5)


def test_no_room_is_said_before_a_byte(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "free_bytes", lambda _path: transfer.RESERVE + 1_000_000)
    with pytest.raises(NodeError, match=r"needs 2\.9 MiB more; 1\.0 MiB are free") as caught:
        fetched(site)
    assert caught.value.kind == "disk"
    assert site.asked == []


def test_what_is_here_counts(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "free_bytes", lambda _path: transfer.RESERVE + 1_000_000)
    part(CONTENT[:2_500_000])
    fetched(site)
    assert whole()


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "token is missing"), (403, "access is refused"), (404, "no such file"), (418, "unexpected")],
)
def test_what_is_in_vain_is_said_at_once(site: Web, status: int, words: str) -> None:
    site.statuses = [status]
    with pytest.raises(NodeError, match=words) as caught:
        fetched(site, token="hf_abc")
    assert len(site.asked) == 1
    assert "hf_abc" not in str(caught.value.as_json())


def test_a_server_in_trouble_is_asked_again(site: Web) -> None:
    site.statuses = [503, 429, 500]
    fetched(site)
    assert whole()


def test_and_not_for_ever(site: Web) -> None:
    site.statuses = [503] * 20
    with pytest.raises(NodeError, match=r"the server failed .HTTP 503.; tried 6 times"):
        fetched(site)


def test_416_of_a_whole_part_is_the_end(site: Web) -> None:
    part(CONTENT)
    fetched(site, size=0)
    assert whole()


def test_the_token_stays_with_its_host(site: Web) -> None:
    with web() as other:
        site.redirect = other.url("/signed?sig=1")
        fetched(site, token="secret")
        assert site.asked[0]["authorization"] == "Bearer secret"
        assert "authorization" not in other.asked[0]
    assert b"secret" not in Path(files.at(PATH + ".hostler")).read_bytes()


def test_no_way_down_from_https() -> None:
    from hostler.node.weights import download

    with pytest.raises(NodeError, match="from https to http"):
        download._next("https://a/x", "http://a/y")
    assert download._next("https://a/x", "/y") == "https://a/y"


def test_redirects_end(site: Web) -> None:
    site.redirect = site.url("/again")
    with pytest.raises(NodeError, match="more than 10 redirects"):
        fetched(site)


def test_several_at_once_fetch_it_once(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "LOCK_S", 0.01)
    said: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: said.append(fetched(site))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(one["changed"] for one in said) == [False, False, False, True]
    assert len(site.asked) == 1
    assert whole()
    assert names() == ["model.gguf", "model.gguf.hostler"]


def test_a_file_without_sidecar_is_checked_not_fetched(site: Web) -> None:
    fetched(site)
    os.unlink(files.at(PATH + ".hostler"))
    assert fetched(site)["sha256"] == SHA256
    assert len(site.asked) == 1


def test_a_changed_file_is_fetched_again(site: Web) -> None:
    fetched(site)
    Path(files.at(PATH)).write_bytes(b"x" * len(CONTENT))
    os.utime(files.at(PATH), ns=(1, 1))
    assert fetched(site)["changed"]
    assert whole()


def test_a_users_own_file_stays_where_it_is(site: Web) -> None:
    path = "/srv/models/own.gguf"
    files.write(path, CONTENT)
    said = fetched(site, url="file://" + path, path=path)
    assert (said["changed"], said["sha256"]) == (True, SHA256)
    assert os.listdir(files.at("/srv/models")) == ["own.gguf"]
    assert fetched(site, url="file://" + path, path=path)["changed"] is False
    with pytest.raises(NodeError, match="expected SHA-256"):
        fetched(site, url="file://" + path, path=path, sha256="0" * 64)
    with pytest.raises(NodeError, match="expected a file; there is none"):
        fetched(site, url="file:///srv/no", path="/srv/no")


def test_a_full_disk_keeps_the_part(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSPC in the middle, though there was room at first: nothing under the final name, and it resumes."""
    copy = transfer._copy

    def full(source: Any, target: Any, *rest: Any) -> int:
        target.write(source.response.read(1_000_000))
        target.flush()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transfer, "_copy", full)
    with pytest.raises(OSError, match="No space left"):
        fetched(site)
    assert not os.path.exists(files.at(PATH))
    monkeypatch.setattr(transfer, "_copy", copy)
    fetched(site)
    assert whole()
    assert site.asked[1]["range"] == "bytes=1000000-"


AGENT = """
import sys
sys.path.insert(0, {infra!r})
from hostler.node.__main__ import main
from hostler.node.base import files
files.root = {root!r}
sys.exit(main())
"""


@pytest.fixture
def installed(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The agent as a program, for what it starts itself."""
    program = short_root / "agent.py"
    infra = str(Path(fetch.__file__).parents[3])
    program.write_text(AGENT.format(infra=infra, root=str(short_root)))
    (short_root / "proc").symlink_to("/proc")
    monkeypatch.setattr(fetch.sys, "argv", [str(program)])
    monkeypatch.setenv("HOSTLER_RUN", f"run-{os.getpid()}")
    return program


def in_background() -> list[int]:
    return [p.pid for p in end_run.processes().values() if end_run.is_background(p.pid)]


def test_in_the_background_and_waited_for(site: Web, installed: Path) -> None:
    site.gate = threading.Event()
    assert fetched(site, background=True) == {"changed": False, "background": True}
    until(has_begun, "it has begun")
    threading.Timer(0.3, site.gate.set).start()
    assert fetched(site)["why"] == "from 127.0.0.1", "nobody listened when it came"
    assert fetched(site)["changed"] is False
    assert whole()
    assert len(site.asked) == 1, "fetched once"
    assert fetched(site, background=True) == {"changed": False, "background": False}


def test_a_background_download_is_ended_and_resumed(site: Web, installed: Path) -> None:
    site.gate = threading.Event()
    fetched(site, background=True)
    until(has_begun, "it has begun")
    for run, ended in (("another", 0), (os.environ["HOSTLER_RUN"], 1)):
        heard = Heard()
        end_run.end_background({"op": "end-background", "run": run}, heard)
        assert len(heard.last["ended"]) == ended
    until(lambda: not in_background(), "it is gone")
    site.gate.set()
    assert fetched(site)["changed"]
    assert whole()


@pytest.mark.parametrize(
    ("room", "begins"), [(fetch.BESIDE + (1 << 20), False), (fetch.BESIDE + (4 << 20), True)]
)
def test_only_where_others_find_room_beside_it(
    site: Web, installed: Path, monkeypatch: pytest.MonkeyPatch, room: int, begins: bool
) -> None:
    monkeypatch.setattr(store, "free_bytes", lambda _: room)
    monkeypatch.setattr(fetch, "_started", lambda _: True)
    assert fetched(site, background=True)["background"] is begins


def test_room_for_all_that_comes_at_once(site: Web, installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "free_bytes", lambda _: fetch.BESIDE + (4 << 20))
    monkeypatch.setattr(fetch, "_started", lambda _: True)
    assert fetched(site, background=True, together=3 << 20)["background"] is True
    assert fetched(site, background=True, together=8 << 20)["background"] is False


@pytest.mark.parametrize("sha256", [SHA256, ""])
@pytest.mark.parametrize("rest", [b"more", b"x" * 60_000_000])
def test_more_than_its_size_is_not_taken(site: Web, quick: None, sha256: str, rest: bytes) -> None:
    """Whatever the header said, and also where no checksum would tell."""
    site.chunked, site.content = True, CONTENT + rest
    with pytest.raises(NodeError, match=f"more than {len(CONTENT)} bytes came"):
        fetched(site, sha256=sha256)
    assert Path(files.at(PATH + ".part")).stat().st_size <= len(CONTENT)


def test_less_than_its_size_is_not_taken(site: Web, quick: None) -> None:
    site.chunked, site.content = True, CONTENT[:-1]
    with pytest.raises(
        NodeError, match=f"expected {len(CONTENT)} bytes; the server offers {len(CONTENT) - 1}"
    ):
        fetched(site, sha256="")
    assert not Path(files.at(PATH)).exists()


def test_what_has_come_already_needs_no_room(
    site: Web, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part(CONTENT[:2_500_000])
    monkeypatch.setattr(store, "free_bytes", lambda _: fetch.BESIDE + (1 << 20))
    monkeypatch.setattr(fetch, "_started", lambda _: True)
    assert fetched(site, background=True)["background"]


def test_a_piped_agent_has_no_program_to_start(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch.sys, "argv", ["-c"])
    assert fetched(site, background=True)["background"] is False


def has_begun() -> bool:
    path = files.at(PATH + ".part")
    return os.path.exists(path) and os.path.getsize(path) > 0
