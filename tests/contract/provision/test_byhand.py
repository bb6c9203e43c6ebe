"""The Pulumi CLI driven by a person: in infra/, and through `hostler pulumi --`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from contract.provision.aws import Account, Rents, slot
from contract.provision.scene import Scene, seen
from hostler.errors import RefusedError, UsageError
from hostler.provision.locations import environment

CHECKOUT = Path(__file__).resolve().parents[3]
FILE = 'stack: lab\npools: {home: [local]}\nmodels: {chat: "hf:bartowski/Meta-Llama-3-8B-Instruct-GGUF:Q4_K_M"}\n'


@pytest.fixture
def pulumi(tmp_path: Path, cli: Path):
    """Runs the CLI in a copy of infra/ with the stand-in of its language host on PATH."""
    tools = tmp_path / "bin"
    tools.mkdir()
    language = tools / "pulumi-language-python"
    language.write_text(f'#!/bin/sh\nexec {sys.executable} {CHECKOUT}/tests/tools/language_host.py "$@"\n')
    language.chmod(0o755)
    infra = tmp_path / "checkout" / "infra"
    infra.mkdir(parents=True)
    for name in ("Pulumi.yaml", "__main__.py", "plugin", "hostler"):
        (infra / name).symlink_to(CHECKOUT / "infra" / name)
    (tmp_path / "lab.yaml").write_text(FILE)
    (tmp_path / "backend").mkdir()
    environ = {
        **os.environ, "PATH": f"{tools}:{cli.parent}:{os.environ['PATH']}", "PYTHONPATH": str(infra),
        "HOSTLER_PYTHON": sys.executable, "HOSTLER_STACK": str(tmp_path / "lab.yaml"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}/backend", "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_CONFIG_PASSPHRASE": "x", "PULUMI_SKIP_UPDATE_CHECK": "true",
    }  # fmt: skip

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        flags = ("--non-interactive", "--color", "never")
        return subprocess.run(
            [str(cli), *words, *flags],
            cwd=infra,
            env=environ | more,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_pulumi_preview_by_hand(pulumi) -> None:
    assert pulumi("stack", "init", "lab").returncode == 0
    shown = pulumi("preview", "--stack", "lab", "--diff")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "+ hostler:index:OwnedHost: (create)" in shown.stdout
    assert f'machineId: "{Path("/etc/machine-id").read_text().strip()}"' in shown.stdout
    assert pulumi("up", "--yes", "--skip-preview", "--stack", "lab").returncode == 0
    again = pulumi("preview", "--refresh", "--stack", "lab", "--expect-no-changes")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Traceback" not in again.stdout + again.stderr


def test_a_wrong_stack_file_by_hand_is_one_line(pulumi, tmp_path: Path) -> None:
    pulumi("stack", "init", "lab")
    shown = pulumi("preview", "--stack", "lab", HOSTLER_STACK=str(tmp_path / "nowhere.yaml"))
    assert shown.returncode != 0
    assert "expected a stack file" in shown.stdout + shown.stderr
    assert "Traceback" not in shown.stdout + shown.stderr


def test_passthrough_is_the_real_cli_on_this_stack(office: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    assert office.fleet().passthrough(["stack", "export"]) == 0
    exported = json.loads(capfd.readouterr().out)
    assert len([item for item in exported["deployment"]["resources"] if item.get("id")]) == 3
    assert office.fleet().passthrough(["preview", "--expect-no-changes"], office.hosts, office.seen) == 0
    assert "unchanged" in capfd.readouterr().out
    assert office.fleet().passthrough(["no-such-verb"]) != 0


def test_passthrough_refresh_shows_a_lost_card(office: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    office.answers = {"gpu-1": seen("gpu-1", ("a",))}
    words = ["refresh", "--preview-only", "--diff", "--color", "never"]
    assert office.fleet().passthrough(words, office.hosts, office.seen) == 0
    shown = capfd.readouterr().out
    assert "GPU-gpu-1-b" in shown
    assert "1 to update" in shown


def test_passthrough_without_hosts_cannot_delete_them(office: Scene) -> None:
    for words in (("up", "--yes"), ("preview",), ("--color", "never", "up", "--yes")):
        with pytest.raises(UsageError):
            office.fleet().passthrough(words)
    assert sorted(office.resources()) == ["gpu-1", "gpu-2"]


def test_our_own_state_with_the_cli_by_hand(office: Scene, cli: Path) -> None:
    """What the README of the room says: backend and passphrase file are all that it needs."""
    known = environment(office.fleet().places)
    names = ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE_FILE")
    environ = {
        **os.environ,
        **{name: known[name] for name in names},
        "PULUMI_HOME": str(office.base / "other"),
    }
    words = [str(cli), "stack", "export", "--stack", "organization/hostler/lab"]
    done = subprocess.run(words, cwd=office.base, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_by_hand_nothing_rented_is_ended(pulumi, tmp_path: Path) -> None:
    rents = "  burst: {aws: {regions: [eu-central-1], instances: [g5.xlarge]}, count: 1}"
    file = FILE.replace("{home: [local]}", f"\n  home: [local]\n{rents}")
    file = file.replace('chat: "hf', 'chat: {pool: home, source: "hf').replace('"}', '"}}')
    (tmp_path / "rents.yaml").write_text(file)
    pulumi("stack", "init", "lab")
    shown = pulumi("preview", "--stack", "lab", HOSTLER_STACK=str(tmp_path / "rents.yaml"))
    assert shown.returncode != 0
    assert "pools burst: expected owned hosts" in shown.stdout + shown.stderr


ENDING = [
    (("up", "--yes", "--skip-preview"), "hostler up"),
    (("--color", "never", "destroy", "--yes"), "hostler down"),
    (("dn", "--yes"), "hostler down"),
    (("stack", "rm", "--force", "--yes"), "hostler down"),
    (("-s", "lab", "stack", "rm", "--force"), "hostler down"),
    (("state", "delete", "urn:pulumi:lab::hostler::aws:ec2/instance:Instance::burst-0"), "hostler down"),
    (("stack", "import", "--file", "older.json"), "hostler down"),
    (("stack", "change-secrets-provider", "passphrase"), "state.kms"),
]


def test_passthrough_looks_at_what_is_rented_and_ends_none(
    account: Account, rents: Rents, capfd: pytest.CaptureFixture[str]
) -> None:
    wish = rents.wish(slot("burst-0"))
    assert rents.fleet().passthrough(["preview"], rents.hosts, rents.seen, wish) == 0
    assert "burst-0" in capfd.readouterr().out
    with pytest.raises(RefusedError, match="never up"):
        rents.fleet().passthrough(["stack", "export"], rents.hosts, rents.seen)
    assert account.client("s3").list_buckets()["Buckets"] == []  # a look makes none
    rents.rent(slot("burst-0"))
    for words, step in ENDING:
        with pytest.raises(RefusedError) as raised:
            rents.fleet().passthrough(words, rents.hosts, rents.seen)
        assert step in raised.value.problems[0].next_step
    assert list(account.slots()) == ["burst-0"]
    capfd.readouterr()
    assert rents.fleet().passthrough(["destroy", "--help"]) == 0
    assert rents.fleet().passthrough(["preview", "--expect-no-changes"], rents.hosts, rents.seen, wish) == 0
    assert "unchanged" in capfd.readouterr().out
    shown = ["destroy", "--preview-only", "--color", "never", "--non-interactive"]
    assert rents.fleet().passthrough(shown, rents.hosts, rents.seen) == 0
    assert "burst-0" in capfd.readouterr().out


@pytest.mark.soak
def test_passthrough_refresh_sees_what_was_ended_by_hand(
    account: Account, rents: Rents, capfd: pytest.CaptureFixture[str]
) -> None:
    rents.rent(slot("burst-0"))
    (machine,) = account.living()
    account.client("ec2").terminate_instances(InstanceIds=[machine["InstanceId"]])
    words = ["refresh", "--preview-only", "--color", "never", "--non-interactive"]
    assert rents.fleet().passthrough(words, rents.hosts, rents.seen) == 0
    assert "burst-0" in capfd.readouterr().out
    assert rents.fleet().passthrough(["refresh", "--yes", "--skip-preview"], rents.hosts, rents.seen) == 0
    assert rents.fleet().rented() == ()
    rents.rent(slot("burst-0"))
    assert list(account.slots()) == ["burst-0"]
