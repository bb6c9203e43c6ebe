from __future__ import annotations

from collections.abc import Iterator

import pytest

from contract.gateway.rig import Rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    """An empty rig: engines and proxies as the test starts them."""
    made = Rig()
    yield made
    made.close()


@pytest.fixture(scope="module")
def office() -> Iterator[Rig]:
    """A gateway with the model `chat` on two replicas, `big` on one, and `absent` on none; shared, so not to be broken."""
    made = Rig()
    spec = made.spec(made.model("chat", 2), made.model("big", 1), made.model("absent", 0))
    made.gateway(spec)
    yield made
    made.close()
