"""Who is who: renamed machines, records of the past, and doors that close."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hostler.cloud import predicted
from hostler.configure import build
from hostler.errors import RefusedError
from hostler.hosts.types import Seen, Ssh
from hostler.manifest.items import ImagePin
from hostler.models.types import ModelSource, Placement, Release, ReleasedModel, Runs
from hostler.record import store
from hostler.record.types import Record
from hostler.resources import stacks
from hostler.rollout import observe
from hostler.rollout.observe import Observation
from hostler.stackfile.asked import asked_digests
from hostler.stackfile.hosts import hosts_of
from hostler.stackfile.load import load
from worlds import configure_world as world


def observation(*, record: Record | None = None, seen: dict[str, Seen] | None = None) -> Observation:
    file = world.stack()
    hosts = hosts_of(file)
    return Observation(
        file=file,
        hosts=hosts,
        gone=(),
        seen=seen or {"gpu-1": world.bare(1), "gpu-2": world.bare(2)},
        record=record,
        gateway=hosts[0],
    )


def test_a_renamed_machine_is_refused() -> None:
    """Under its old name it would be emptied, under its new one set up: the same machine."""
    seen = observation()
    old = replace(seen.hosts[1], name="old-name")
    renamed = replace(seen, gone=(old,), seen={**seen.seen, "old-name": seen.seen[seen.hosts[1].name]})
    with pytest.raises(RefusedError, match="old-name"):
        observe.refuse_renamed(renamed)


def test_another_machine_may_leave() -> None:
    seen = observation()
    facts = seen.seen["gpu-2"].facts
    assert facts
    other = replace(seen.seen["gpu-2"], facts=replace(facts, machine_id="another"))
    observe.refuse_renamed(
        replace(seen, gone=(replace(seen.hosts[1], name="old"),), seen={**seen.seen, "old": other})
    )


def test_an_older_record_at_a_former_home_is_not_believed() -> None:
    """The gateway had moved, and its new host is lost: the old home must not bring back revoked keys."""
    old = Record(uid="u", stack="office", epoch=1, number=9, gateway_host="gpu-1")
    new = replace(old, epoch=2, number=40, gateway_host="gone")
    seen = observation(record=old)
    copied = replace(seen.seen["gpu-2"], copy=store.dump(new))
    seen = replace(seen, seen={**seen.seen, "gpu-2": copied})
    assert observe.lost(seen) == "gpu-2"
    restored = observe.restore(seen).record
    assert restored
    assert (restored.epoch, restored.number) == (3, 41)


def test_the_lock_is_where_the_record_is() -> None:
    record = Record(uid="u", stack="office", gateway_host="gpu-2")
    assert observe.home_of(observation(record=record)).name == "gpu-2"
    assert observe.home_of(observation()).name == "gpu-1"


@pytest.mark.parametrize("path", sorted(stacks().glob("*.yaml")), ids=lambda p: p.name)
def test_every_example_becomes_manifests(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What `check` calls good can be built: ports, certificates, containers."""
    key = tmp_path / ".config" / "hostler" / "toolkit.asc"
    key.parent.mkdir(parents=True)
    key.write_text("key")
    monkeypatch.setenv("HOME", str(tmp_path))
    file = load(path)
    rented = [predicted.host(f"{name}-0", name, "") for name, pool in file.stack.pools.items() if pool.aws]
    hosts = (*hosts_of(file), *(replace(host, ssh=Ssh(address="203.0.113.7")) for host in rented))
    image = ImagePin(name="ghcr.io/x/y", tag="t", digest="sha256:" + "0" * 64)
    weights = ModelSource(source="s", url="https://x/y", file="y.gguf", size=1, sha256="0" * 64)
    runs = Runs(engine="llama.cpp", image=image, weights=weights, argv=(), context=1, slots=1, need_mib=1)
    asked = asked_digests(file.stack)
    release = Release(
        number=1,
        models={name: ReleasedModel(asked=asked[name], runs=runs) for name in file.stack.models},
        parts={"gateway": image, "edge": image},
    )
    record = Record(uid="u", stack=file.stack.stack, gateway_host=file.stack.gateway.host or hosts[0].name)
    made = build.manifests(file, hosts, {}, release, Placement(replicas=()), record)
    assert set(made) == {host.name for host in hosts}
