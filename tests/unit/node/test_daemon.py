"""Docker's daemon: enabled, running, with what was written for it, and disturbed only for a reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import files
from hostler.node.base.protocol import NodeError
from hostler.node.base.shell import Result
from hostler.node.docker import daemon

from .fakes import Heard

BOOT = 1_000_000_000.0
Ready = Callable[..., tuple[str, list[str]]]


@pytest.fixture
def ready(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> Ready:
    """(why, what systemctl was told) of a host in a state."""

    def run(
        *,
        active: str = "active",
        enabled: bool = True,
        loaded: str = "loaded",
        fails: str = "",
        validate: tuple[int, str] = (0, "configuration OK"),
        **request: Any,
    ) -> tuple[str, list[str]]:
        told: list[str] = []

        def systemctl(words: tuple[str, ...], _limit: float) -> Result:
            if words[1] == "show":
                shown = f"LoadState={loaded}\nActiveState={active}\nUnitFileState=disabled\nFragmentPath=/lib/docker.service\n"
                return Result(words, 0, shown, "")
            if words[0] == "dockerd":
                assert words == ("dockerd", "--validate", "--config-file", daemon.SETTINGS)
                return Result(words, validate[0], "", validate[1])
            told.append(words[1])
            return Result(words, int(words[1] == fails), "", "it did not")

        monkeypatch.setattr(daemon.shell, "run", systemctl)
        link = Path(files.at(daemon.WANTS))
        if enabled and not link.is_symlink():
            link.parent.mkdir(parents=True)
            link.symlink_to("/lib/docker.service")
        heard = Heard()
        daemon.docker_ready({"op": "docker-ready", **request}, heard)
        assert heard.last["changed"] == bool(heard.last["why"])
        return heard.last["why"], told

    return run


def at(path: str, after: float) -> None:
    """A file, so many seconds after the daemon's start."""
    files.write(path, b"")
    files.write(daemon.PID, b"7")
    start = os.stat(files.at(path)).st_ctime - after
    os.utime(files.at(daemon.PID), (start, start))


def test_as_it_should_be(ready: Ready) -> None:
    at(daemon.HOOK, -60)
    assert ready(toolkit=True) == ("", [])


def test_stopped_and_not_at_boot(ready: Ready) -> None:
    files.write(daemon.DUE, b"")
    assert ready(active="inactive", enabled=False) == ("enabled, started", ["start"])
    assert os.readlink(files.at(daemon.WANTS)) == "/lib/docker.service"
    assert files.read(daemon.DUE) is None


@pytest.mark.parametrize(
    ("after", "told"), [(60, ["reload"]), (-60, [])], ids=["changed since", "started with them"]
)
def test_settings_are_loaded_once(ready: Ready, after: float, told: list[str]) -> None:
    files.write(daemon.DUE, b"")
    at(daemon.SETTINGS, after)
    assert ready()[1] == told
    assert files.read(daemon.DUE) is None


def test_settings_that_were_taken_away(ready: Ready) -> None:
    files.write(daemon.DUE, b"")
    assert ready()[1] == ["reload"]


@pytest.mark.parametrize(("toolkit", "told"), [(True, ["restart"]), (False, [])])
def test_a_toolkit_that_came_later(ready: Ready, toolkit: bool, told: list[str]) -> None:
    at(daemon.HOOK, 60)
    assert ready(toolkit=toolkit)[1] == told


def test_what_failed_stays_due(ready: Ready) -> None:
    files.write(daemon.DUE, b"")
    with pytest.raises(NodeError, match=r"docker.service: systemctl reload: it did not"):
        ready(fails="reload")
    assert files.read(daemon.DUE) is not None


WRONG = "unable to configure the Docker daemon with file /etc/docker/daemon.json: the following directives don't match"


@pytest.mark.parametrize(
    ("state", "newer"),
    [("active", daemon.HOOK), ("active", daemon.DUE), ("inactive", daemon.DUE)],
    ids=["restart", "reload", "start"],
)
def test_settings_that_docker_does_not_take_stop_nothing(ready: Ready, state: str, newer: str) -> None:
    files.write(daemon.SETTINGS, b"{}")
    files.write(daemon.DUE, b"")
    at(newer, 60)
    told: list[str] = []
    with pytest.raises(NodeError, match="the following directives don't match") as caught:
        told = ready(active=state, toolkit=True, validate=(1, WRONG))[1]
    assert "Docker was left as it is" in caught.value.next_step
    assert told == []
    assert files.read(daemon.DUE) is not None


def test_settings_that_are_no_json_stop_nothing(ready: Ready) -> None:
    at(daemon.HOOK, 60)
    files.write(daemon.SETTINGS, b"{")
    with pytest.raises(NodeError, match=r"/etc/docker/daemon\.json is not JSON"):
        ready(toolkit=True)


@pytest.mark.parametrize(
    "validate",
    [(125, "unknown flag: --validate\nSee 'dockerd --help'."), (1, "Status: unknown flag: --validate\nSee 'dockerd --help'., Code: 125"),
     (127, "dockerd: not installed")],
)  # fmt: skip
def test_a_docker_that_cannot_validate(ready: Ready, validate: tuple[int, str]) -> None:
    at(daemon.HOOK, 60)
    files.write(daemon.SETTINGS, b"{}")
    assert ready(toolkit=True, validate=validate)[1] == ["restart"]


def test_a_swarm_that_docker_could_not_go_on_with(ready: Ready) -> None:
    at(daemon.HOOK, 60)
    files.write(daemon.SETTINGS, b'{"live-restore": true}')
    files.write("/var/lib/docker/swarm/docker-state.json", b"{}")
    with pytest.raises(NodeError, match="live-restore, with which Docker does not start in a swarm"):
        ready(toolkit=True)
    files.write(daemon.SETTINGS, b"{}")
    assert ready(toolkit=True)[1] == ["restart"]


def test_a_toolkit_that_waits_for_a_restart(short_root: Path) -> None:
    assert not daemon.toolkit_waits()
    at(daemon.HOOK, -60)
    assert not daemon.toolkit_waits()
    at(daemon.HOOK, 60)
    assert daemon.toolkit_waits()


def test_dry(ready: Ready) -> None:
    files.write(daemon.DUE, b"")
    assert ready(loaded="not-found", enabled=False, dry=True) == ("enabled, started", [])
    assert files.read(daemon.DUE) is not None
    assert not os.path.lexists(files.at(daemon.WANTS))


def test_there_is_no_docker(ready: Ready) -> None:
    with pytest.raises(NodeError, match=r"there is no docker\.service"):
        ready(loaded="not-found")
