"""Who gives files of weights to whom: one from outside, the others from the host before them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from hostler.configure import compare_runs, difference, sharing, variables
from hostler.hosts.types import Seen, Value
from hostler.manifest.contents import MadeOnHost, Text
from hostler.manifest.items import File, Manifest, ModelFile, Peer
from worlds import configure_world as world

ABCD = ("a", "b", "c", "d")
NOBODY: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("name", "givers", "away", "asked"),
    [
        ("a", "a", "", ""),  # it fetches from outside, or has it
        ("b", "a", "", "a"),
        ("c", "a", "", "ba"),
        ("d", "a", "", "cba"[:2] + "a"),  # the giver is right after it, too
        ("c", "a", "b", "a"),
        ("d", "a", "bc", "a"),
        ("b", "d", "", "ad"),  # it goes round: a follows d
        ("a", "d", "", "d"),
        ("c", "bd", "", "bd"),
        ("b", "ad", "a", "d"),  # not past a giver that does not answer, but what is next to it
        ("b", "", "acd", ""),
    ],
)
def test_who_is_asked(name: str, givers: str, away: str, asked: str) -> None:
    assert sharing.sources(ABCD, name, givers, set(away)) == tuple(asked)


def test_two() -> None:
    assert sharing.sources(("a", "b"), "b", ("a",), NOBODY) == ("a",)
    assert sharing.sources(("a", "b"), "a", ("b",), NOBODY) == ("b",)


@pytest.mark.parametrize("seed", range(200))
def test_nobody_waits_in_a_circle_and_only_neighbours_are_asked(seed: int) -> None:
    rng = random.Random(seed)
    ring = tuple(f"host-{n:02}" for n in range(rng.randint(2, 12)))
    givers = set(rng.sample(ring, rng.randint(1, len(ring))))
    away = {name for name in ring if name not in givers and rng.random() < 0.2}
    asked = {name: sharing.sources(ring, name, givers, away) for name in ring}
    reached = {
        name for name in ring if not asked[name]
    }  # givers, and who has two before it away: from outside
    assert givers <= reached
    while more := {name for name, peers in asked.items() if name not in reached and set(peers) & reached}:
        reached |= more
    assert set(ring) == reached, "the others ask only each other"
    for name, peers in asked.items():
        assert set(peers) <= set(sharing._near(ring, name)) - away
    assert away or {name for name in ring if not asked[name]} == givers


def test_one_chain_from_one_giver() -> None:
    """No host is the first choice of two: no line carries the file twice."""
    ring = tuple(f"host-{n:02}" for n in range(20))
    first = [sharing.sources(ring, name, ("host-07",), NOBODY)[0] for name in ring if name != "host-07"]
    assert len(set(first)) == len(first)


def files(seen: Mapping[str, Seen], **runs: Any) -> dict[str, ModelFile]:
    return {name: made.models[0] for name, made in world.manifests(seen, **runs).items()}


def with_file(seen: Seen, path: str, **found: object) -> Seen:
    return replace(seen, observed={**seen.observed, f"model:{path}": Value(found, world.AT)})


def test_the_first_by_name_fetches_it_and_the_other_asks_it() -> None:
    found = files(world.seen_hosts())
    assert found["gpu-1"].peers == ()
    assert found["gpu-2"].peers == (Peer(host="gpu-1", address="10.0.0.1", port=8443),)


def test_who_has_it_gives_it() -> None:
    seen = world.seen_hosts()
    path = files(seen)["gpu-1"].path
    seen["gpu-2"] = with_file(seen["gpu-2"], path, size=1000, sha256=world.digest("weights"))
    found = files(seen)
    assert found["gpu-2"].peers == ()
    assert [peer.host for peer in found["gpu-1"].peers] == ["gpu-2"]


@pytest.mark.parametrize("sha256", ["", world.digest("another")])
def test_who_has_something_else_does_not(sha256: str) -> None:
    seen = world.seen_hosts()
    path = files(seen)["gpu-1"].path
    seen["gpu-2"] = with_file(seen["gpu-2"], path, size=1000, sha256=sha256)
    assert files(seen)["gpu-1"].peers == ()


def test_who_has_begun_goes_on() -> None:
    seen = world.seen_hosts()
    path = files(seen)["gpu-1"].path
    seen["gpu-2"] = replace(seen["gpu-2"], ours={"models": (f"{path}.part",)})
    assert [peer.host for peer in files(seen)["gpu-1"].peers] == ["gpu-2"]


def test_who_is_off_is_not_asked() -> None:
    seen = {**world.seen_hosts(), "gpu-1": world.dead(1)}
    assert files(seen)["gpu-2"].peers == ()


def test_what_lies_on_a_host_already_is_not_shared() -> None:
    local = replace(world.runs().weights, url="file:/srv/tiny.gguf", local=True)
    made = world.manifests(weights=local)
    assert [c.id for c in made["gpu-1"].containers] == ["chat-0", "gateway"]
    assert made["gpu-2"].models[0].peers == ()


def test_hosts_of_another_pool_are_not_asked() -> None:
    """They may be at the other end of the world."""
    text = world.STACK.replace("rack:", "here:").replace(
        ", {address: 10.0.0.2, name: gpu-2, user: ops}]}",
        "]}\n  there: {hosts: [{address: 10.0.0.2, name: gpu-2, user: ops}]}",
    )
    text = text.replace("replicas: 2", "replicas: 2, pool: [here, there]")
    from hostler.configure import build
    from hostler.stackfile.hosts import hosts_of

    file = world.stack(text)
    made = build.manifests(
        file, hosts_of(file), world.seen_hosts(), world.release(), world.placement(), world.record()
    )
    assert [made[name].models[0].peers for name in made] == [(), ()]
    assert [c.id for c in made["gpu-1"].containers] == ["chat-0", "gateway"]


def pins(manifest: Manifest) -> dict[str, tuple[str, str]]:
    """Who may come in: file -> host, certificate."""
    return {
        file.path.rpartition("/")[2]: (file.content.host, file.content.made)
        for file in manifest.files
        if isinstance(file.content, MadeOnHost) and "/sharing/" in file.path
    }


def text_of(manifest: Manifest, path: str) -> str:
    (found,) = [f.content for f in manifest.files if f.path == path]
    assert isinstance(found, Text)
    return found.text


def test_each_knows_the_other_by_its_edge() -> None:
    made = world.manifests()
    assert pins(made["gpu-1"]) == {"gpu-2.crt": ("gpu-2", "edge")}
    assert pins(made["gpu-2"]) == {"gpu-1.crt": ("gpu-1", "edge"), "_gateway.crt": ("gpu-1", "gateway")}
    edge = text_of(made["gpu-1"], "/etc/hostler/edge/haproxy.cfg")
    assert "ssl_fc_sni -m str files.gpu-1 }" in edge
    assert "chat-0" not in edge, "its own replicas are asked directly"
    units = [unit.name for unit in made["gpu-1"].units]
    assert "hostler-files.socket" in units


def test_who_knows_whom_does_not_change_with_who_has_what() -> None:
    """Else the second `up` would change what the first one made."""
    seen = world.seen_hosts()
    path = files(seen)["gpu-1"].path
    later = {name: with_file(s, path, size=1000, sha256=world.digest("weights")) for name, s in seen.items()}

    def kept(made: Mapping[str, Manifest]) -> list[tuple[File, ...]]:
        return [manifest.files for manifest in made.values()]

    assert kept(world.manifests(seen)) == kept(world.manifests(later))


def test_who_gets_no_files_any_more_is_let_go_before_the_edge_loads() -> None:
    made = world.manifests()["gpu-2"]
    seen = world.as_wanted(made, 2)
    old = f"{sharing.CERTIFICATES}/gpu-9.crt"
    seen = replace(seen, ours={**seen.ours, "files": (*seen.ours["files"], old)})
    changes = difference.difference(made, seen)
    values = variables.host_variables(made, changes)
    assert values["edge_remove"] == [{"path": old, "state": "absent"}]
    assert values["edge_files"]


def test_the_plan_says_from_where() -> None:
    made = world.manifests()
    bare = {name: replace(seen, ours={"files": ()}) for name, seen in world.seen_hosts().items()}
    said = [next(compare_runs.model(made[n], bare[n], made[n].models[0])).then for n in made]
    assert [text.partition(" from ")[2] for text in said] == ["huggingface.co", "gpu-1"]


@pytest.mark.parametrize(
    ("count", "words"),
    [(5 * 2**30, "5.0 GiB"), (2**27, "0.1 GiB"), (9 * 2**20, "9.0 MiB"), (700, "1 KiB"), (0, "0 KiB")],
)
def test_sizes_for_people(count: int, words: str) -> None:
    assert compare_runs._size(count) == words
