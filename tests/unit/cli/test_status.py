"""`hostler status` while the gateway's host is off."""

from __future__ import annotations

import pytest

from hostler.cli import main, options
from hostler.errors import Exit
from hostler.hosts.types import Seen
from hostler.rollout import observe
from hostler.rollout.observe import Observation
from worlds import configure_world as world


@pytest.mark.parametrize(
    ("gateway", "code", "said"),
    [
        (world.bare(1), Exit.DONE, "stack (not up),"),
        (world.dead(1), Exit.HOST, "stack (not known: no answer from its gateway),"),
    ],
    ids=["never up", "off"],
)
def test_a_stack_of_which_nobody_knows_is_not_called_down(
    gateway: Seen,
    code: Exit,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hosts = world.hosts()
    observation = Observation(
        file=world.stack(),
        hosts=hosts,
        gone=(),
        seen={"gpu-1": gateway, "gpu-2": world.bare(2)},
        record=None,
        gateway=hosts[0],
    )
    monkeypatch.setattr(options, "load", lambda _file: observation.file)
    monkeypatch.setattr(observe, "observe", lambda *_args, **_kwargs: observation)
    assert main.run(["status"]) == code
    assert said in capsys.readouterr().out
