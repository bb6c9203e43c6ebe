"""What a manifest says, from the wish."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256

import pytest

from hostler.configure import ask, base, docker, doors, driver, engine, systems, toolkit
from hostler.hosts.types import Card, Driver, Host, Ssh, Value
from hostler.manifest.contents import MadeOnHost, Text
from hostler.manifest.items import MergedJson, Package, Part
from hostler.models import lying
from hostler.models.types import ModelSource
from worlds import configure_world as world

APART = """
stack: office
pools:
  rack: {hosts: [{address: 10.0.0.1, name: gpu-1, user: root}, {address: 10.0.0.2, name: gpu-2, user: ops}]}
models:
  chat: {source: "hf:acme/tiny:Q4_1"}
"""


def test_a_replica_is_a_complete_specification() -> None:
    chat = world.manifests()["gpu-1"].containers[0]
    weights = "/var/lib/hostler/models/"
    assert chat.argv[:2] == ("-m", next(m.path for m in world.manifests()["gpu-1"].models))
    assert chat.argv[2:6] == ("--host", "127.0.0.1", "--port", "18080")
    assert (chat.cards, chat.context, chat.port, chat.user) == (("GPU-1",), 8192, 18080, "hostler")
    assert chat.mounts[0].source.startswith(weights)
    assert chat.mounts[0].read_only


def test_what_the_agent_reads_names_its_own_digest() -> None:
    chat = world.manifests()["gpu-1"].containers[0]
    assert json.loads(engine.wanted_text(chat))["spec"] == chat.digest


def test_another_question_is_no_other_container() -> None:
    text = world.STACK.replace("replicas: 2", 'replicas: 2, drain: 1m, smoke: {prompt: "Well?"}')
    one, other = world.manifests(), world.manifests(file=world.stack(text))
    assert one["gpu-1"].containers[0].digest == other["gpu-1"].containers[0].digest
    assert one["gpu-1"].files != other["gpu-1"].files


def test_files_of_one_name_never_meet() -> None:
    one = ModelSource(source="", url="https://a/x.gguf", file="x.gguf", size=1, sha256="")
    assert lying.on_host(one) != lying.on_host(replace(one, url="https://b/x.gguf"))


def test_a_file_on_the_host_stays_where_it_is() -> None:
    local = ModelSource(
        source="/srv/x.gguf", url="file:/srv/x.gguf", file="x.gguf", size=1, sha256="", local=True
    )
    assert lying.on_host(local) == "/srv/x.gguf"


def test_the_gateways_host_has_an_edge_only_for_files() -> None:
    made = world.manifests()
    assert [c.id for c in made["gpu-1"].containers] == ["chat-0", "gateway", "edge"]
    assert [c.id for c in made["gpu-2"].containers] == ["chat-1", "edge"]
    assert (made["gpu-1"].made, made["gpu-2"].made) == (("edge", "gateway"), ("edge",))
    apart = world.manifests(file=world.stack(APART), placed=world.placement("gpu-2"))
    assert [c.id for c in apart["gpu-1"].containers] == ["gateway"]


def test_a_stack_on_one_host_has_no_certificates() -> None:
    made = world.manifests(placed=world.placement("gpu-1"))
    assert made["gpu-1"].made == ()
    assert Part.EDGE not in {c.part for c in made["gpu-2"].containers}


def test_pinned_copies_carry_the_certificate_that_was_seen() -> None:
    pins = {f.path: f.content for f in world.manifests()["gpu-1"].files if isinstance(f.content, MadeOnHost)}
    pin = pins["/etc/hostler/tls/peers/gpu-2.crt"]
    assert (pin.host, pin.made, pin.pem) == ("gpu-2", "edge", world.PEM["edge"])
    assert pins == {"/etc/hostler/tls/peers/gpu-2.crt": pin, "/etc/hostler/tls/sharing/gpu-2.crt": pin}
    unmade = [f.content for f in world.manifests(world.seen_hosts(made=False))["gpu-1"].files]
    assert [c.sha256 for c in unmade if isinstance(c, MadeOnHost)] == [None, None]


def test_each_path_stands_once_with_parents_first() -> None:
    paths = [d.path for d in world.manifests()["gpu-1"].directories]
    assert paths == sorted(set(paths))


@pytest.mark.parametrize("state", ["none", "working"])
def test_the_toolkit_comes_with_cards_only(state: str) -> None:
    facts = world.facts(1, cards=(), driver=Driver(state=state)) if state == "none" else world.facts(1)  # type: ignore[arg-type]
    found = toolkit.items(world.stack(), world.bare(1, facts=facts))
    names = {item.name for item in found if isinstance(item, Package)}
    assert names == (set() if state == "none" else {"nvidia-container-toolkit"})


def test_a_toolkit_that_was_there_before_keeps_its_own_source() -> None:
    there = Value({"version": "1", "hold": False, "state": "installed"}, world.AT)
    first = world.bare(1, observed={"package:nvidia-container-toolkit": there})
    assert [i.part for i in toolkit.items(world.stack(), first)] == [Part.TOOLKIT]
    ours = replace(first, baseline={"packages": ["python3"]})
    assert len(toolkit.items(world.stack(), ours)) == 3


def test_nvidias_key_is_the_pinned_one() -> None:
    """Checked against the fingerprint that NVIDIA publishes, over the key's own packet."""
    import base64

    lines = toolkit.repository(systems.APT).text.split("-----")[2].split()
    packet = base64.b64decode("".join(line for line in lines if not line.startswith("=")))
    length = int.from_bytes(packet[1:3])
    body = packet[3 : 3 + length]
    import hashlib

    fingerprint = hashlib.sha1(b"\x99" + length.to_bytes(2) + body, usedforsecurity=False).hexdigest()
    assert fingerprint.upper() == toolkit.FINGERPRINT


def test_the_agent_in_the_manifest_is_what_is_installed() -> None:
    packed = next(f.content for f in world.manifests()["gpu-1"].files if f.path == base.NODE)
    assert sha256(base.packed("hostler-node")).hexdigest() == packed.sha256  # type: ignore[union-attr]


@pytest.mark.parametrize("there", [True, False])
def test_needrestart_leaves_our_units_alone_where_it_is(there: bool) -> None:
    """It restarts units whose libraries are new after an update, which would end their containers."""
    folder = {f"path:{base.NEEDRESTART}": Value({"type": "dir"}, world.AT)} if there else {}
    first = world.bare(1)
    seen = {"gpu-1": replace(first, observed={**first.observed, **folder}), "gpu-2": world.bare(2)}
    files = {f.path for f in world.manifests(seen)["gpu-1"].files}
    assert (base.SPARED in files) == there
    assert {f"path:{base.NEEDRESTART}", f"path:{base.SPARED}"} <= set(ask.generic())


def test_first_contact_asks_for_all_that_a_manifest_needs_of_others() -> None:
    manifest = world.manifests()["gpu-1"]
    asked = set(ask.generic())
    assert {"ours:*", "account:hostler"} <= asked
    mine = {f"path:{f.path}" for f in manifest.files if not f.path.startswith("/etc/hostler/")}
    assert {f"path:{d.path}" for d in manifest.directories} | mine <= asked
    assert {f"package:{p.name}" for p in manifest.packages} <= asked


def test_nothing_is_unasked_on_a_host_that_answered_all() -> None:
    manifest = world.manifests()["gpu-1"]
    seen = world.as_wanted(manifest)
    seen = replace(seen, observed={**seen.observed, "images:*": Value([], world.AT)})
    assert ask.unasked(manifest, seen) == ("package:docker-ce", "package:moby-engine", f"tag:{_tag('ghcr.io/ggml-org/llama.cpp:server-cuda')}",
                                           f"tag:{_tag('docker.io/library/haproxy:3.4')}")  # fmt: skip


def _tag(text: str) -> str:
    return text


@pytest.mark.parametrize("swarm", ["", "active", "locked", "stopped"])
def test_live_restore_is_nothing_for_a_swarm(swarm: str) -> None:
    """Docker does not start with both."""
    seen = world.bare(1, facts=world.facts(1, docker_swarm=swarm))
    assert ("live-restore" in docker.daemon(seen)) is not bool(swarm)
    assert "runtimes" in docker.daemon(seen)
    bare = world.bare(1, facts=world.facts(1, docker_swarm=swarm, cards=(), driver=Driver(state="none")))
    assert any(isinstance(item, MergedJson) for item in docker.items(world.stack(), bare)) is not bool(swarm)


def test_a_working_driver_is_fine() -> None:
    assert driver.refusals(world.bare(1)) == ()
    assert driver.refusals(world.bare(1, facts=world.facts(1, cards=(), driver=Driver(state="none")))) == ()


def test_cards_that_answer_are_not_needed_for_the_toolkit() -> None:
    card = Card(index=0, uuid="GPU-1", name="RTX 3090", memory_mib=24576)
    facts = world.facts(1, cards=(card,))
    assert any(
        isinstance(getattr(i, "content", None), Text)
        for i in toolkit.items(world.stack(), world.bare(1, facts=facts))
    )


@pytest.mark.parametrize(
    ("owned", "address", "found"),
    [
        (True, "10.0.0.2", "10.0.0.2"),
        (True, "203.0.113.7", "10.0.0.2"),  # people come by a router, the hosts by their own network
        (False, "203.0.113.7", "203.0.113.7"),  # what AWS translates is no address of the machine's own
    ],
)
def test_where_the_gateway_finds_a_host(owned: bool, address: str, found: str) -> None:
    host = Host(name="gpu-2", pool="rack", ssh=Ssh(address=address), owned=owned)
    assert doors.edge_address(host, world.bare(2)) == found
