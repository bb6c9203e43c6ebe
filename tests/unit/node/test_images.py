"""Images that came through us: only they go, and only when nobody else has use of them."""

from __future__ import annotations

from typing import Any

import pytest

from hostler.node.base import files
from hostler.node.docker import docker, images, pull
from hostler.node.docker.containers import Engine
from hostler.node.probe import everything

from .fakes import DIGEST, Heard, Host

LLAMA = f"llama@{DIGEST}"  # was here before us
OLD, NEW = (f"ghcr.io/a/{name}@sha256:{name[0] * 64}" for name in ("old", "new"))


@pytest.fixture
def pulled(host: Host) -> Host:
    host.docker.listed_images.append({"Id": "sha256:image", "RepoDigests": [LLAMA], "RepoTags": []})
    pull.pull({"op": "pull", "refs": [LLAMA, OLD, NEW]}, Heard())
    return host


class Connections:
    """One for each question: the stand-in closes them."""

    def get(self, path: str, **query: Any) -> Any:
        return docker.call("GET", path, query).json()


def listed() -> list[str]:
    return everything.own_images(Engine(Connections()))  # type: ignore[arg-type]


def removed(*refs: str) -> dict[str, Any]:
    heard = Heard()
    assert images.remove({"op": "remove-images", "refs": list(refs)}, heard) == 0
    return heard.last


def test_only_what_came_through_us_is_listed(pulled: Host) -> None:
    assert listed() == [NEW, OLD]


def test_what_nothing_needs_goes_and_is_nobodys(pulled: Host) -> None:
    assert removed(OLD) == {"changed": True, "why": "old", "kept": []}
    assert set(pulled.docker.images) == {LLAMA, NEW}
    assert files.read_json(pull.PULLED) == {NEW: ""}
    assert listed() == [NEW]
    again = removed(OLD)
    assert (again["changed"], again["why"]) == (False, "")


def tag(host: Host) -> None:
    for image in host.docker.listed_images:
        image["RepoTags"] = ["mine:1"] if OLD in image["RepoDigests"] else ["<none>:<none>"]


def use(host: Host) -> None:
    host.docker.create_foreign("theirs", host.docker.images[OLD])


@pytest.mark.parametrize("somebody", [tag, use])
def test_what_somebody_else_uses_by_now_stays(somebody: Any, pulled: Host) -> None:
    somebody(pulled)
    assert listed() == [NEW]
    assert removed(OLD) == {
        "changed": False,
        "why": "",
        "kept": [{"what": OLD, "why": "it is not ours alone"}],
    }
    assert OLD in pulled.docker.images
    assert OLD in files.read_json(pull.PULLED)


def test_what_was_here_before_stays_whoever_asks(pulled: Host) -> None:
    assert removed(LLAMA)["changed"] is False
    assert LLAMA in pulled.docker.images


def test_one_that_a_container_of_ours_still_has_stays_and_the_others_go(pulled: Host) -> None:
    """As that which an exchange has set aside."""
    docker.create(
        "hostler-chat-0-before",
        {"Image": OLD, "Cmd": [], "Labels": {"hostler.uid": "u", "hostler.id": "chat-0"}, "HostConfig": {}},
    )
    assert listed() == [NEW, OLD]
    answer = removed(OLD, NEW)
    assert (answer["why"], [kept["what"] for kept in answer["kept"]]) == ("new", [OLD])
    assert "is using it" in answer["kept"][0]["why"]
    assert files.read_json(pull.PULLED) == {OLD: ""}


def test_short_names_are_the_same_name(host: Host) -> None:
    """As Docker lists what was pulled as docker.io/library/haproxy."""
    ref = f"docker.io/library/haproxy@{DIGEST}"
    files.write_json(pull.PULLED, {ref: ""})
    listed = [{"Id": "sha256:1", "RepoDigests": [f"haproxy@{DIGEST}"], "RepoTags": None}]
    assert images.ours_alone(listed, []) == [ref]


def test_what_is_noted_and_cannot_be_read_is_none(host: Host) -> None:
    files.write(pull.PULLED, b"{")
    assert images.ours_alone([{"Id": "sha256:1", "RepoDigests": [OLD], "RepoTags": None}], []) == []


def test_where_docker_is_not_there_none_are(short_root: Any) -> None:
    assert everything.own_images(Engine()) == []
