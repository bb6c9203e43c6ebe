from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.provision.aws import Account, Rents, install_plugin
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


@pytest.fixture(scope="session")
def moto() -> Iterator[Account]:
    account = Account()
    yield account
    account.close()


@pytest.fixture
def account(moto: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    """An empty account, and an environment in which all that asks AWS asks it."""
    moto.reset()
    for name in (
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL_S3",
    ):
        monkeypatch.delenv(name, raising=False)
    known = {"AWS_ENDPOINT_URL": moto.url, "AWS_ACCESS_KEY_ID": "lab", "AWS_SECRET_ACCESS_KEY": "lab"}
    files = {name: str(tmp_path / "none") for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
    for name, value in {**known, **files, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    return moto


@pytest.fixture
def rents(account: Account, tmp_path: Path, cli: Path, monkeypatch: pytest.MonkeyPatch) -> Rents:
    """A stack that rents, on a machine with the plugin; nothing is rented yet."""
    _environment(monkeypatch, cli)
    install_plugin(tmp_path / "base")
    return Rents(account=account, base=tmp_path / "base")


def _environment(patch: pytest.MonkeyPatch, cli: Path) -> None:
    patch.setenv("HOSTLER_PULUMI", str(cli))
    for name in ("HOSTLER_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        patch.delenv(name, raising=False)
