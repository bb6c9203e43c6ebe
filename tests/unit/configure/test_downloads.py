"""Mirrors and a limit: where hosts are sent, what the plan says of it, and what it leaves as it is."""

from __future__ import annotations

from dataclasses import replace

from hostler.configure import difference, nvidia, repositories, systems, toolkit, variables
from hostler.configure.types import Change
from hostler.hosts.types import Driver
from hostler.manifest.contents import FetchedKey
from hostler.manifest.items import File, Manifest
from worlds import configure_world as world

IMAGES = "mirror: {images: 'https://harbor.example/{registry}', hub: 'https://hub.example'}\n"
LIMIT = "downloads: 40 MB/s\n"
APT = "mirror: {apt: 'https://apt.example'}\n"


def manifest(more: str = "") -> Manifest:
    return world.manifests(file=world.stack(world.STACK + more))["gpu-1"]


def bare_plan(more: str) -> list[Change]:
    return list(difference.difference(manifest(more), world.bare(1)))


def test_hosts_are_sent_to_the_mirrors_and_releases_name_none() -> None:
    made = manifest(IMAGES + LIMIT)
    found = variables.host_variables(made)
    assert {
        ref.partition("@")[0]: place.partition("@")[0] for ref, place in found["engine_mirrored"].items()
    } == {
        "ghcr.io/ggml-org/llama.cpp": "harbor.example/ghcr.io/ggml-org/llama.cpp",
        "docker.io/library/haproxy": "harbor.example/docker.io/library/haproxy",
    }
    assert set(found["engine_mirrored"]) == set(found["engine_images"])
    (weights,) = found["engine_models"]
    assert (weights["url"], weights["limit"]) == (
        "https://hub.example/acme/tiny/resolve/0f/tiny.gguf",
        40_000_000,
    )
    assert made.images == manifest().images
    assert [file.url for file in made.models] == [file.url for file in manifest().models]


def test_without_mirrors_everything_comes_from_where_it_is() -> None:
    found = variables.host_variables(manifest())
    assert found["engine_mirrored"] == {}
    assert found["engine_models"][0]["url"].startswith("https://huggingface.co/")
    assert found["engine_models"][0]["limit"] == 0


def test_a_mirror_or_a_limit_that_comes_or_goes_changes_no_host() -> None:
    asked = world.as_wanted(manifest())
    assert list(difference.difference(manifest(IMAGES + LIMIT), asked)) == []
    assert replace(manifest(IMAGES + LIMIT), downloads=manifest().downloads) == manifest()


def test_the_plan_says_where_from_and_how_fast() -> None:
    then = {change.item: change.then for change in bare_plan(IMAGES + LIMIT)}
    images = [words for item, words in then.items() if item.startswith("image:")]
    assert images
    assert all(words.endswith(" from harbor.example") for words in images)
    (weights,) = (words for item, words in then.items() if item.startswith("model:"))
    assert weights.endswith(" from hub.example, at most 40 MB/s")
    plain = [change.then for change in bare_plan("") if change.item.startswith(("image:", "model:"))]
    assert not [words for words in plain if "hub.example" in words or "harbor" in words or "at most" in words]


def test_our_own_sources_of_packages_are_at_the_mirror() -> None:
    """With its own key, or NVIDIA's, by the same fingerprint."""
    file = world.stack(world.STACK + APT)
    own = repositories.source_text(file, systems.APT, toolkit.repository(systems.APT))
    assert " https://apt.example/libnvidia-container/stable/deb/$(ARCH) /\n" in own
    seen = world.facts(1, driver=Driver(state="missing"), cards=())
    found = {item.path: item for item in nvidia.items(file, seen) if isinstance(item, File)}
    source, key = (
        found[path(systems.APT, nvidia.NAME)].content
        for path in (repositories.source_path, repositories.key_path)
    )
    base = "https://apt.example/compute/cuda/repos/debian12/x86_64"
    assert f" {base} /\n" in getattr(source, "text", "")
    assert isinstance(key, FetchedKey)
    assert (key.url, key.fingerprints) == (f"{base}/3bf863cc.pub", (nvidia.OLDER[1],))
