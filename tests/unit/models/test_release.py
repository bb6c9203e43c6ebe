from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from hostler.codec import decode, encode
from hostler.errors import HostlerError, StackFileError
from hostler.manifest.items import ImagePin, Part
from hostler.models.release import next_release, wanted_of
from hostler.models.rooms import CardRoom, Room
from hostler.models.types import ModelSource, Need, Release, ReleasedModel, Runs
from hostler.placement.place import place
from hostler.record.types import Record
from hostler.stackfile.sections import HostEntry, Model, Pool, Stack


def runs(name: str, commit: str = "c1") -> Runs:
    source = ModelSource(
        source=f"hf:o/{name}", url="https://h/x", file="x.gguf", size=1, sha256="0" * 64, revision=commit
    )
    image = ImagePin(name="ghcr.io/ggml-org/llama.cpp", tag="server", digest=f"sha256:{'1' * 64}")
    need = Need(divided_mib=5000, card_mib=600)
    return Runs(
        engine="llama.cpp",
        image=image,
        weights=source,
        argv=(),
        context=8192,
        slots=1,
        need_mib=5600,
        need=need,
    )


class Recorder:
    """Resolves to made-up values and remembers what it was asked."""

    def __init__(self, commit: str = "c1", fails: tuple[str, ...] = ()) -> None:
        self.commit, self.fails = commit, fails
        self.models: list[tuple[str, tuple[str, ...], bool]] = []
        self.images: list[tuple[str, Part]] = []
        self.lock = threading.Lock()

    def model(self, name: str, model: Model, pools: Any, live: Runs | None = None) -> Runs:  # noqa: ARG002
        with self.lock:
            self.models.append((name, tuple(pools), live is not None))
        if name in self.fails:
            raise StackFileError.of(f"models.{name}.source", expected="a repository", got="none")
        return runs(name, self.commit)

    def image(self, reference: str, part: Part = Part.ENGINE) -> ImagePin:
        with self.lock:
            self.images.append((reference, part))
        return ImagePin(name="docker.io/library/haproxy", tag="3.4", digest=f"sha256:{'2' * 64}", part=part)


def stack(*names: str, **models: Model) -> Stack:
    pool = Pool(hosts=(HostEntry(address="a"),))
    return Stack(
        stack="s",
        pools={"home": pool, "rack": pool},
        models={**{n: Model(source=f"hf:o/{n}") for n in names}, **models},
    )


def record(*releases: Release, live: int | None = None) -> Record:
    return Record(
        uid="u", stack="s", release=releases[-1].number if live is None else live, releases=releases
    )


def test_first_release_pins_everything() -> None:
    ask = Recorder()
    first = next_release(stack("b", "a"), None, {"a": "A", "b": "B"}, resolve=ask)
    assert (first.number, list(first.models), first.models["a"].asked) == (1, ["a", "b"], "A")
    assert {name: pin.part for name, pin in first.parts.items()} == {
        "gateway": Part.GATEWAY,
        "edge": Part.EDGE,
    }
    assert {reference for reference, _ in ask.images} == {"haproxy:3.4"}
    assert sorted(ask.models) == [("a", ("home", "rack"), False), ("b", ("home", "rack"), False)]


def test_nothing_changed_asks_nothing_and_is_the_live_one() -> None:
    first = next_release(stack("a"), None, {"a": "A"}, resolve=Recorder())
    ask = Recorder(commit="c2")
    assert next_release(stack("a"), record(first), {"a": "A"}, resolve=ask) is first
    assert (ask.models, ask.images) == ([], [])


def test_only_what_was_asked_anew_is_resolved() -> None:
    first = next_release(stack("a", "b"), None, {"a": "A", "b": "B"}, resolve=Recorder())
    ask = Recorder(commit="c2")
    second = next_release(stack("a", "b"), record(first), {"a": "A2", "b": "B"}, resolve=ask)
    assert (second.number, ask.models, ask.images) == (2, [("a", ("home", "rack"), True)], [])
    assert (second.models["a"].runs.weights.revision, second.models["b"]) == ("c2", first.models["b"])
    assert second.parts == first.parts


def test_a_model_that_left_the_file_leaves_the_release() -> None:
    first = next_release(stack("a", "b"), None, {"a": "A", "b": "B"}, resolve=Recorder())
    second = next_release(stack("a"), record(first), {"a": "A"}, resolve=Recorder())
    assert (second.number, list(second.models)) == (2, ["a"])


def test_a_rollback_is_not_undone() -> None:
    """The old `runs` under the current `asked`: nothing differs, so it stays."""
    first = next_release(stack("a"), None, {"a": "A"}, resolve=Recorder())
    second = next_release(stack("a"), record(first), {"a": "A2"}, resolve=Recorder(commit="c2"))
    back = replace(first, number=3, models={"a": ReleasedModel(asked="A2", runs=first.models["a"].runs)})
    assert (
        next_release(stack("a"), record(first, second, back), {"a": "A2"}, resolve=Recorder(commit="c3"))
        is back
    )


def test_numbers_go_on_after_a_failed_release() -> None:
    first = next_release(stack("a"), None, {"a": "A"}, resolve=Recorder())
    failed = replace(first, number=2, ended="failed: it did not answer")
    assert (
        next_release(stack("a"), record(first, failed, live=1), {"a": "A3"}, resolve=Recorder()).number == 3
    )


def test_all_problems_at_once() -> None:
    with pytest.raises(StackFileError) as error:
        next_release(
            stack("a", "b", "c"), None, {"a": "A", "b": "B", "c": "C"}, resolve=Recorder(fails=("a", "c"))
        )
    assert [problem.where for problem in error.value.problems] == ["models.a.source", "models.c.source"]


def test_a_bug_stays_a_bug() -> None:
    class Broken(Recorder):
        def image(self, reference: str, part: Part = Part.ENGINE) -> ImagePin:  # noqa: ARG002
            raise KeyError(reference)

    with pytest.raises(KeyError):
        next_release(stack("a"), None, {"a": "A"}, resolve=Broken(fails=("a",)))


def test_what_placement_is_asked_for() -> None:
    wish = stack(chat=Model(source="hf:o/chat", pool=("rack",), replicas=2, cards=1))
    release = next_release(wish, None, {"chat": "A"}, resolve=Recorder())
    (wanted,) = wanted_of(wish, release)
    assert (wanted.pool, wanted.replicas, wanted.cards, wanted.need.total(1)) == (("rack",), 2, 1, 5600)
    card = CardRoom(uuid="GPU-1", index=0, name="A10G", memory_mib=22600, free_mib=22600)
    assert len(place([wanted], [Room(host="a", pool="rack", cards=(card,))]).replicas) == 2


def test_the_record_keeps_all_of_it() -> None:
    release = next_release(stack("a"), None, {"a": "A"}, resolve=Recorder())
    assert decode(Release, encode(release)) == release
    without = encode(release)
    for name in ("need", "in_memory"):
        del without["models"]["a"]["runs"][name]
    old = decode(Release, without)
    assert wanted_of(stack("a"), old)[0].need.total(1) == 5600
    assert issubclass(StackFileError, HostlerError)
