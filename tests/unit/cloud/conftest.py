"""AWS in this process: moto's stand-in, with nothing of the user's own, and an empty cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "test"}


@pytest.fixture(autouse=True)
def nothing_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def aws() -> Iterator[None]:
    from moto import mock_aws

    from lab.cloud.steady import each_its_own_table

    each_its_own_table()
    with mock_aws():
        yield


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`stubbed(module, service)`: its clients of that service are one that answers what is added to the stubber."""
    from hostler.cloud import session

    stubbers: list[Stubber] = []

    def stub(module: Any, service: str) -> Stubber:
        real = session.client(service, "eu-central-1")
        stubber = Stubber(real)
        stubber.activate()
        stubbers.append(stubber)
        before = module.client
        monkeypatch.setattr(
            module, "client", lambda name, region="": real if name == service else before(name, region)
        )
        return stubber

    yield stub
    for stubber in stubbers:
        stubber.assert_no_pending_responses()
