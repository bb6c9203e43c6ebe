"""The fleet with the real CLI: what is a difference, what an `up` accepts, what a refresh leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from contract.provision.scene import Scene, dead, host, seen
from hostler.errors import HostError, ProvisionError
from hostler.provision.fleet import Fleet
from hostler.provision.types import ProvisionPreview


def lines(preview: ProvisionPreview) -> dict[str, tuple[str, ...]]:
    return {f"{change.op} {change.name}": change.details for change in preview.changes}


def test_from_nothing_to_no_difference_to_nothing(scene: Scene) -> None:
    first = scene.preview()
    assert list(lines(first)) == ["create gpu-1", "create gpu-2"]
    assert "cards: RTX 3090 GPU-gpu-1-a, RTX 3090 GPU-gpu-1-b" in first.changes[0].details
    assert scene.resources() == {}
    done = scene.fleet().up(scene.hosts, scene.seen, first)
    assert lines(done) == lines(first)
    assert not scene.preview()
    assert {name: item["outputs"]["status"] for name, item in scene.resources().items()} == {
        "gpu-1": "up",
        "gpu-2": "up",
    }
    assert list(lines(scene.fleet().destroy())) == ["delete gpu-1", "delete gpu-2"]
    assert scene.resources() == {}


def test_an_up_without_differences_runs_no_pulumi_up(office: Scene) -> None:
    before = office.fleet().places.checkpoint.stat().st_mtime_ns
    assert not office.up()
    assert office.events == []
    assert office.fleet().places.checkpoint.stat().st_mtime_ns == before
    assert len(list(office.base.rglob("*.history.json"))) <= 1


def test_every_difference_of_a_host_in_words(office: Scene) -> None:
    office.hosts = (host("gpu-1", "10.0.0.9"), host("gpu-2"), host("gpu-3"))
    office.answers = {"gpu-1": seen("gpu-1", ("a",), "580.65"), "gpu-2": seen("gpu-2", machine="aa" * 16)}
    machine = seen("gpu-2").facts
    assert machine
    found = lines(office.preview())
    assert set(found["update gpu-1"]) == {
        "cards[1]: delete RTX 3090 GPU-gpu-1-b",
        "driver: 570.86 => 580.65",
        "address: gpu-1.lan => 10.0.0.9",
    }
    assert found["replace gpu-2"] == (f"machineId: {machine.machine_id} => {'aa' * 16}",)
    assert "create gpu-3" in found
    office.up()
    assert not office.preview()
    assert [card["uuid"] for card in office.resources()["gpu-1"]["inputs"]["cards"]] == ["GPU-gpu-1-a"]


def test_a_host_that_leaves_the_file(office: Scene) -> None:
    office.hosts = office.hosts[:1]
    assert list(lines(office.preview())) == ["delete gpu-2"]
    office.up()
    assert list(office.resources()) == ["gpu-1"]


def test_a_refresh_shows_a_lost_card_and_leaves_what_is_expected(office: Scene) -> None:
    expected = office.resources()["gpu-1"]["inputs"]
    office.answers = {"gpu-1": seen("gpu-1", ("a",))}
    lost = {"refresh gpu-1": ("cards[1]: delete RTX 3090 GPU-gpu-1-b",)}
    assert lines(office.refresh()) == lost
    assert lines(office.refresh()) == lost  # again: it is still not as expected
    found = office.resources()["gpu-1"]
    assert found["inputs"] == expected
    assert [card["uuid"] for card in found["outputs"]["seenCards"]] == ["GPU-gpu-1-a"]
    assert lines(office.preview()) == {"update gpu-1": ("cards[1]: delete RTX 3090 GPU-gpu-1-b",)}
    office.answers = {}
    assert not office.preview()  # the card is back: as expected, whatever the last refresh saw


def test_unreachable_is_a_status_and_never_a_delete(office: Scene) -> None:
    expected = office.resources()["gpu-1"]
    office.answers = {"gpu-1": dead("gpu-1")}
    assert not office.preview()
    assert lines(office.refresh()) == {"refresh gpu-1": ("status: up => unreachable",)}
    found = office.resources()["gpu-1"]
    assert found["outputs"]["status"] == "unreachable"
    assert found["outputs"]["seenCards"] == expected["outputs"]["seenCards"]
    assert found["inputs"] == expected["inputs"]
    office.answers = {}
    assert lines(office.refresh()) == {"refresh gpu-1": ("status: unreachable => up",)}


def test_a_new_host_that_does_not_answer_is_kept_without_facts(scene: Scene) -> None:
    scene.answers = {"gpu-1": dead("gpu-1")}
    scene.up()
    assert scene.resources()["gpu-1"]["outputs"]["status"] == "unreachable"
    scene.answers = {}
    assert "driver: add 570.86" in lines(scene.preview())["update gpu-1"]


def test_a_wrong_property_is_an_error_of_that_host(scene: Scene) -> None:
    scene.hosts = (host("gpu-1", "not an address!"),)
    with pytest.raises(ProvisionError) as caught:
        scene.preview()
    assert caught.value.problems[0].where == "gpu-1"
    assert "neither an IP address nor a host name" in caught.value.problems[0].got


def test_a_probe_s_own_error_comes_through(scene: Scene) -> None:
    def wrong_key(name: str) -> object:
        raise HostError.of(name, expected="its key", got="another key")

    with pytest.raises(HostError, match="another key"):
        scene.fleet().preview(scene.hosts, wrong_key)  # type: ignore[arg-type]


def test_folders_are_private_and_forgotten(office: Scene) -> None:
    places = office.fleet().places
    for folder in (
        places.folder,
        places.work,
        places.state,
        places.pulumi_home,
        places.folder.parent,
        office.base,
    ):
        assert folder.stat().st_mode & 0o777 == 0o700, folder
    assert places.passphrase.stat().st_mode & 0o777 == 0o600
    beside = places.folder.parent / "keys.json"
    beside.write_text("{}")
    office.fleet().forget()
    assert not places.folder.exists()
    assert beside.exists()  # not ours to remove
    assert list(lines(office.preview())) == ["create gpu-1", "create gpu-2"]


def test_the_passphrase_is_in_no_argument_environment_log_or_state(scene: Scene) -> None:
    spied: list[str] = []
    fleet = scene.fleet()

    def spy(_: object) -> None:
        for path in fleet.places.running.glob("*.json"):
            process = Path("/proc", path.stem)
            spied.extend((process / part).read_text(errors="replace") for part in ("cmdline", "environ"))

    watched = Fleet("lab", base=scene.base, on_event=spy)
    watched.up(scene.hosts, scene.seen)
    secret = fleet.places.passphrase.read_text().strip()
    assert any("--non-interactive" in text for text in spied)
    assert not [text for text in spied if secret in text]
    holding = [
        path for path in scene.base.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
    ]
    assert holding == [fleet.places.passphrase]


def test_another_passphrase_is_named(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTLER_PASSPHRASE", "swordfish")
    scene.up()
    monkeypatch.setenv("HOSTLER_PASSPHRASE", "sailfish")
    with pytest.raises(
        ProvisionError, match="expected the passphrase that the stack was made with; got another one"
    ):
        scene.preview()
    monkeypatch.delenv("HOSTLER_PASSPHRASE")
    with pytest.raises(ProvisionError, match="got neither"):
        scene.preview()
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "swordfish")
    assert not scene.preview()


def test_the_user_s_own_pulumi_is_left_alone(
    office: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}/theirs")
    monkeypatch.setenv("PULUMI_STACK", "theirs")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    assert not office.preview()
    assert not (tmp_path / "home").exists()


DRIVE = """
import json, sys
from pathlib import Path
from contract.provision.scene import Scene
scene = Scene(base=Path(sys.argv[1]))
scene.up()
print(json.dumps([len(scene.resources()), len(scene.refresh().changes), len(scene.preview().changes),
                  len(scene.fleet().destroy().changes)]))
"""


def test_nothing_calls_out(scene: Scene) -> None:
    """In a network of its own, with loopback alone, everything passes."""
    shell = 'ip link set lo up; exec "$0" -c "$1" "$2"'
    words = ["unshare", "--map-root-user", "--net", "sh", "-c", shell, sys.executable, DRIVE, str(scene.base)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(words, capture_output=True, text=True, env=environ, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [2, 0, 0, 2]
    assert done.stderr == ""
