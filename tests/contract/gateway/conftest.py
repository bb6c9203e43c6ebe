from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from contract.gateway.rig import Rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    """An empty rig: engines and proxies as the test starts them."""
    with closing(Rig()) as made:
        yield made


@pytest.fixture(scope="module")
def office() -> Iterator[Rig]:
    """A gateway with the model `chat` on two replicas, `big` on one, `absent` on none; shared, so not to be broken."""
    with closing(Rig()) as made:
        made.gateway(made.spec(made.model("chat", 2), made.model("big", 1), made.model("absent", 0)))
        yield made
