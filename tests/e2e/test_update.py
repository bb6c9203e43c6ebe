"""Tags and revisions that moved: a plain `up` stays, `update` shows them, takes what it should, and goes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.desk import Desk
from e2e.load import Load
from lab.hosts import Host

pytestmark = [pytest.mark.lab, pytest.mark.soak]
SERVER = "ghcr.io/ggml-org/llama.cpp:server-cuda"


@pytest.fixture(autouse=True)
def still(desk: Desk) -> Iterator[None]:
    yield
    desk.lab.clear_faults()


def test_a_moved_tag_is_shown_and_rolled_out_when_it_is_asked_for(desk: Desk, hosts: dict[str, Host]) -> None:
    assert "nothing newer" in desk("update").err
    desk.lab.move_tag(SERVER, "server-b2")
    assert desk.plan() == []
    (row,) = desk("update", "--json").json
    assert row["model"] == "chat"
    assert "image server" in row["changed"][0]
    assert row["why_not"] == ""
    with Load(desk) as load:
        done = desk("update", "--apply", "--yes")
        whole, broken = load.end()
    assert broken == ""
    assert whole > 0
    assert "answered" in done.err
    assert "nothing newer" in desk("update").err
    assert desk.plan() == []
    newest = desk("releases", "--json").json[0]
    assert (newest["live"], newest["ended"], newest["why"]) == (True, "good", "update of chat")


def test_another_revision_of_the_weights(desk: Desk) -> None:
    desk.lab.hub_main(2)
    (row,) = desk("update", "chat", "--json").json
    assert row["changed"][0].startswith("weights")
    desk("update", "chat", "--apply", "--yes")
    assert "nothing newer" in desk("update").err
    assert "Paris" in desk.ask()
    desk("rollback", "--yes")
    assert desk.plan() == []
    assert len(desk("update", "--json").json) == 1


def test_an_unknown_model(desk: Desk) -> None:
    assert "one of chat" in desk("update", "nothing", code=2).err


def test_a_newer_haproxy_of_gateway_and_edges(desk: Desk) -> None:
    """The doors change their image, and no connection is refused or cut."""
    assert "nothing newer" in desk("update", "gateway").err
    desk.lab.move_tag("registry-1.docker.io/library/haproxy:3.4", "3.4.9")
    (row,) = desk("update", "--json").json
    assert (row["model"], row["why_not"]) == ("gateway", "")
    assert desk.plan() == []
    with Load(desk) as load:
        done = desk("update", "gateway", "--apply", "--yes")
        whole, broken = load.end()
    assert broken == ""
    assert whole > 0
    assert "answered" in done.err
    newest = desk("releases", "--json").json[0]
    assert (newest["live"], newest["ended"], newest["why"]) == (True, "good", "update of gateway")
    assert desk.plan() == []
    assert "nothing newer" in desk("update").err
