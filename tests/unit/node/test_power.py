"""`hostler-node power`: set, read back, put back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hostler.node.base import files
from hostler.node.base.protocol import NodeError
from hostler.node.base.shell import Result
from hostler.node.base.told import Told
from hostler.node.cards import power

from .conftest import Call

LINK = "etc/systemd/system/multi-user.target.wants/hostler-power.service"


class Smi:
    """nvidia-smi with cards of 350 W; `stuck`: one that says yes and does nothing."""

    def __init__(self) -> None:
        self.limits = {"GPU-1": 350.0, "GPU-2": 350.0}
        self.persistent = {"GPU-1": False, "GPU-2": True}
        self.stuck = ""
        self.hangs = False
        self.words: list[str] = []

    def run(self, argv: Sequence[str], _limit: float) -> Result:
        if self.hangs:
            return Result(tuple(argv), 124, "", "nvidia-smi: no answer in 60 s")
        if argv[1] == "-L":
            listed = "".join(f"GPU 0: NVIDIA GeForce RTX 3090 (UUID: {card})\n" for card in self.limits)
            return Result(tuple(argv), 0, listed, "")
        card, rest = argv[2], argv[3:]
        if card not in self.limits:
            return Result(tuple(argv), 6, "No devices were found\n", "")
        if rest[0] == "-pm":
            self.persistent[card] = rest[1] == "1"
        elif rest[0] == "-pl" and card != self.stuck:
            self.limits[card] = float(rest[1])
        if rest[0] in ("-pm", "-pl"):
            self.words.append(" ".join((card, *rest)))
            return Result(tuple(argv), 0, "All done.\n", "")
        asked = rest[0].partition("=")[2]
        said = {"power.limit": f"{self.limits[card]:.2f}", "power.default_limit": "350.00"}.get(asked)
        return Result(tuple(argv), 0, f"{said or ('Enabled' if self.persistent[card] else 'Disabled')}\n", "")


@pytest.fixture
def smi(root: Path, monkeypatch: pytest.MonkeyPatch) -> Smi:
    made = Smi()
    monkeypatch.setattr(power.shell, "run", made.run)
    return made


def test_set_once(smi: Smi, root: Path, call: Call) -> None:
    files.write_json(power.WISH, {"GPU-1": 280, "GPU-2": 250})
    assert call("power") == {"changed": True, "set": {"GPU-1": 280, "GPU-2": 250}}
    assert smi.limits == {"GPU-1": 280.0, "GPU-2": 250.0}
    assert smi.words[:2] == ["GPU-1 -pm 1", "GPU-1 -pl 280"]
    assert (root / LINK).is_symlink()
    smi.words.clear()
    assert call("power")["changed"] is False
    assert smi.words == []


def test_after_a_boot_it_is_set_again(smi: Smi, call: Call) -> None:
    files.write_json(power.WISH, {"GPU-1": 280})
    call("power")
    smi.limits["GPU-1"], smi.persistent["GPU-1"] = 350.0, False
    assert call("power")["changed"] is True
    assert smi.limits["GPU-1"] == 280.0
    assert files.read_json(power.DONE) == {"GPU-1": False}


def test_one_that_does_not_take_it_is_named_and_the_others_have_theirs(smi: Smi, call: Call) -> None:
    files.write_json(power.WISH, {"GPU-1": 280, "GPU-2": 250, "GPU-9": 280})
    smi.stuck = "GPU-1"
    with pytest.raises(NodeError) as raised:
        call("power")
    assert "GPU-1: expected 280 W; got 350 W" in raised.value.message
    assert "GPU-9: expected 280 W; got an unknown limit (No devices were found)" in raised.value.message
    assert smi.limits["GPU-2"] == 250.0


def test_without_a_wish_the_defaults_come_back(smi: Smi, root: Path, call: Call) -> None:
    files.write_json(power.WISH, {"GPU-1": 280, "GPU-2": 250})
    call("power")
    files.remove(power.WISH)
    assert call("power") == {"changed": True, "set": {}}
    assert smi.limits == {"GPU-1": 350.0, "GPU-2": 350.0}
    assert smi.persistent == {"GPU-1": False, "GPU-2": True}
    assert not (root / LINK).exists()
    assert files.read_json(power.DONE) is None


def test_down_puts_them_back(smi: Smi, call: Call) -> None:
    files.write_json(power.WISH, {"GPU-1": 280})
    call("power")
    dry = Told(dry=True)
    power.leave(dry)
    assert (dry.would["settings"], smi.limits["GPU-1"]) == (["power limit of GPU-1"], 280.0)
    told = Told()
    power.leave(told)
    assert (told.removed, told.left, smi.limits["GPU-1"]) == (["power limit of GPU-1"], [], 350.0)


def test_a_card_that_is_gone_needs_nothing(smi: Smi, call: Call) -> None:
    files.write_json(power.WISH, {"GPU-1": 280})
    call("power")
    del smi.limits["GPU-1"]
    told = Told()
    power.leave(told)
    assert told.left == []


def test_a_card_that_does_not_answer_is_not_gone(smi: Smi, call: Call) -> None:
    files.write_json(power.WISH, {"GPU-1": 280})
    call("power")
    smi.hangs = True
    told = Told()
    power.leave(told)
    assert "does not tell its default limit" in told.left[0]["why"]
    assert files.read_json(power.DONE) == {"GPU-1": False}


def test_persistence_that_is_not_known_is_left_alone(smi: Smi, call: Call) -> None:
    files.write_json(power.WISH, {"GPU-1": 280})
    smi.hangs = True
    with pytest.raises(NodeError):
        call("power")
    assert files.read_json(power.DONE) == {"GPU-1": True}
