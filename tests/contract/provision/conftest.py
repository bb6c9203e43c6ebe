from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from contract.provision.scene import Scene
from tools.pulumi_cli import pulumi_cli


@pytest.fixture(scope="session")
def cli() -> Path:
    """The real CLI: it is required, and built where there is none."""
    return pulumi_cli()


@pytest.fixture(scope="session")
def accepted(tmp_path_factory: pytest.TempPathFactory, cli: Path) -> Path:
    """The state folder after the first `up` of the two hosts; made once, to be copied."""
    base = tmp_path_factory.mktemp("accepted") / "state"
    with pytest.MonkeyPatch.context() as patch:
        _environment(patch, cli)
        Scene(base=base).up()
    return base


@pytest.fixture
def office(scene: Scene, accepted: Path) -> Scene:
    """The two hosts, accepted."""
    shutil.copytree(accepted, scene.base)
    return scene


@pytest.fixture
def scene(tmp_path: Path, cli: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Two hosts and an empty state folder."""
    _environment(monkeypatch, cli)
    return Scene(base=tmp_path / "state")


def _environment(patch: pytest.MonkeyPatch, cli: Path) -> None:
    patch.setenv("HOSTLER_PULUMI", str(cli))
    for name in ("HOSTLER_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        patch.delenv(name, raising=False)
