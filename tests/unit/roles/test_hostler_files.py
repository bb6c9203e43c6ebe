"""The file module, run by Ansible on this machine: check, apply, and nothing the second time."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hostler import resources

OWNER = {"owner": "root", "group": "root"}
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files get their owners: needs root")


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def call(
    folder: Path, entries: list[dict[str, Any]], *, check: bool = False, due: str = "", memory: int = 0
) -> dict[str, Any]:
    """What the module answers."""
    done = ran(folder, entries, check=check, due=due, memory=memory)
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def ran(
    folder: Path, entries: list[dict[str, Any]], *, check: bool = False, due: str = "", memory: int = 0
) -> subprocess.CompletedProcess[str]:
    """The module as Ansible calls it: one process, its arguments on stdin. What it would log is on stderr."""
    arguments: dict[str, Any] = {"entries": entries, "_ansible_check_mode": check, "_ansible_diff": True}
    arguments["_ansible_inject_invocation"] = (
        True  # as Ansible asks for it: arguments come back in the answer
    )
    arguments |= {"_ansible_tmpdir": str(folder), "_ansible_remote_tmp": str(folder)}
    if due:
        arguments["due"] = due
    script = "import sys, runpy; from ansible.module_utils.testing import patch_module_args; import json\n"
    script += "from ansible.module_utils.basic import AnsibleModule\n"
    script += "AnsibleModule.log = lambda self, text, log_args=None: print(text, file=sys.stderr)\n"
    script += (
        "with patch_module_args(json.load(sys.stdin)): runpy.run_path(sys.argv[1], run_name='__main__')\n"
    )
    program = str(resources.playbooks() / "library" / "hostler_files.py")
    limited = ["prlimit", f"--as={memory}"] if memory else []
    return subprocess.run(
        [*limited, sys.executable, "-c", script, program],
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        check=False,
    )


def everything(at: Path) -> list[dict[str, Any]]:
    return [
        {"path": f"{at}/etc", "state": "directory", "mode": "0750", **OWNER},
        {"path": f"{at}/etc/text", "text": "läuft {{ nicht }}\n", "mode": "0640", **OWNER},
        {"path": f"{at}/etc/binary", "base64": base64.b64encode(b"\0\xff").decode(), "mode": "0755", **OWNER},
        {"path": f"{at}/etc/secret", "secret": coded("hunter2"), "mode": "0600", **OWNER},
        {
            "path": f"{at}/etc/daemon.json",
            "state": "merged",
            "values": {"live-restore": True, "log": {"a": 1}},
            **OWNER,
        },
    ]


def test_check_shows_all_and_touches_nothing(tmp_path: Path) -> None:
    found = call(tmp_path, everything(tmp_path), check=True, due=f"{tmp_path}/due/x")
    assert found["changed"]
    assert len(found["paths"]) == 5
    assert found["due"]
    assert list(tmp_path.iterdir()) == []


def test_apply_then_nothing_to_do(tmp_path: Path) -> None:
    first, second = call(tmp_path, everything(tmp_path)), call(tmp_path, everything(tmp_path))
    assert (first["changed"], len(first["paths"])) == (True, 5)
    assert (second["changed"], second["paths"], second["diff"]) == (False, [], [])
    assert (tmp_path / "etc/text").read_text() == "läuft {{ nicht }}\n"
    assert (tmp_path / "etc/binary").read_bytes() == b"\0\xff"
    modes = {p.name: f"{stat.S_IMODE(p.stat().st_mode):04o}" for p in (tmp_path / "etc").iterdir()}
    assert modes == {"text": "0640", "binary": "0755", "secret": "0600", "daemon.json": "0644"}
    assert [p.name for p in (tmp_path / "etc").iterdir() if p.name.startswith(".hostler")] == []


@pytest.mark.parametrize("secret", ["hunter2", "-----BEGIN KEY-----\nhunter2\nhunter2\n-----END KEY-----\n"])
def test_a_secret_is_neither_in_the_answer_nor_in_the_log(tmp_path: Path, secret: str) -> None:
    entries = [{"path": f"{tmp_path}/a", "secret": coded(secret), "mode": "0600", **OWNER}]
    done = ran(tmp_path, entries)
    assert f"path': '{tmp_path}/a" in done.stderr
    told = done.stdout + done.stderr
    assert [word for word in ("hunter2", coded(secret), coded(secret)[:20]) if word in told] == []
    assert (tmp_path / "a").read_text() == secret


def test_only_a_mode_that_was_changed_is_mended(tmp_path: Path) -> None:
    call(tmp_path, everything(tmp_path))
    (tmp_path / "etc/text").chmod(0o777)
    found = call(tmp_path, everything(tmp_path))
    assert found["paths"] == [f"{tmp_path}/etc/text"]
    assert (found["diff"][0]["before"][:4], found["diff"][0]["after"][:4]) == ("0777", "0640")


def test_other_keys_of_a_document_stay_and_so_does_its_mode(tmp_path: Path) -> None:
    document = tmp_path / "daemon.json"
    document.write_text('{"dns": ["1.1.1.1"], "log": {"b": 2}, "live-restore": false}')
    document.chmod(0o600)
    entry = {
        "path": str(document),
        "state": "merged",
        "values": {"live-restore": True, "log": {"a": 1}},
        **OWNER,
    }
    assert call(tmp_path, [entry])["changed"]
    assert json.loads(document.read_text()) == {
        "dns": ["1.1.1.1"],
        "log": {"b": 2, "a": 1},
        "live-restore": True,
    }
    assert stat.S_IMODE(document.stat().st_mode) == 0o600
    assert not call(tmp_path, [entry])["changed"]


@pytest.mark.parametrize("damaged", ["{", "[]", "\x00"])
def test_a_damaged_document_is_left_as_it_is(tmp_path: Path, damaged: str) -> None:
    document = tmp_path / "daemon.json"
    document.write_text(damaged)
    found = call(tmp_path, [{"path": str(document), "state": "merged", "values": {"a": 1}, **OWNER}])
    assert found["failed"]
    assert "left as it is" in found["msg"]
    assert document.read_text() == damaged


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("theirs")
    (tmp_path / "text").symlink_to(tmp_path / "other")
    call(tmp_path, [{"path": f"{tmp_path}/text", "text": "ours", **OWNER}])
    assert (tmp_path / "other").read_text() == "theirs"
    assert (tmp_path / "text").read_text() == "ours"
    assert not (tmp_path / "text").is_symlink()


def test_a_merged_document_is_written_where_its_link_points(tmp_path: Path) -> None:
    """Somebody keeps daemon.json in a place of their own: the link, the other keys and the mode stay."""
    target, link = tmp_path / "theirs/daemon.json", tmp_path / "daemon.json"
    target.parent.mkdir()
    target.write_text('{"dns": ["1.1.1.1"]}')
    target.chmod(0o640)
    os.chown(target, 7, 8)
    link.symlink_to("theirs/daemon.json")
    entry = {"path": str(link), "state": "merged", "values": {"live-restore": True}, **OWNER}
    assert call(tmp_path, [entry])["paths"] == [str(link)]
    assert os.readlink(link) == "theirs/daemon.json"
    assert json.loads(target.read_text()) == {"dns": ["1.1.1.1"], "live-restore": True}
    found = target.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o640, 7, 8)
    assert not call(tmp_path, [entry])["changed"]


@pytest.mark.parametrize("target", ["nowhere/daemon.json", "daemon.json"], ids=["dangling", "to itself"])
def test_a_merged_document_behind_a_link_to_nothing(tmp_path: Path, target: str) -> None:
    link = tmp_path / "daemon.json"
    link.symlink_to(target)
    found = call(tmp_path, [{"path": str(link), "state": "merged", "values": {"a": 1}, **OWNER}])
    assert found["failed"]
    assert f"{link}: expected a file; got a link to {target}, which is not there" in found["msg"]
    assert "left as it is" in found["msg"]
    assert os.readlink(link) == target
    assert sorted(p.name for p in tmp_path.iterdir()) == ["daemon.json"]


def test_the_mark_stays_until_somebody_takes_it_away(tmp_path: Path) -> None:
    due, entry = f"{tmp_path}/due/edge", {"path": f"{tmp_path}/a", "text": "1", **OWNER}
    assert call(tmp_path, [entry], due=due)["due"]
    again = call(tmp_path, [entry], due=due)
    assert (again["changed"], again["due"]) == (False, True)
    call(tmp_path, [{"path": due, "state": "absent"}])
    assert not call(tmp_path, [entry], due=due)["due"]


def test_a_mark_is_made_before_the_change(tmp_path: Path) -> None:
    """The second entry fails, so the run ends between a change and its reload."""
    entries = [
        {"path": f"{tmp_path}/a", "text": "1", **OWNER},
        {"path": f"{tmp_path}/none/b", "text": "1", **OWNER},
    ]
    found = call(tmp_path, entries, due=f"{tmp_path}/due/edge")
    assert found["failed"]
    assert (tmp_path / "due/edge").exists()


def test_weights_go_with_their_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "models/x").mkdir(parents=True)
    for name in ("a", "a.json"):
        (tmp_path / "models/x" / name).write_text("")
    entries = [
        {"path": f"{tmp_path}/models/x/{n}", "state": "absent", "prune": True}
        for n in ("a.json", "a.part", "a")
    ]
    call(tmp_path, entries)
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"text": "a", "base64": "YQ==", "secret": "hunter2"}, "expected one of text, base64, secret"),
        ({}, "expected one of text, base64, secret"),
        ({"text": "a", "owner": "nobody-of-that-name"}, "there is no account"),
        ({"state": "gone"}, "value of state must be one of"),
    ],
)
def test_wrong_input_is_refused_by_name(tmp_path: Path, entry: dict[str, Any], words: str) -> None:
    found = call(tmp_path, [{"path": f"{tmp_path}/a", **OWNER, **entry}])
    assert found["failed"]
    assert words in found["msg"]


def test_weights_are_not_read_into_memory_to_be_removed(tmp_path: Path) -> None:
    weights = tmp_path / "model.gguf"
    with weights.open("wb") as file:
        file.truncate(4 << 30)
    done = call(tmp_path, [{"path": str(weights), "state": "absent"}], memory=2 << 30)
    assert done["changed"], done
    assert done["diff"][0]["before"] == "(more than 65536 bytes)\n"
    assert not weights.exists()
