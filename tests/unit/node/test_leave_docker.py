"""Docker's settings as they were, wherever somebody keeps them."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import files
from hostler.node.base.shell import Result
from hostler.node.base.told import Told
from hostler.node.leaving import leave_docker


@pytest.mark.parametrize(
    ("old", "now", "left"),
    [
        ('{"debug": true}', {"debug": True, "live-restore": True}, {"debug": True}),
        ('{"debug": true}', {"debug": False, "live-restore": True}, {"debug": False}),
        (None, {"live-restore": True}, {}),
    ],
    ids=["as it was", "changed since", "the link came later"],
)
def test_somebodys_link_stays(
    short_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    old: str | None,
    now: dict[str, Any],
    left: dict[str, Any],
) -> None:
    monkeypatch.setattr(leave_docker.shell, "run", lambda words, *_: Result(words, 0, "", ""))
    target, link = short_root / "srv/daemon.json", short_root / "etc/docker/daemon.json"
    target.parent.mkdir()
    link.parent.mkdir(parents=True)
    link.symlink_to("../../srv/daemon.json")
    target.write_text(json.dumps(now))
    target.chmod(0o640)
    leave_docker.daemon_json({"daemon_json": old}, Told(dry=False))
    assert os.readlink(link) == "../../srv/daemon.json"
    assert json.loads(files.read(leave_docker.DAEMON) or b"null") == left
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_settings_that_were_not_there_go(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leave_docker.shell, "run", lambda words, *_: Result(words, 0, "", ""))
    files.write_json(leave_docker.DAEMON, {"live-restore": True})
    leave_docker.daemon_json({"daemon_json": None}, Told(dry=False))
    assert files.read(leave_docker.DAEMON) is None
