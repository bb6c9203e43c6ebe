"""Finding the CLI: which one is taken, and what is said where none is good."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hostler.errors import ProvisionError, UsageError
from hostler.provision import engine
from hostler.provision.locations import Locations, environment, inherited, passphrase


@pytest.fixture(autouse=True)
def _empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    for name in (
        "HOSTLER_PULUMI",
        "HOSTLER_PASSPHRASE",
        "PULUMI_CONFIG_PASSPHRASE",
        "PULUMI_CONFIG_PASSPHRASE_FILE",
    ):
        monkeypatch.delenv(name, raising=False)


def fake(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    return path


def test_path_comes_before_the_cache(tmp_path: Path) -> None:
    fake(engine.cache() / engine.PINNED / "bin" / "pulumi", "echo v3.259.0")
    wanted = fake(tmp_path / "path" / "pulumi", "echo v3.300.1")
    assert engine.find_cli() == engine.Command(path=wanted, version="3.300.1")


def test_an_old_one_on_path_is_passed_over(tmp_path: Path) -> None:
    fake(tmp_path / "path" / "pulumi", "echo v3.100.0")
    ours = fake(engine.cache() / engine.PINNED / "bin" / "pulumi", "echo v3.259.0")
    assert engine.find_cli().path == ours


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ("echo v3.100.0", "is version 3.100.0"),
        ("echo v4.0.0", "is version 4.0.0"),
        ("echo", "says no version"),
        ("exit 3", "does not run"),
    ],
)
def test_every_rejected_one_is_named_with_its_reason(tmp_path: Path, says: str, reason: str) -> None:
    path = fake(tmp_path / "path" / "pulumi", says)
    with pytest.raises(ProvisionError) as caught:
        engine.find_cli(install=False)
    assert f"{path}: {reason}" in str(caught.value)
    assert caught.value.problems[0].next_step


def test_the_named_one_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path / "path" / "pulumi", "echo v3.259.0")
    monkeypatch.setenv("HOSTLER_PULUMI", str(tmp_path / "nowhere"))
    with pytest.raises(ProvisionError, match="HOSTLER_PULUMI: expected"):
        engine.find_cli()
    monkeypatch.setenv(
        "HOSTLER_PULUMI", str(fake(tmp_path / "root" / "bin" / "pulumi", "echo v3.260.0").parents[1])
    )
    assert engine.find_cli().version == "3.260.0"


def test_the_version_is_asked_once_for_each_file(tmp_path: Path) -> None:
    path = fake(tmp_path / "path" / "pulumi", f"echo asked >> {tmp_path}/log; echo v3.259.0")
    engine.find_cli()
    engine.find_cli()
    assert (tmp_path / "log").read_text() == "asked\n"
    fake(path, f"echo asked >> {tmp_path}/log; echo v3.259.10")
    assert engine.find_cli().version == "3.259.10"


def test_an_installer_that_fails_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(**_: object) -> None:
        raise OSError("no route to the installer")

    monkeypatch.setattr("pulumi.automation.PulumiCommand.install", offline)
    said: list[str] = []
    with pytest.raises(ProvisionError, match="no route to the installer") as caught:
        engine.find_cli(said.append)
    assert str(engine.cache()) in caught.value.problems[0].next_step
    assert "installing the Pulumi CLI" in said[0]


def test_the_installer_s_pulumi_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def install(*, root: str, version: object) -> None:
        fake(Path(root) / "bin" / "pulumi", f"echo v{version}")

    monkeypatch.setattr("pulumi.automation.PulumiCommand.install", install)
    assert engine.find_cli().path == engine.cache() / engine.PINNED / "bin" / "pulumi"
    assert engine.find_cli().version == engine.PINNED


@pytest.mark.parametrize("name", ["", "-x", "../up", "a/b", "a b", "x" * 101])
def test_a_stack_s_name_cannot_leave_its_folder(name: str) -> None:
    with pytest.raises(UsageError):
        Locations.of(name)


def test_the_passphrase_is_made_once_and_private(tmp_path: Path) -> None:
    places = Locations.of("lab", tmp_path)
    first = passphrase(places)
    text = places.passphrase.read_text()
    assert first == passphrase(places) == {"PULUMI_CONFIG_PASSPHRASE_FILE": str(places.passphrase)}
    assert places.passphrase.read_text() == text
    assert len(text.strip()) >= 43
    assert places.passphrase.stat().st_mode & 0o777 == 0o600
    assert text.strip() not in str(environment(places))


@pytest.mark.parametrize("variable", ["HOSTLER_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE"])
def test_the_passphrase_of_the_environment(tmp_path: Path, variable: str) -> None:
    places = Locations.of("lab", tmp_path)
    assert passphrase(places, {variable: "swordfish"}) == {"PULUMI_CONFIG_PASSPHRASE": "swordfish"}
    assert not places.passphrase.exists()


def test_the_user_s_own_pulumi_settings_stay_out() -> None:
    mine = {"PATH": "/bin", "PULUMI_STACK": "theirs", "PULUMI_ACCESS_TOKEN": "t", "HOSTLER_PASSPHRASE": "s"}
    assert inherited(mine) == {"PATH": "/bin"}


def test_looking_at_the_fleet_imports_nothing_heavy() -> None:
    code = "import sys, hostler.provision.fleet; print([name for name in ('pulumi', 'grpc', 'yaml') if name in sys.modules])"
    environ = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True
    )
    assert done.stdout == "[]\n"
