"""What Docker is told, what counts as the same, and what a waiter's own end does."""

import threading
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import files, instances
from hostler.node.base.protocol import NodeError
from hostler.node.docker import docker, pull
from hostler.node.replica import container, wait

from .fakes import DIGEST, Heard, Host


def test_every_flag_of_the_contract(host: Host) -> None:
    spec = host.want(cards=["GPU-1", "GPU-2"], shm_mib=512, tmpfs=["/var/cache:size=64m"], stop_s=7)
    spec["mounts"] = [{"source": "/m", "target": "/m"}]
    said = container.payload(spec)
    inner = said["HostConfig"]
    assert (said["Image"], said["User"], said["StopTimeout"]) == ("llama@" + DIGEST, "990:990", 7)
    assert said["Labels"] == {"hostler.uid": "u1", "hostler.id": "chat-0", "hostler.spec": spec["spec"]}
    assert (inner["NetworkMode"], inner["ReadonlyRootfs"], inner["CapDrop"]) == ("host", True, ["ALL"])
    assert inner["SecurityOpt"] == ["no-new-privileges"]
    assert (inner["RestartPolicy"], inner["ShmSize"]) == ({"Name": "no"}, 512 << 20)
    assert inner["Mounts"] == [{"Type": "bind", "Source": "/m", "Target": "/m", "ReadOnly": True}]
    assert set(inner["Tmpfs"]) == {"/tmp", "/var/cache"}
    assert inner["DeviceRequests"] == [{"DeviceIDs": ["GPU-1", "GPU-2"], "Capabilities": [["gpu"]]}]
    assert inner["LogConfig"]["Config"] == {"max-size": "20m", "max-file": "5"}


def test_without_cards_no_devices(host: Host) -> None:
    assert "DeviceRequests" not in container.payload(host.want())["HostConfig"]


def test_adopted_when_it_runs_started_when_it_stands(host: Host) -> None:
    spec = host.want()
    first = container.ensure(spec)
    assert container.ensure(spec) == first
    docker.stop(first, 1)
    assert container.ensure(spec) == first
    assert host.runs() == spec["spec"]


@pytest.mark.parametrize("change", ["label", "user", "image"])
def test_another_one_is_made_anew(host: Host, change: str) -> None:
    spec = host.want()
    first = container.ensure(spec)
    found = host.docker.containers[first]
    if change == "label":
        found["Config"]["Labels"]["hostler.spec"] = "other"
    elif change == "user":
        found["Config"]["User"] = "0:0"
    else:
        found["Image"] = "sha256:other"
    assert container.ensure(spec) != first
    assert len(host.docker.containers) == 1


def test_a_waiter_that_ended_leaves_the_container(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd runs ExecStop then too, and says so with EXIT_CODE."""
    container.ensure(host.want())
    monkeypatch.setenv("EXIT_CODE", "exited")
    monkeypatch.setenv("SERVICE_RESULT", "success")
    heard = Heard()
    container.stop({"op": "stop", "id": "chat-0"}, heard)
    assert (heard.last, host.runs() != "") == ({"changed": False}, True)
    monkeypatch.delenv("EXIT_CODE")
    container.stop({"op": "stop", "id": "chat-0"}, heard)
    assert (heard.last, host.runs()) == ({"changed": True}, "")


def test_nothing_applied_is_said(host: Host) -> None:
    with pytest.raises(NodeError, match="chat-0: expected a container specification"):
        container.run_until_end("chat-0", Heard())


def test_the_log_of_a_running_one_and_of_one_that_is_gone(host: Host) -> None:
    spec = host.want()
    container.ensure(spec)
    heard = Heard()
    container.logs({"op": "logs", "id": "chat-0"}, heard)
    assert heard.lines == [{"line": "loading"}, {"lines": 1}]
    docker.remove("hostler-chat-0")
    with pytest.raises(NodeError, match="there is no container"):
        container.logs({"op": "logs", "id": "chat-0"}, heard)


def test_frames_of_docker_and_plain_text() -> None:
    framed = b"\1\0\0\0\0\0\0\2a\n\2\0\0\0\0\0\0\2b\n"
    assert b"".join(docker.frames(framed)) == b"a\nb\n"
    assert b"".join(docker.frames(b"plain text\n")) == b"plain text\n"


PROPS: list[tuple[str, dict[str, Any], list[str], int]] = [
    ("per slot", {"default_generation_settings": {"n_ctx": 4096}, "total_slots": 2}, ["-c", "8192"], 4096),
    ("whole", {"default_generation_settings": {"n_ctx": 8192}, "total_slots": 2}, ["-c", "8192"], 4096),
    (
        "padded whole",
        {"default_generation_settings": {"n_ctx": 8448}, "total_slots": 2},
        ["-c", "8192"],
        4224,
    ),
    ("one slot", {"default_generation_settings": {"n_ctx": 8192}, "total_slots": 1}, ["-c", "8192"], 8192),
    (
        "shared",
        {"default_generation_settings": {"n_ctx": 8192}, "total_slots": 2},
        ["-c", "8192", "-kvu"],
        8192,
    ),
    ("at the top", {"n_ctx": 4096, "total_slots": 2}, ["-c", "8192"], 4096),
]


@pytest.mark.parametrize(("props", "argv", "tokens"), [p[1:] for p in PROPS], ids=[p[0] for p in PROPS])
def test_context_of_a_request(props: dict[str, Any], argv: list[str], tokens: int) -> None:
    assert wait.of_props(props, {"argv": argv}) == tokens


def test_an_image_that_is_here_is_not_pulled(host: Host) -> None:
    heard = Heard()
    pull.pull({"op": "pull", "ref": "llama@" + DIGEST}, heard)
    assert heard.last == {"changed": False, "why": "", "images": {"llama@" + DIGEST: "sha256:image"}}
    with pytest.raises(NodeError, match="expected NAME@sha256"):
        pull.pull({"op": "pull", "ref": "llama:latest"}, heard)


def refs(*names: str) -> list[str]:
    return [f"{name}@{DIGEST}" for name in names]


def test_images_are_pulled_side_by_side(host: Host) -> None:
    heard, wanted = Heard(), refs("llama", "ghcr.io/a/one", "two")
    host.docker.together = threading.Barrier(2)
    pull.pull({"op": "pull", "refs": wanted}, heard)
    assert (heard.last["changed"], heard.last["why"]) == (True, "one, two")
    assert list(heard.last["images"]) == wanted
    assert files.read_json(pull.PULLED) == dict.fromkeys(wanted[1:], "")


def test_one_image_that_cannot_be_had(host: Host) -> None:
    """The others are here then, and the next run does not ask for them again."""
    host.docker.refused.update(refs("ghcr.io/a/one"))
    with pytest.raises(NodeError, match=r"^ghcr.io/a/one@sha256:\w+: .*manifest unknown"):
        pull.pull({"op": "pull", "refs": refs("ghcr.io/a/one", "two")}, Heard())
    assert refs("two")[0] in host.docker.images


OTHER = "sha256:" + "b" * 64
OWN, MIRRORED = f"ghcr.io/a/one@{OTHER}", f"registry.office.example/a/one@{OTHER}"


def test_an_image_from_a_mirror_counts_as_the_one_that_was_asked_for(host: Host) -> None:
    """It is noted under the name that Docker has, for `down`; without the mirror nothing is pulled again."""
    heard = Heard()
    pull.pull({"op": "pull", "refs": [OWN], "mirrored": {OWN: MIRRORED}}, heard)
    assert heard.last == {"changed": True, "why": "one", "images": {OWN: "sha256:" + MIRRORED}}
    assert list(host.docker.images)[-1] == MIRRORED
    assert files.read_json(pull.PULLED) == {MIRRORED: ""}
    pull.pull({"op": "pull", "refs": [OWN]}, heard)
    assert not heard.last["changed"]
    spec = host.want(image={"name": "ghcr.io/a/one", "digest": OTHER})
    assert container.payload(spec)["Image"] == MIRRORED
    assert container.fits(docker.inspect(container.ensure(spec)), spec)


def test_a_tag_is_put_back_on_an_image_from_a_mirror(host: Host) -> None:
    pull.pull({"op": "pull", "refs": [OWN], "mirrored": {OWN: MIRRORED}}, Heard())
    heard = Heard()
    pull.pull({"op": "pull", "tags": [{"ref": OWN, "tag": "ghcr.io/a/one:1"}]}, heard)
    assert heard.last == {"changed": True, "why": "ghcr.io/a/one:1", "images": {}}
    assert host.docker.images["ghcr.io/a/one:1"] == "sha256:" + MIRRORED


@pytest.mark.parametrize(
    ("said", "next_step"),
    [
        ("manifest unknown", "has it this image by this digest"),
        ("x509: certificate signed by unknown authority", "update-ca-certificates"),
        ("server gave HTTP response to HTTPS client", "insecure-registries"),
    ],
)
def test_a_mirror_that_does_not_give_it_is_named(host: Host, said: str, next_step: str) -> None:
    host.docker.refused.add(MIRRORED)
    host.docker.says = said
    with pytest.raises(NodeError, match=f"^{MIRRORED}: .*{said}") as error:
        pull.pull({"op": "pull", "refs": [OWN], "mirrored": {OWN: MIRRORED}}, Heard())
    assert next_step in error.value.next_step
    assert "registry.office.example" in error.value.next_step


def test_layers_are_summed() -> None:
    heard = Heard()
    layers = pull.Layers(heard)
    for layer, current in (("a", 10), ("b", 20)):
        layers._last = -1e9
        detail = {"current": current, "total": 100}
        layers.heard({"id": layer, "status": "Downloading", "progressDetail": detail})
    assert heard.last == {"progress": 30, "total": 200}


def test_enabled_by_hand(short_root: Path) -> None:
    assert [instances.set_enabled("chat-0", wanted) for wanted in (True, True, False, False)] == [
        True,
        False,
        True,
        False,
    ]
    assert list(short_root.rglob("hostler@*")) == []
