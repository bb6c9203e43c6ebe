"""A stack whose secrets are under a key of AWS KMS: with the real CLI, from one laptop to the next, and from a passphrase
to a key and back.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contract.provision.aws import REGION, SECRET, Account, Rents, slot
from hostler import operator
from hostler.errors import ProvisionError
from hostler.provision import kms
from hostler.rollout import stackkey

ALIAS = "alias/hostler"
WHERE = f"awskms://{ALIAS}?region={REGION}"
FILE: Any = SimpleNamespace(stack=SimpleNamespace(stack="lab"))


@pytest.fixture
def key(account: Account) -> str:
    """The id of a key that the account's administrator made."""
    return make_key(account)


def make_key(account: Account, alias: str = ALIAS, region: str = REGION) -> str:
    client = account.client("kms", region)
    made = str(client.create_key()["KeyMetadata"]["KeyId"])
    client.create_alias(AliasName=alias, TargetKeyId=made)
    return made


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "stack_home", lambda _: tmp_path)


def provider(rents: Rents) -> str:
    return kms.provider_of(rents.fleet().export())


def test_another_laptop_needs_no_passphrase(
    account: Account, rents: Rents, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rents.key = ALIAS
    rents.rent(slot("burst-0"))
    assert provider(rents) == WHERE
    assert not rents.fleet().places.passphrase.exists()
    public = stackkey.public(FILE, rents.fleet())
    stackkey.share(FILE, rents.fleet())
    private = stackkey.path(FILE, rents.fleet()).read_text()
    there = rents.elsewhere(tmp_path / "b")
    monkeypatch.setattr(operator, "stack_home", lambda _: tmp_path / "b")
    assert stackkey.public(FILE, there.fleet()) == public
    assert there.lines(slot("burst-0")) == {}
    assert not list((tmp_path / "b").rglob("passphrase"))
    _kept_by_nobody(account, SECRET, private.splitlines()[3])
    _stays_in_its_region(rents)


def _stays_in_its_region(rents: Rents) -> None:
    document = rents.fleet().export()
    assert kms.change(ALIAS, "eu-west-1", document) == ()
    assert kms.change(f"{ALIAS}?region=eu-west-1", REGION, document) != ()
    assert kms.change(f"arn:aws:kms:{REGION}:123456789012:{ALIAS}", REGION, document) != ()


def _without_it(account: Account, rents: Rents) -> None:
    """What stands is no secret, and is read; all else says what is missing."""
    account.fault("Decrypt", service="kms", times=0, code="denied")
    with pytest.raises(ProvisionError, match="expected to be permitted kms:Decrypt with it") as raised:
        rents.preview(slot("burst-0"))
    assert "kms:Encrypt and kms:Decrypt" in raised.value.problems[0].next_step
    assert [one.slot for one in rents.fleet().rented()] == ["burst-0"]
    account.faults.clear()
    account.fault(
        "Decrypt", service="kms", times=0, code="DisabledException", message=f"{ALIAS} is disabled."
    )
    with pytest.raises(ProvisionError, match="expected a key that may be used now") as raised:
        rents.preview(slot("burst-0"))
    assert "aws kms enable-key" in raised.value.problems[0].next_step
    account.faults.clear()


def _kept_by_nobody(account: Account, *texts: str) -> None:
    s3 = account.client("s3")
    (bucket,) = s3.list_buckets()["Buckets"]
    objects = s3.list_objects_v2(Bucket=bucket["Name"])["Contents"]
    bodies = [s3.get_object(Bucket=bucket["Name"], Key=one["Key"])["Body"].read() for one in objects]
    assert bodies
    assert not [text for text in texts if any(text.encode() in body for body in bodies)]


@pytest.mark.soak
def test_from_a_passphrase_to_a_key_and_back(
    account: Account, rents: Rents, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = slot("burst-0")
    rents.rent(wish)
    stackkey.public(FILE, rents.fleet())
    stackkey.share(FILE, rents.fleet())
    assert provider(rents) == "passphrase"
    rents.key = key
    said = "encrypted by the passphrase; by KMS key"
    (line,) = rents.lines(wish)["update secrets of the state"]
    assert line.startswith(said)
    assert key in line
    before = account.living()
    stackkey.share(FILE, rents.fleet())
    rents.rent(wish)
    assert kms.key_of(provider(rents)) == (key, REGION)
    assert rents.lines(wish) == {}
    there = rents.elsewhere(tmp_path / "b")
    monkeypatch.setattr(operator, "stack_home", lambda _: tmp_path / "b")
    stackkey.path(FILE, there.fleet())
    assert there.lines(wish) == {}
    _without_it(account, there)
    there.key = ""
    monkeypatch.setenv("HOSTLER_PASSPHRASE", "a new one")
    stackkey.share(FILE, there.fleet())
    there.rent(wish)
    assert provider(there) == "passphrase"
    assert "kms" not in (there.fleet().document("key") or {})
    assert there.lines(wish) == {}
    assert account.living() == before
    there.fleet().destroy()
    assert account.slots() == {}


@pytest.mark.soak
def test_an_interrupted_change_is_finished(account: Account, rents: Rents, key: str) -> None:
    """Pulumi writes its settings first: they say what the state does not say yet."""
    wish = slot("burst-0")
    rents.rent(wish)
    rents.key = f"arn:aws:kms:{REGION}:123456789012:key/{key}"
    settings = rents.fleet().places.settings
    settings.write_text(f"secretsprovider: {WHERE}\nencryptedkey: AAAA\n")
    assert list(rents.lines(wish)) == ["update secrets of the state"]
    rents.rent(wish)
    assert provider(rents) == f"awskms:///{rents.key}?region={REGION}"
    assert rents.lines(wish) == {}


@pytest.mark.parametrize("verb", ["preview", "rent"])
def test_a_key_that_is_not_there(account: Account, rents: Rents, verb: str) -> None:
    rents.key = "alias/nobody"
    with pytest.raises(ProvisionError) as raised:
        getattr(rents, verb)(slot("burst-0"))
    (problem,) = raised.value.problems
    assert problem.where == f"KMS key alias/nobody in {REGION}"
    assert problem.expected == "a key of this name"
    assert f"aws kms list-aliases --region {REGION}" in problem.next_step
    assert account.slots() == {}


def test_no_right_to_it(account: Account, rents: Rents, key: str) -> None:
    rents.key = ALIAS
    account.fault("Encrypt", service="kms", times=0, code="denied")
    with pytest.raises(ProvisionError, match="expected to be permitted kms:Encrypt with it"):
        rents.preview(slot("burst-0"))
    assert account.client("s3").list_buckets()["Buckets"] == []
