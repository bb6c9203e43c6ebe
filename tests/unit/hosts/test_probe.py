"""What a host's answer has to be before anything is made of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hostler.codec import DecodeError, encode
from hostler.hosts import probe
from worlds import configure_world as world


def answer(*addresses: str) -> dict[str, Any]:
    facts = world.seen_hosts()["gpu-1"].facts
    assert facts
    rest = {"observed": {}, "ours": {}, "uid": "", "epoch": 0, "baseline": {}, "record": None, "copy": None}
    return {"facts": encode(replace(facts, addresses=addresses)), **rest}


def test_ip_addresses_are_taken() -> None:
    facts = probe.seen("gpu-1", answer("10.0.0.1", "2001:db8::7"), 0.0, 1.0).facts
    assert facts
    assert facts.addresses == ("10.0.0.1", "2001:db8::7")


@pytest.mark.parametrize("strange", ["{{ 6 * 7 }}", "10.0.0.1 check\nserver x", "gpu-1", "", "fe80::1%eth0"])
def test_all_else_is_no_address(strange: str) -> None:
    """Configurations of other hosts name them."""
    with pytest.raises(DecodeError, match="expected IP addresses"):
        probe.seen("gpu-1", answer("10.0.0.1", strange), 0.0, 1.0)
