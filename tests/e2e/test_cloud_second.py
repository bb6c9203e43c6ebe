"""Two operators and one rented stack: what a plan in a file says is done, by hand nothing is lost, and a second laptop with
the stack file goes on where the first one was, with the passphrase, and with nothing but rights on a key of KMS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from e2e.desk import ROOT, Desk
from e2e.sky import instances, rented_from

if TYPE_CHECKING:
    from lab.cloud.client import Cloud

pytestmark = [pytest.mark.lab, pytest.mark.soak]
STACK = (ROOT / "stacks" / "lab-cloud.yaml").read_text(encoding="utf-8")
ALIAS = "alias/hostler"


@pytest.fixture(scope="module")
def there(wheel: Path, pulumi: Path) -> Iterator[tuple[Desk, Desk, Cloud]]:
    with rented_from("e2e-second", "erin", wheel, pulumi) as (first, cloud):
        second = Desk(first.lab, cloud.admit(first.lab.operator("frank")), wheel, pulumi)
        first.write(STACK)
        second.write(STACK)
        yield first, second, cloud


@pytest.fixture(scope="module")
def erin(there: tuple[Desk, Desk, Cloud]) -> Desk:
    """Who rents."""
    return there[0]


@pytest.fixture(scope="module")
def frank(there: tuple[Desk, Desk, Cloud]) -> Desk:
    """Who has the same stack file on another laptop."""
    return there[1]


@pytest.fixture(scope="module")
def cloud(there: tuple[Desk, Desk, Cloud]) -> Cloud:
    return there[2]


@pytest.fixture(autouse=True)
def clear(cloud: Cloud) -> Iterator[None]:
    yield
    cloud.mend()


def state_of(desk: Desk) -> Path:
    return desk.operator.home / ".local/state/hostler/stacks/lab-cloud"


def saved(desk: Desk) -> Path:
    return desk.operator.home / "plan.json"


def test_by_hand_before_anything_is_rented(erin: Desk, cloud: Cloud) -> None:
    folder = erin.operator.home / "by-hand"
    for words in (("render", str(folder)), ("inventory", "--list")):
        done = erin(*words, code=9)
        assert "burst-0: expected a machine that is there; got not rented yet" in done.err
        assert "`hostler up` rents it" in done.err
    assert not folder.exists()
    shown = erin("pulumi", "--", "preview", "--color", "never", "--non-interactive")
    assert "burst-0" in shown.out
    assert "never up" in erin("pulumi", "--", "stack", "export", code=9).err
    assert "hostler up, which drains first" in erin("pulumi", "--", "up", "--yes", code=9).err
    assert "nothing to remove" in erin("down", "--yes").err
    assert cloud.account() == {}


def test_a_plan_that_was_saved_is_for_one_price(erin: Desk, cloud: Cloud) -> None:
    erin("plan", "--out", str(saved(erin)))
    text = saved(erin).read_text()
    (rents,) = json.loads(text)["plan"]["provision"]
    assert rents["slot"] == "burst-0"
    saved(erin).write_text(text.replace(f'"hourly": {rents["hourly"]}', '"hourly": 0.01'))
    done = erin("up", "--yes", "--plan", str(saved(erin)), code=9)
    assert "burst-0: g5.xlarge on-demand in eu-central-1a costs" in done.err
    saved(erin).write_text(text)
    assert cloud.account() == {}


def test_it_is_applied_verbatim(erin: Desk, frank: Desk, cloud: Cloud) -> None:
    frank("plan", "--out", str(saved(frank)))
    done = erin("up", "--yes", "--plan", str(saved(erin)))
    assert "answered" in done.err
    assert len(instances(cloud)) == 1
    assert "Paris" in erin.ask()
    assert erin("plan", "--check").out == ""


def test_a_slot_that_somebody_filled_meanwhile_is_not_filled_again(
    erin: Desk, frank: Desk, cloud: Cloud
) -> None:
    (machine,) = instances(cloud)
    frank.environment["HOSTLER_PASSPHRASE"] = passphrase(erin)
    done = frank("up", "--yes", "--plan", str(saved(frank)), code=9)
    assert "changed since" in done.err
    assert "make a new plan" in done.err
    assert [one["InstanceId"] for one in instances(cloud)] == [machine["InstanceId"]]


def passphrase(desk: Desk) -> str:
    return (state_of(desk) / "pulumi" / "passphrase").read_text().strip()


def test_without_the_passphrase_it_is_asked_for_by_name(frank: Desk, cloud: Cloud) -> None:
    kept = frank.environment.pop("HOSTLER_PASSPHRASE")
    for path in (state_of(frank) / "id_ed25519", state_of(frank) / "pulumi" / "passphrase"):
        path.unlink(missing_ok=True)
    assert "set HOSTLER_PASSPHRASE" in frank("status", code=4).err  # as it was last known
    done = frank("plan", code=5)
    assert "expected its passphrase in HOSTLER_PASSPHRASE" in done.err
    frank.environment["HOSTLER_PASSPHRASE"] = kept


def test_a_second_laptop_goes_on(erin: Desk, frank: Desk, cloud: Cloud) -> None:
    assert frank("status", "--json").json["models"][0]["ready"] == 1
    assert frank("plan", "--check").out == ""
    assert frank.up("--json").json["changes"] == []
    assert frank("logs", "chat-0").out.strip()
    assert "none" in frank("ssh", "burst-0", "cat", "/var/lib/hostler/lease").out
    assert kept_private(frank)


def kept_private(desk: Desk) -> bool:
    return (state_of(desk) / "id_ed25519").stat().st_mode & 0o777 == 0o600


def test_by_hand_what_is_rented_is_seen_and_not_ended(erin: Desk, cloud: Cloud) -> None:
    (machine,) = instances(cloud)
    hands = ("--color", "never", "--non-interactive")
    assert "unchanged" in erin("pulumi", "--", "preview", "--expect-no-changes", *hands).out
    exported = erin("pulumi", "--", "stack", "export").json
    assert machine["InstanceId"] in {one.get("id") for one in exported["deployment"]["resources"]}
    assert "burst-0" in erin("pulumi", "--", "refresh", "--preview-only", *hands).out
    assert "hostler down, which drains first" in erin("pulumi", "--", "destroy", "--yes", code=9).err
    hosts = erin("inventory", "--list").json["_meta"]["hostvars"]
    assert hosts["burst-0"]["ansible_host"] == machine["PublicIpAddress"]
    folder = erin.operator.home / "by-hand"
    erin("render", str(folder))
    words = ["ansible-playbook", "-i", "inventory.yml", "site.yml"]
    done = erin.operator.run(words, cwd=folder, env=erin.env(), timeout=420)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "changed=0" in done.stdout
    assert erin("plan", "--check").out == ""
    assert len(instances(cloud)) == 1


def test_under_a_key_no_passphrase_is_needed(erin: Desk, frank: Desk, cloud: Cloud) -> None:
    kms = cloud.client("kms")
    kms.create_alias(AliasName=ALIAS, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    for desk in (erin, frank):
        desk.edit("stack: lab-cloud\n", f"stack: lab-cloud\nstate: {{kms: {ALIAS}}}\n")
    planned = erin("plan", "--check", code=10)
    assert "encrypted by the passphrase; by KMS key alias/hostler in eu-central-1 from now on" in planned.out
    assert erin.up().code == 0
    assert erin("plan", "--check").out == ""
    del frank.environment["HOSTLER_PASSPHRASE"]
    frank.operator.run(["rm", "-rf", str(state_of(frank))])
    assert frank("status", "--json").json["models"][0]["ready"] == 1
    assert frank("plan", "--check").out == ""
    assert not (state_of(frank) / "pulumi" / "passphrase").exists()


def test_a_key_that_may_not_be_used(frank: Desk, cloud: Cloud) -> None:
    (state_of(frank) / "id_ed25519").unlink()
    cloud.fault("Decrypt", service="kms", code="denied", times=0)
    assert "expected to be permitted kms:Decrypt with it" in frank("plan", code=5).err


def test_the_end_from_the_second_laptop_is_told_to_the_first(erin: Desk, frank: Desk, cloud: Cloud) -> None:
    assert "gone" in frank("down", "--yes").err
    assert instances(cloud) == []
    assert cloud.account() == {}
    assert "not rented yet" in erin("status", code=(0, 4, 9)).err
    assert "burst-0" in erin("plan").out
    assert "nothing to remove" in erin("down", "--yes").err
