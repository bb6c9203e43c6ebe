"""Weights of the machine that runs Hostler: who gets them from there, and what stops a plan."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from hashlib import sha256
from io import StringIO
from pathlib import Path

import pytest

from hostler.configure import build, compare_runs, difference, variables
from hostler.configure.types import Change, Notice, Plan
from hostler.console.out import Out
from hostler.errors import Problem, RefusedError, StackFileError
from hostler.hosts import forward
from hostler.hosts.types import Host, Seen, Ssh, Value
from hostler.manifest.items import Manifest
from hostler.models import lying, operator_files
from hostler.models.operator_files import OperatorFiles
from hostler.models.resolve import Weights
from hostler.models.source import parse
from hostler.models.types import ModelSource, Release
from hostler.rollout import carrying, gates, recorded
from hostler.stackfile.sections import StackFile
from worlds import configure_world as world

TEXT = world.STACK.replace('"hf:acme/tiny:Q4_1"', "./m.gguf")
OFFLINE = world.STACK.replace("rack: {hosts", "rack: {downloads: operator, hosts")
CONTENT = b"weights"
SHA = sha256(CONTENT).hexdigest()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(operator_files, "operator", Home(tmp_path))
    (tmp_path / "m.gguf").write_bytes(CONTENT)
    return tmp_path


class Home:
    """This machine's own folders, for a test."""

    def __init__(self, folder: Path) -> None:
        from hostler import operator

        self.read_json, self.write_json, self._folder = operator.read_json, operator.write_json, folder

    def cache_home(self) -> Path:
        return self._folder


def stack(desk: Path, text: str = TEXT) -> StackFile:
    return replace(world.stack(text), path=str(desk / "office.yaml"))


def weights(desk: Path) -> ModelSource:
    files = OperatorFiles(str(desk))
    return Weights(files=files).resolve(parse("./m.gguf", folder=str(desk)))


def manifests(desk: Path, seen: Mapping[str, Seen] | None = None, text: str = TEXT) -> dict[str, Manifest]:
    found = weights(desk) if text == TEXT else world.runs().weights
    return world.manifests(file=stack(desk, text), weights=found, seen=seen)


def changes(made: Mapping[str, Manifest], *hosts: str) -> tuple[Change, ...]:
    """As on hosts that have nothing yet."""
    return tuple(
        change for host in hosts for change in difference.difference(made[host], world.bare(int(host[-1])))
    )


def problems(desk: Path, found: ModelSource, *lacking: str) -> tuple[Problem, ...]:
    release = world.release(weights=found)
    made = world.manifests(file=stack(desk), weights=found)
    notices = tuple(carrying.notices(stack(desk), release, made, changes(made, *lacking)))
    try:
        gates.refuse(plan(release, notices), allow_downtime=True)
    except gates.PlanRefused as error:
        return error.problems
    return ()


def plan(release: Release, notices: tuple[Notice, ...]) -> Plan:
    return Plan(
        stack="office",
        file="",
        observed="",
        release=release,
        placement=world.placement(),
        changes=(),
        notices=notices,
    )


def test_one_host_gets_it_from_here_and_the_others_from_that_one(desk: Path) -> None:
    made = manifests(desk)
    given = carrying.fetched(made, changes(made, "gpu-1", "gpu-2"))
    assert {host: [item.sha256 for item in items] for host, items in given.items()} == {"gpu-1": [SHA]}
    then = {c.host: c.then for c in changes(made, "gpu-1", "gpu-2") if c.item.startswith("model:")}
    assert then["gpu-1"].endswith(" from this machine")
    assert then["gpu-2"].endswith(" from gpu-1")


def test_nobody_lacks_it_and_nothing_is_given(desk: Path) -> None:
    made = manifests(desk)
    assert carrying.fetched(made, ()) == {}
    assert problems(desk, weights(desk)) == ()


def test_only_who_fetches_knows_the_door(desk: Path) -> None:
    made = manifests(desk)
    (file,) = made["gpu-1"].models
    place = file.path.removeprefix("/var/lib/hostler/models")
    open_ = {name: replace(one, downloads=replace(one.downloads, door=4711)) for name, one in made.items()}
    rows = {name: variables.host_variables(one)["engine_models"][0] for name, one in open_.items()}
    assert (rows["gpu-1"]["url"], rows["gpu-1"]["secret"]) == (f"operator:4711{place}", variables.GIVER)
    assert (rows["gpu-2"]["url"], rows["gpu-2"]["secret"]) == (f"operator:{place}", "")
    assert variables.secrets_named(open_) == (variables.GIVER,)
    assert variables.secrets_named(made) == ()


def test_playbooks_by_hand_say_that_nobody_gives_it(desk: Path) -> None:
    made = manifests(desk)
    row = variables.host_variables(made["gpu-1"])["engine_models"][0]
    assert row["url"].startswith("operator:/")
    (line,) = carrying.by_hand(made, changes(made, "gpu-1", "gpu-2"))
    assert line.startswith(f"note: gpu-1: {row['path']} comes from this machine")


def test_a_pool_without_internet_gets_the_hubs_through_here(desk: Path) -> None:
    """The release does not know, so that nothing changes on a host when the word does; the hub's token goes nowhere."""
    made, before = manifests(desk, text=OFFLINE), world.manifests()
    assert [m.url for m in made["gpu-1"].models] == [m.url for m in before["gpu-1"].models]
    assert replace(made["gpu-1"], downloads=before["gpu-1"].downloads) == before["gpu-1"]
    gated = {
        name: replace(one, models=tuple(replace(m, secret="HF_TOKEN") for m in one.models))
        for name, one in made.items()
    }
    assert variables.secrets_named(gated) == ()
    assert variables.host_variables(gated["gpu-1"])["engine_models"][0]["secret"] == ""
    (item,) = made["gpu-1"].models
    assert compare_runs.whence(made["gpu-1"], item) == " from huggingface.co through this machine"
    assert list(carrying.fetched(made, changes(made, "gpu-1", "gpu-2"))) == ["gpu-1"]


def test_the_operators_own_machine_reads_it_where_it_is(desk: Path) -> None:
    here = Host(name="local", pool="rack", ssh=Ssh(address="local"))
    text = "stack: office\npools: {rack: {hosts: [local], downloads: operator}}\nmodels: {chat: ./m.gguf}\n"
    made = build.manifests(
        stack(desk, text),
        (here,),
        {"local": replace(world.bare(1), host="local")},
        world.release(weights=weights(desk)),
        world.placement("local"),
        world.record(gateway_host="local"),
    )["local"]
    (item,) = made.models
    assert (item.path, item.url, item.sha256) == (f"{desk}/m.gguf", f"file:{desk}/m.gguf", SHA)
    (chat,) = (one for one in made.containers if one.model)
    assert str(desk / "m.gguf") in chat.argv
    assert str(desk) in {mount.source for mount in chat.mounts}
    assert not made.downloads.operator


def test_it_is_not_here_and_a_host_lacks_it(desk: Path) -> None:
    """One that has it needs nobody: a second operator goes on without."""
    found = weights(desk)
    (desk / "m.gguf").unlink()
    (problem,) = problems(desk, found, "gpu-1", "gpu-2")
    assert problem.where.endswith("models.chat.source")
    assert (
        problem.expected
        == f"m.gguf with SHA-256 {SHA} on this machine, since gpu-1 lacks it, as in release 1"
    )
    assert problem.got == f"nothing at {desk}/m.gguf"
    assert problems(desk, found) == ()


@pytest.mark.parametrize("other", [b"another", b"changed"], ids=["size", "content"])
@pytest.mark.parametrize("lacking", [(), ("gpu-1",)])
def test_a_file_that_changed_since_is_refused(lacking: tuple[str, ...], other: bytes, desk: Path) -> None:
    found = weights(desk)
    (desk / "m.gguf").write_bytes(other)
    (problem,) = problems(desk, found, *lacking)
    got = sha256(other).hexdigest()
    assert problem.expected == f"m.gguf with SHA-256 {SHA}, as in release 1"
    assert problem.got == f"another file at {desk}/m.gguf, with SHA-256 {got}"
    assert f"write `sha256: {got}` beside its source" in problem.next_step


def test_a_copy_that_was_never_read_is_read_only_for_a_host(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second operator's own copy: 40 GB are not read for nothing."""
    found = weights(desk)
    (desk / operator_files.MEMORY).unlink()
    reads: list[Path] = []
    real = OperatorFiles._read

    def counted(self: OperatorFiles, path: Path) -> str:
        reads.append(path)
        return real(self, path)

    monkeypatch.setattr(OperatorFiles, "_read", counted)
    assert problems(desk, found) == ()
    assert reads == []
    assert problems(desk, found, "gpu-1") == ()
    assert len(reads) == 1


def test_a_host_that_has_it_gives_it_to_the_others(desk: Path) -> None:
    path = lying.on_host(weights(desk))
    seen = world.seen_hosts()
    seen["gpu-2"] = replace(
        seen["gpu-2"],
        observed={
            **seen["gpu-2"].observed,
            f"model:{path}": Value({"size": len(CONTENT), "sha256": SHA}, world.AT),
        },
    )
    made = manifests(desk, seen=seen)
    assert carrying.fetched(made, changes(made, "gpu-1")) == {}
    assert [peer.host for peer in made["gpu-1"].models[0].peers] == ["gpu-2"]


def planted(desk: Path) -> ModelSource:
    """As a record might say: another file of this machine, whose size is known and whose content is not."""
    (desk / "id_ed25519").write_bytes(b"private")
    return replace(weights(desk), file="id_ed25519", folder=False, source="./id_ed25519")


def open_doors(file: StackFile, found: ModelSource) -> None:
    """As on a way back, where no notice stops a plan."""
    made = world.manifests(file=file, weights=found)
    lacking = changes(made, "gpu-1")
    whole = replace(plan(world.release(weights=found), ()), manifests=made)
    with carrying.giving(whole, file, world.hosts(), lacking, Out(stderr=StringIO())):
        pass


def test_another_content_than_the_releases_is_never_given(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "forwarded", lambda *_: nullcontext(4711))
    open_doors(stack(desk), weights(desk))
    with pytest.raises(RefusedError, match="id_ed25519"):
        open_doors(stack(desk), planted(desk))


def test_a_file_that_only_the_record_names_is_not_read(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "forwarded", lambda *_: nullcontext(4711))
    before = recorded.trusted(stack(desk), stack(desk, world.STACK))
    found = weights(desk)

    def read(self: OperatorFiles, path: Path) -> str:
        raise AssertionError(path)

    monkeypatch.setattr(OperatorFiles, "digest", read)
    made = world.manifests(file=before, weights=found)
    lacking = changes(made, "gpu-1")
    assert list(carrying.notices(before, world.release(weights=found), made, lacking)) == []
    with pytest.raises(StackFileError, match=r"models\.chat\.source"):
        open_doors(before, found)


def test_a_release_names_no_secret_but_the_hubs() -> None:
    made = world.manifests(weights=replace(world.runs().weights, secret="STATE_PASSPHRASE"))
    assert variables.secrets_named(made) == ("HF_TOKEN",)
