"""The agent's part of the controller: its key, what it installs, how it is started, and its timer."""

from __future__ import annotations

import fcntl
import io
import json
import os
import signal
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hostler.node.base import files, instances, shell, units
from hostler.node.base.protocol import NodeError
from hostler.node.docker import docker
from hostler.node.probe import machine
from hostler.node.site import certs, controller, running, sites, sshkey

from .conftest import Call

PINS = b"paramiko==4.0 --hash=sha256:00\n"
run_for_real = shell.run
IMAGE = "docker.io/library/python@sha256:" + "a" * 64


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("hostler/__init__.py", "")
    return out.getvalue()


class Ran:
    """What was run in place of Docker's client; pip writes one file."""

    def __init__(self, root: Path) -> None:
        self.root, self.words, self.rc, self.stdout = root, list[tuple[str, ...]](), 0, ""

    def __call__(self, argv: Sequence[str], *_: Any, **__: Any) -> shell.Result:
        words = tuple(argv)
        self.words.append(words)
        if "pip" in words and not self.rc:
            target = next(w for w in words if w.endswith(":/site:rw")).partition(":")[0]
            (self.root / target.lstrip("/") / "paramiko.py").write_text("")
        return shell.Result(words, self.rc, self.stdout, "no route to host" if self.rc else "")


@pytest.fixture
def ran(root: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """A gateway's host on which `up` has put everything, and Docker has the image."""
    folder = root / sites.FOLDER.lstrip("/")
    folder.mkdir(parents=True)
    (folder / sites.PINS).write_bytes(PINS)
    (folder / sites.PROGRAM).write_bytes(archive())
    wish = {
        "image": IMAGE,
        "index": "",
        "program": sha256(archive()).hexdigest(),
        "requirements": sha256(PINS).hexdigest(),
    }
    (folder / sites.SETTINGS).write_text(json.dumps(wish))
    found = Ran(root)
    monkeypatch.setattr(shell, "run", found)
    monkeypatch.setattr(docker, "image", lambda _: {"Id": "sha256:image"})
    monkeypatch.setattr(docker, "inspect", lambda _: None)
    monkeypatch.setattr(docker, "remove", lambda _: False)
    monkeypatch.setattr(docker, "stop", lambda *_: False)
    monkeypatch.setattr(docker, "containers", list[Any])
    monkeypatch.setattr(docker, "confines_by_selinux", lambda: False)
    return found


def built(root: Path) -> list[str]:
    return sorted(path.name for path in (root / sites.SITES.lstrip("/")).iterdir())


def test_it_is_installed_once_by_checksums_alone(call: Call, ran: Ran, root: Path) -> None:
    assert call("controller-install")["changed"] is True
    (words,) = ran.words
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(words)
    assert words[words.index("--cap-drop") + 1] == "ALL"
    (site,) = built(root)
    inside = root / sites.SITES.lstrip("/") / site
    assert (inside / "hostler/__init__.py").exists()
    assert (inside / "paramiko.py").exists()
    assert call("controller-install")["changed"] is False
    assert len(ran.words) == 1


def test_it_knows_on_which_host_it_is(ran: Ran) -> None:
    files.write_json(files.STACK, {"uid": "u1", "stack": "office", "epoch": 1, "host": "gpu-1"})
    assert "HOSTLER_CONTROLLER_HOST=gpu-1" in sites.environment()


def test_one_that_was_cut_short_is_not_there(call: Call, ran: Ran, root: Path) -> None:
    ran.rc = 1
    with pytest.raises(NodeError, match="could not be installed: no route to host"):
        call("controller-install")
    assert built(root) == []
    ran.rc = 0
    assert call("controller-install")["changed"] is True


def test_what_an_earlier_version_ran_goes(call: Call, ran: Ran, root: Path) -> None:
    call("controller-install")
    (first,) = built(root)
    folder = root / sites.FOLDER.lstrip("/")
    wish = json.loads((folder / sites.SETTINGS).read_text())
    (folder / sites.SETTINGS).write_text(json.dumps({**wish, "image": IMAGE.replace("a" * 64, "b" * 64)}))
    assert call("controller-install")["changed"] is True
    (second,) = built(root)
    assert second != first


@pytest.mark.parametrize("name", [sites.SERVING, sites.SERVING + "-1700000000", sites.CONTAINER])
def test_what_runs_keeps_its_folder_until_the_next_time(
    call: Call, ran: Ran, root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It imports more than it has imported yet."""
    call("controller-install")
    (first,) = built(root)
    there = [
        {"Names": ["/" + name], "Mounts": [{"Source": f"{sites.SITES}/{first}"}, {"Source": sites.KEPT}]},
        {"Names": ["/other"], "Mounts": [{"Source": "/srv/" + first}, {}]},
    ]
    monkeypatch.setattr(docker, "containers", lambda: there)
    settings = root / sites.FOLDER.lstrip("/") / sites.SETTINGS
    for digit in "bc":
        wish = json.loads(settings.read_text())
        settings.write_text(json.dumps({**wish, "image": IMAGE.replace("a" * 64, digit * 64)}))
        call("controller-install")
    assert len(built(root)) == 2
    assert first in built(root)
    there.clear()
    assert call("controller-install")["changed"] is True
    assert len(built(root)) == 1
    assert first not in built(root)


@pytest.mark.parametrize("name", [sites.PROGRAM, sites.PINS])
def test_another_content_is_never_run(call: Call, ran: Ran, root: Path, name: str) -> None:
    path = root / sites.FOLDER.lstrip("/") / name
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(NodeError, match="not as it was brought"):
        call("controller-install")
    assert built(root) == []


def test_an_index_of_the_office_is_asked_in_place_of_pypi(call: Call, ran: Ran, root: Path) -> None:
    path = root / sites.FOLDER.lstrip("/") / sites.SETTINGS
    path.write_text(
        json.dumps({**json.loads(path.read_text()), "index": "https://pypi.office.example/simple"})
    )
    call("controller-install")
    (words,) = ran.words
    assert words[words.index("--index-url") + 1] == "https://pypi.office.example/simple"


def test_the_proof_is_its_own_word(call: Call, ran: Ran) -> None:
    ran.stdout = 'a warning\n{"hosts": {"gpu-1": "", "gpu-2": "no answer"}}\n'
    assert call("controller-prove")["hosts"] == {"gpu-1": "", "gpu-2": "no answer"}
    words = ran.words[-1]
    assert words[-3:] == ("-m", "hostler.controller", "prove")
    assert "--read-only" in words
    assert f"{sshkey.private()}:{sshkey.private()}:ro" in words
    assert not any("TOKEN" in word for word in words)


TIMER, SERVICE, TICK = running.TIMER, running.SERVICE, running.TICK
RENTING = running.RENT % "*"
ACTIVE = {"active": "active"}


@pytest.mark.parametrize(
    ("states", "wanted", "due", "commands"),
    [
        ({}, [TIMER], False, [f"start {TIMER}", f"stop {RENTING}"]),
        ({}, [TIMER, SERVICE], False, [f"start {TIMER}", f"start {SERVICE}"]),
        ({TIMER: ACTIVE, SERVICE: ACTIVE}, [TIMER, SERVICE], False, []),
        # what was brought anew is taken in; the timer's next turn does that by itself
        ({TIMER: ACTIVE, SERVICE: ACTIVE}, [TIMER, SERVICE], True, [f"stop {SERVICE}", f"start {SERVICE}"]),
        ({SERVICE: {"active": "activating"}}, [SERVICE], False, [f"stop {TICK}"]),
        # without a daemon-reload
        (
            {TIMER: {**ACTIVE, "reload_due": True}},
            [TIMER],
            False,
            [f"stop {TIMER}", f"start {TIMER}", f"stop {RENTING}"],
        ),
        ({TIMER: ACTIVE, SERVICE: ACTIVE}, [SERVICE], False, [f"stop {TIMER}", f"stop {TICK}"]),
        (
            {TIMER: ACTIVE, SERVICE: ACTIVE},
            [],
            False,
            [f"stop {TIMER}", f"stop {SERVICE}", f"stop {TICK}", f"stop {RENTING}"],
        ),
        ({}, [], False, [f"stop {TICK}", f"stop {RENTING}"]),
    ],
)
def test_its_units(
    states: dict[str, Any],
    wanted: list[str],
    due: bool,
    commands: list[str],
    call: Call,
    ran: Ran,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in running.STARTED:
        path = root / (running.FOLDER + name).lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    if due:
        files.write(sites.DUE, b"")
    monkeypatch.setattr(units, "states", lambda names: {name: states.get(name) for name in names})
    asked: list[str] = []

    def systemctl(*words: str, **_: Any) -> shell.Result:
        asked.append(" ".join(words))
        return shell.Result(words, 0, "", "")

    monkeypatch.setattr(instances, "systemctl", systemctl)
    files.write(running.STATES, b"{}")
    files.write(running.SPENT, b"ci 1 x\n")
    answer = call("controller-timer", units=dict.fromkeys(wanted, True))
    assert asked == commands
    for said in (running.STATES, running.SPENT):
        assert (files.read(said) is not None) is (SERVICE in wanted)
    assert files.read(sites.DUE) is None
    for name in running.STARTED:
        assert (root / instances.WANTS.lstrip("/") / name).is_symlink() is (name in wanted)
    assert (root / sites.FOLDER.lstrip("/")).exists() is bool(wanted)
    assert answer["changed"] is True


def test_what_was_installed_and_not_started_is_due(
    call: Call, ran: Ran, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a run that was interrupted, or whose start failed: the next one starts it anew."""
    call("controller-install")
    call("controller-install")
    assert files.read(sites.DUE) is not None
    files.write(running.FOLDER + SERVICE, b"")
    monkeypatch.setattr(units, "states", lambda names: dict.fromkeys(names, ACTIVE))
    said = [shell.Result((), 1, "", "it fails")]
    monkeypatch.setattr(
        instances,
        "systemctl",
        lambda *words, **_: said[0] if words[0] == "start" else shell.Result((), 0, "", ""),
    )
    with pytest.raises(NodeError, match="it fails"):
        call("controller-timer", units={SERVICE: True})
    assert files.read(sites.DUE) is not None
    said[0] = shell.Result((), 0, "", "")
    assert call("controller-timer", units={SERVICE: True})["changed"] is True
    assert files.read(sites.DUE) is None
    assert call("controller-timer", units={SERVICE: True})["changed"] is False


def test_it_waits_for_the_gateways_folder(call: Call, ran: Ran, root: Path) -> None:
    """Docker would make it, as root's."""
    with pytest.raises(NodeError, match="not there yet"):
        call("controller-serve")
    assert ran.words == []


def test_what_serves_requests_sees_no_secret_that_is_for_renting(
    call: Call, ran: Ran, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / files.GATEWAY_RUN.lstrip("/")).mkdir(parents=True)
    folder = root / sites.FOLDER.lstrip("/")
    (folder / "secrets").mkdir()
    (folder / "secrets/AWS").write_text("x")
    wish = json.loads((folder / sites.SETTINGS).read_text())
    (folder / sites.SETTINGS).write_text(json.dumps({**wish, "rights": ["AWS", "GONE"]}))
    run = list[list[str]]()
    monkeypatch.setattr(controller, "_followed", lambda words, *_, **__: run.append(list(words)) or 0)
    call("controller-serve")
    call("controller-run")
    over = f"/dev/null:{sites.FOLDER}/secrets/AWS:ro"
    (serves, updates) = run
    assert serves[serves.index(over) - 1] == "--volume"
    assert over not in updates
    assert not any("GONE" in word for word in serves)


CLIENT = """#!/bin/sh
echo "$1 $2 $3 $4" >> "$(dirname "$0")/said"
if [ "$1" = run ]; then touch "$(dirname "$0")/runs"; exec sleep 600; fi
if [ "$1" = rename ]; then exit RENAMED; fi
if [ "$1" = kill ] && [ RENAMED != 0 ]; then kill "$(cat "$(dirname "$0")/pid")"; fi
"""


@pytest.mark.parametrize("renamed", [0, 1], ids=["", "it cannot be put aside"])
def test_told_to_end_it_makes_room_for_its_successor(
    call: Call, ran: Ran, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, renamed: int
) -> None:
    """Its container ends by itself, when its last answers are over: nobody waits for that."""
    (root / files.GATEWAY_RUN.lstrip("/")).mkdir(parents=True)
    call("controller-install")
    client = tmp_path / "docker"
    client.write_text(
        CLIENT.replace("RENAMED", str(renamed)).replace("exec sleep", f"echo $$ > {tmp_path}/pid; exec sleep")
    )
    client.chmod(0o755)
    monkeypatch.setattr(controller, "CLIENT", (str(client),))
    monkeypatch.setattr(shell, "run", run_for_real)

    def told() -> None:
        end = time.monotonic() + 20
        while not (tmp_path / "runs").exists() and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=told)
    thread.start()
    answer = call("controller-serve")
    thread.join()
    said = (tmp_path / "said").read_text().splitlines()[1:]
    aside = said[0].split()[2]
    assert aside.startswith("hostler-controller-")
    assert said[0].startswith(f"rename hostler-controller {aside}")
    assert said[1] == f"kill --signal TERM {'hostler-controller' if renamed else aside}"
    assert answer["why"] == ("it ended with -15" if renamed else "it ended with 0")


def test_what_ends_by_itself_goes_with_all_of_it(
    call: Call, ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = (
        "hostler-controller-1700000000",
        "hostler-controller",
        "hostler-rent-burst-0",
        "hostler_chat-0",
        "other",
    )
    stopped: list[str] = []
    monkeypatch.setattr(docker, "containers", lambda: [{"Names": ["/" + name]} for name in there])
    monkeypatch.setattr(docker, "stop", lambda name, _: stopped.append(name))
    monkeypatch.setattr(units, "states", lambda _: {})
    monkeypatch.setattr(instances, "systemctl", lambda *words, **_: shell.Result(words, 0, "", ""))
    call("controller-timer", units={})
    assert set(there[:3]) <= set(stopped)
    assert not set(there[3:]) & set(stopped)


def test_a_turn_that_goes_on_is_left_alone(call: Call, ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "inspect", lambda _: {"State": {"Running": True}})
    assert call("controller-run")["changed"] is False
    assert ran.words == []


def rents(state: str) -> bytes:
    return json.dumps({"state": state, "at": 1.0, "why": "", "took_s": 240.0}).encode()


@pytest.mark.parametrize("goes", ["active", "activating", "failed", "inactive"])
def test_a_machine_is_rented_in_a_unit_of_its_own(
    call: Call, ran: Ran, monkeypatch: pytest.MonkeyPatch, goes: str
) -> None:
    """It outlives who asks; what became of the last one counts no more."""
    files.write(sites.RENTS + "/burst-0.json", rents("failed"))
    asked: list[str] = []

    def systemctl(*words: str, **_: Any) -> shell.Result:
        asked.append(" ".join(words))
        return shell.Result(words, 0, goes + "\n", "")

    monkeypatch.setattr(instances, "systemctl", systemctl)
    already = goes in ("active", "activating")
    assert call("controller-rent", slot="burst-0")["changed"] is not already
    assert ("start --no-block hostler-rent@burst-0.service" in asked) is not already
    assert files.read_json(sites.RENTS + "/burst-0.json")["state"] == ("failed" if already else "working")


def test_a_machine_whose_unit_does_not_start(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    results = iter([0, 0, 1])
    monkeypatch.setattr(
        instances, "systemctl", lambda *words: shell.Result(words, next(results), "", "no such unit")
    )
    with pytest.raises(NodeError, match="no such unit"):
        call("controller-rent", slot="burst-0")


def test_what_fails_before_its_container_is_said(call: Call, ran: Ran) -> None:
    ran.rc = 1
    for failures in (1, 2):
        with pytest.raises(NodeError, match="could not be installed"):
            call("controller-rent-run", slot="burst-0")
        told = files.read_json(sites.RENTS + "/burst-0.json")
        assert (told["state"], told["failures"]) == ("failed", failures)
        assert "could not be installed" in told["why"]


def test_a_container_that_goes_on_without_its_agent_is_waited_for(
    call: Call, ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write(sites.RENTS + "/burst-0.json", rents("working"))
    monkeypatch.setattr(docker, "inspect", lambda _: {"State": {"Running": True}})
    monkeypatch.setattr(docker, "remove", lambda _: pytest.fail("it was removed"))
    monkeypatch.setattr(docker, "wait", lambda name: 0 if name == "hostler-rent-burst-0" else 1)
    call("controller-rent-run", slot="burst-0")
    assert files.read_json(sites.RENTS + "/burst-0.json")["state"] == "done"
    assert ran.words == []


def test_one_after_the_other(call: Call, ran: Ran, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def followed(_: Sequence[str]) -> int:
        with (root / sites.TURN.lstrip("/")).open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return 0

    monkeypatch.setattr(controller, "_followed", followed)
    call("controller-rent-run", slot="burst-0")


@pytest.mark.parametrize(
    ("says", "rc", "state", "why"),
    [
        ("done", 0, "done", ""),
        ("failed", 5, "failed", ""),  # its own word, with its own reason
        ("", 137, "failed", "it was ended (137)"),
        ("", 0, "done", ""),
    ],
)
def test_what_became_of_it(
    call: Call, ran: Ran, monkeypatch: pytest.MonkeyPatch, says: str, rc: int, state: str, why: str
) -> None:
    path = sites.RENTS + "/burst-0.json"
    files.write(path, rents("done"))

    def followed(words: Sequence[str]) -> int:
        assert tuple(words)[-3:] == ("hostler.controller", "rent", "burst-0")
        assert words[words.index("--name") + 1] == "hostler-rent-burst-0"
        assert not any("SECRET" in word or "AWS" in word for word in words)
        assert files.read_json(path)["state"] == "working"
        if says:
            files.write(path, rents(says))
        return rc

    monkeypatch.setattr(controller, "_followed", followed)
    call("controller-rent-run", slot="burst-0")
    told = files.read_json(path)
    assert (told["state"], told["why"], told["took_s"]) == (state, why, 240.0)


def test_where_it_may_rent_its_proof_has_time_to_fetch_pulumi(
    call: Call, ran: Ran, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float] = []
    monkeypatch.setattr(shell, "run", lambda words, limit: limits.append(limit) or ran(words))
    ran.stdout = '{"hosts": {}, "rents": "no credentials"}\n'
    assert call("controller-prove")["rents"] == "no credentials"
    pins = PINS + b"pulumi==3.259.0 --hash=sha256:00\n"
    (root / sites.FOLDER.lstrip("/") / sites.PINS).write_bytes(pins)
    call("controller-prove")
    assert limits[-2:] == [controller.PROVE_S, controller.FETCH_S]


def test_a_hold_and_its_end(call: Call, root: Path) -> None:
    call("controller-hold", why="an exam", who="anna", until=5)
    hold = root / controller.HOLD.lstrip("/")
    assert json.loads(hold.read_text()) == {"why": "an exam", "who": "anna", "until": 5.0}
    call("controller-hold", why="")
    assert not hold.exists()
    assert (root / controller.GO_ON.lstrip("/")).exists()


def test_its_key_is_made_once_and_never_leaves(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.chown", lambda *_, **__: None)
    name: Callable[[str], Path] = lambda path: root / path.lstrip("/")  # noqa: E731 - short
    assert not certs.is_good("controller", "gpu-1")
    certs._make("controller", "gpu-1")  # pyright: ignore[reportPrivateUsage]
    assert certs.is_good("controller", "gpu-1")
    public = name(sshkey.public()).read_text()
    assert public.startswith("ssh-ed25519 ")
    assert public.endswith("hostler-updates@gpu-1\n")
    assert name(sshkey.private()).stat().st_mode & 0o777 == 0o600
    name(sshkey.public()).write_text(public.replace("AAAA", "AAAB", 1))
    assert not certs.is_good("controller", "gpu-1")
    assert files.read(sshkey.private())


@pytest.mark.parametrize(
    ("texts", "port"),
    [
        ({}, 22),
        ({"sshd_config": "#Port 2200\nPermitRootLogin no\n"}, 22),
        ({"sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\nPort 2200\n"}, 2200),
        ({"sshd_config": "Port 2200\n", "sshd_config.d/10-ours.conf": "port 2222\n"}, 2222),
    ],
)
def test_where_ssh_listens(root: Path, texts: dict[str, str], port: int) -> None:
    for name, text in texts.items():
        path = root / "etc/ssh" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert machine.ssh_port() == port
