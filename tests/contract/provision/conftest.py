from __future__ import annotations

from pathlib import Path

import pytest

from contract.provision.scene import Scene
from tools.pulumi_cli import pulumi_cli


@pytest.fixture(scope="session")
def cli() -> Path:
    """The real CLI: it is required, and built where there is none."""
    return pulumi_cli()


@pytest.fixture
def scene(tmp_path: Path, cli: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Two hosts and an empty state folder."""
    monkeypatch.setenv("HOSTLER_PULUMI", str(cli))
    for name in ("HOSTLER_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return Scene(base=tmp_path / "state")
