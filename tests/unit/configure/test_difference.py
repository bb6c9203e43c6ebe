"""Each drift by hand is shown as exactly that, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hostler.configure import difference, variables
from hostler.hosts.types import Absent, Observed, Seen, Unknown, Value
from hostler.manifest.contents import SecretRef
from hostler.manifest.items import Effect, File, Part
from worlds import configure_world as world

Break = Callable[[Seen], Seen]
CHAT = "container:chat-0"
MODEL = "model:/var/lib/hostler/models/old/other.gguf"


def put(name: str, found: Observed) -> Break:
    return lambda seen: replace(seen, observed={**seen.observed, name: found})


def change(name: str, **values: Any) -> Break:
    def broken(seen: Seen) -> Seen:
        found = seen.observed[name]
        assert isinstance(found, Value)
        return put(name, Value({**found.value, **values}, world.AT))(seen)

    return broken


def gone(name: str) -> Break:
    return put(name, Absent(world.AT))


def in_swarm(seen: Seen) -> Seen:
    assert seen.facts
    return replace(seen, facts=replace(seen.facts, docker_swarm="active"))


def also(kind: str, name: str) -> Break:
    return lambda seen: replace(seen, ours={**seen.ours, kind: (*seen.ours.get(kind, ()), name)})


IMAGE = f"image:{world.runs().image.ref}"
TAG = f"tag:{world.runs().image.name}:{world.runs().image.tag}"
WEIGHTS = next(f"model:{m.path}" for m in world.manifests()["gpu-1"].models)
CONFIG = "path:/etc/hostler/gateway/haproxy.cfg"
PEER = "path:/etc/hostler/tls/peers/gpu-2.crt"
UNIT = "unit:hostler@chat-0.service"
TOOLKIT = "package:nvidia-container-toolkit"
SOURCE = "path:/etc/apt/sources.list.d/hostler-nvidia-container-toolkit.list"

# what was done by hand, what is shown: item, now, action, effect
CASES: dict[str, tuple[Break, str, str, str, Effect]] = {
    "a package was removed": (gone("package:openssl"), "package:openssl", "not installed", "add", Effect.NONE),
    "a package is half installed": (
        change("package:docker.io", state="half"), "package:docker.io", "half installed", "change", Effect.NONE,
    ),
    "the toolkit was removed under a running Docker": (
        gone("package:nvidia-container-toolkit"), "package:nvidia-container-toolkit", "not installed", "add", Effect.RELOAD,
    ),
    "the same in a swarm, which has no live-restore": (
        lambda seen: in_swarm(gone(TOOLKIT)(seen)), TOOLKIT, "not installed", "add", Effect.RESTART,
    ),
    "a directory's mode was changed": (
        change("path:/etc/hostler/tls", mode="0777"), "path:/etc/hostler/tls", "0777 root:hostler", "change", Effect.NONE,
    ),
    "a file's owner was changed": (change(CONFIG, owner="nobody"), CONFIG, "0644 nobody:root", "change", Effect.NONE),
    "a file was deleted": (gone(SOURCE), SOURCE, "not there", "add", Effect.NONE),
    "a file became a directory": (change(SOURCE, type="dir"), SOURCE, "a dir", "change", Effect.NONE),
    "the template unit was edited": (
        change("path:/etc/systemd/system/hostler@.service", sha256="0" * 64, text="[Unit]\n"),
        "path:/etc/systemd/system/hostler@.service", "another content (000000000000)", "change", Effect.NONE,
    ),
    "the gateway's configuration was edited": (
        change(CONFIG, sha256="f" * 64), CONFIG, "another content (ffffffffffff)", "change", Effect.RELOAD,
    ),
    "a peer's pinned certificate is another one": (
        change(PEER, sha256="a" * 64), PEER, "another content (aaaaaaaaaaaa)", "change", Effect.RELOAD,
    ),
    "a certificate was deleted": (gone("made:gateway"), "made:gateway", "not there", "add", Effect.RELOAD),
    "a key of daemon.json was edited": (
        change("json:/etc/docker/daemon.json", **{"live-restore": False}),
        "json:/etc/docker/daemon.json#live-restore", "false", "change", Effect.RELOAD,
    ),
    "daemon.json was deleted": (
        put("json:/etc/docker/daemon.json", Value({"live-restore": True}, world.AT)),
        "json:/etc/docker/daemon.json#runtimes", "not there", "add", Effect.RELOAD,
    ),
    "daemon.json is damaged": (
        put("json:/etc/docker/daemon.json", Unknown("not JSON", world.AT)),
        "json:/etc/docker/daemon.json", "unknown: not JSON", "change", Effect.NONE,
    ),
    "an image was removed": (gone(IMAGE), IMAGE, "not there", "add", Effect.NONE),
    "a tag was moved": (
        put(TAG, Value({"digest": "sha256:" + "b" * 64}, world.AT)), TAG, "sha256:bbbbbbbbbbbb", "change", Effect.NONE,
    ),
    "a file of weights was deleted": (gone(WEIGHTS), WEIGHTS, "not there", "add", Effect.NONE),
    "weights have another content": (
        change(WEIGHTS, sha256="c" * 64), WEIGHTS, "another content (cccccccccccc)", "change", Effect.NONE,
    ),
    "weights were never checked": (change(WEIGHTS, sha256=""), WEIGHTS, "never checked", "change", Effect.NONE),
    "a container was stopped": (
        change(CHAT, running=False, exit_code=137), CHAT, "stopped (exit code 137)", "change", Effect.NONE,
    ),
    "a container was removed": (gone(CHAT), CHAT, "removed", "change", Effect.NONE),
    "a container runs another specification": (
        change(CHAT, spec="d" * 64), CHAT, "another specification", "change", Effect.DRAIN,
    ),
    "an instance was disabled": (change(UNIT, enabled=False), UNIT, "disabled, active", "change", Effect.NONE),
    "an instance failed": (change(UNIT, active="failed"), UNIT, "enabled, failed", "change", Effect.NONE),
    "Docker was disabled": (
        change("unit:docker.service", enabled=False), "unit:docker.service", "disabled, active", "change", Effect.NONE,
    ),
    "what is applied is another specification": (
        change("applied:chat-0", spec="e" * 64), "applied:chat-0", "another specification", "change", Effect.NONE,
    ),
    "a removed model's container is left": (
        also("containers", "old-0"), "container:old-0", "running or stopped", "remove", Effect.DRAIN,
    ),
    "a removed model's instance is left": (
        also("units", "hostler@old-0.service"), "unit:hostler@old-0.service", "there", "remove", Effect.DRAIN,
    ),
    "a removed model's weights are left": (
        also("models", MODEL.removeprefix("model:")), MODEL, "there", "remove", Effect.NONE,
    ),
    "a file of ours that nothing needs": (
        also("files", "/etc/hostler/gateway/old.map"), "path:/etc/hostler/gateway/old.map", "there", "remove", Effect.NONE,
    ),
    "a change was written and never loaded": (
        also("files", "/etc/hostler/due/gateway"),
        "path:/etc/hostler/due/gateway", "a change that is not loaded yet", "remove", Effect.RELOAD,
    ),
    "a file could not be seen": (
        put(CONFIG, Unknown("Permission denied", world.AT)), CONFIG, "unknown: Permission denied", "change", Effect.NONE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_drift_is_shown_as_just_that(name: str) -> None:
    broken, item, now, action, effect = CASES[name]
    manifest = world.manifests()["gpu-1"]
    found = difference.difference(manifest, broken(world.as_wanted(manifest)))
    assert [(c.item, c.now[: len(now)], c.action, c.effect) for c in found] == [(item, now, action, effect)]


@pytest.mark.parametrize(("name", "number"), [("gpu-1", 1), ("gpu-2", 2)])
def test_what_is_as_it_should_be_is_not_mentioned(name: str, number: int) -> None:
    manifest = world.manifests()[name]
    assert difference.difference(manifest, world.as_wanted(manifest, number)) == ()


def test_a_host_that_was_not_reached_has_no_changes() -> None:
    seen = replace(world.as_wanted(world.manifests()["gpu-1"]), error="no route", error_kind="dead")
    assert difference.difference(world.manifests()["gpu-1"], seen) == ()


def test_a_new_replica_is_one_change_beside_its_image_and_weights() -> None:
    manifest = world.manifests()["gpu-1"]
    seen = world.as_wanted(manifest)
    for name in (CHAT, "applied:chat-0", UNIT, "path:/etc/hostler/wanted/chat-0.json"):
        seen = gone(name)(seen)
    assert [(c.item, c.action, c.replica) for c in difference.difference(manifest, seen)] == [
        (CHAT, "add", "chat-0")
    ]


def test_what_was_not_asked_is_never_silently_fine() -> None:
    manifest = world.manifests()["gpu-1"]
    seen = world.as_wanted(manifest)
    without = {n: v for n, v in seen.observed.items() if n != "package:openssl"}
    found = difference.difference(manifest, replace(seen, observed=without))
    assert [(c.item, c.now) for c in found] == [("package:openssl", "unknown: the host was not asked")]


def test_the_text_of_an_edited_file_is_shown_as_a_difference() -> None:
    manifest = world.manifests()["gpu-1"]
    broken = change(
        "path:/etc/tmpfiles.d/hostler.conf", sha256="0" * 64, text="d /run/hostler 0777 root root\n"
    )
    (found,) = difference.difference(manifest, broken(world.as_wanted(manifest)))
    assert "-d /run/hostler 0777 root root" in found.detail
    assert "+d /run/hostler 0755 root root" in found.detail


def test_a_changed_context_names_what_changed() -> None:
    before, after = world.manifests()["gpu-1"], world.manifests(context=4096)["gpu-1"]
    found = difference.difference(after, world.as_wanted(before))
    exchange = next(c for c in found if c.item == CHAT)
    assert (exchange.now, exchange.then, exchange.effect) == ("8192", "4096", Effect.DRAIN)
    assert "context" in exchange.why


def test_order_is_that_of_the_roles_and_removal_comes_last() -> None:
    manifest = world.manifests()["gpu-1"]
    seen = world.bare(1, observed=world.seen_hosts()["gpu-1"].observed)
    parts = [Part(c.part) for c in difference.difference(manifest, seen)]
    assert parts == sorted(parts, key=list(Part).index)


def test_alternatives_satisfy_a_package() -> None:
    manifest = world.manifests()["gpu-1"]
    seen = gone("package:docker.io")(world.as_wanted(manifest))
    other = put("package:docker-ce", Value({"version": "1", "hold": False, "state": "installed"}, world.AT))
    assert difference.difference(manifest, other(seen)) == ()


def moves(seen: Seen) -> Seen:
    """All that moves by itself."""
    observed = {n: replace(v, at=v.at + 60) for n, v in seen.observed.items()}
    unit, container = dict(observed[UNIT].value), dict(observed[CHAT].value)  # type: ignore[union-attr]
    observed[UNIT] = Value({**unit, "since": 5.0, "sub": "start"}, 1)
    observed[CHAT] = Value({**container, "restarts": 9, "started": "now"}, 1)
    observed["replica:chat-0"] = Value({"health": 200, "running": 3}, 1)
    assert seen.facts
    return replace(
        seen, at=5, seconds=9, observed=observed, facts=replace(seen.facts, disk_free=1, boot_id="other")
    )


def test_the_observed_digest_holds_while_only_moving_values_move() -> None:
    seen = world.as_wanted(world.manifests()["gpu-1"])
    before = difference.observed_digest({"gpu-1": seen})
    assert difference.observed_digest({"gpu-1": moves(seen)}) == before


@pytest.mark.parametrize("name", list(CASES))
def test_the_observed_digest_moves_with_each_drift(name: str) -> None:
    seen = world.as_wanted(world.manifests()["gpu-1"])
    broken = CASES[name][0](seen)
    assert difference.observed_digest({"gpu-1": broken}) != difference.observed_digest({"gpu-1": seen})


@pytest.mark.parametrize("name", CASES)
def test_each_drift_reaches_a_role(name: str) -> None:
    """What is shown is also mended: the part that differs gets its variables, or it is taken away in the end."""
    manifest = world.manifests()["gpu-1"]
    found = difference.difference(manifest, CASES[name][0](world.as_wanted(manifest)))
    values = variables.host_variables(manifest, found)
    assert values["hostler_parts"]
    assert {str(c.part) for c in found} <= set(values["hostler_parts"])


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/etc/hostler/due/docker", Part.DOCKER),
        ("/etc/hostler/due/edge", Part.EDGE),
        ("/etc/hostler/due/controller", Part.CONTROLLER),
        ("/etc/hostler/gateway/old.map", Part.GATEWAY),
        ("/etc/hostler/edge/old.cfg", Part.EDGE),
        ("/etc/hostler/tls/peers/old.crt", Part.EDGE),
        ("/etc/hostler/wanted/old-0.json", Part.ENGINE),
        ("/etc/hostler/notes.txt", Part.BASE),
    ],
)
def test_a_leftover_belongs_to_the_part_that_made_it(path: str, part: Part) -> None:
    manifest = world.manifests()["gpu-1"]
    (found,) = difference.difference(manifest, also("files", path)(world.as_wanted(manifest)))
    assert found.part is part


def test_no_digit_of_a_secrets_digest_is_shown() -> None:
    """A person's passphrase is found from 48 bits of its SHA-256."""
    before = world.manifests()["gpu-1"]
    path = "/etc/hostler/controller/secrets/STATE_PASSPHRASE"
    secret = SecretRef(name="STATE_PASSPHRASE", sha256=world.digest("hunter2"))
    manifest = replace(before, files=(*before.files, File(path=path, part=Part.CONTROLLER, content=secret)))
    broken = change(f"path:{path}", sha256=world.digest("hunter1"))
    (found,) = difference.difference(manifest, broken(world.as_wanted(manifest)))
    assert (found.now, found.then, found.detail) == ("a value", "another value", "")
    assert found.why == "the secret STATE_PASSPHRASE"
