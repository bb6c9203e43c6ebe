"""Names, addresses and keys of a state in a bucket; no cloud is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostler.errors import UsageError
from hostler.provision.bucket import LONGEST, NAME, Bucket, own_name, split
from hostler.provision.bucket_life import ours_in
from hostler.provision.locations import Locations


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("s3://", (True, "", "")),
        ("s3://office-hostler", (False, "office-hostler", "")),
        ("s3://office-hostler/team/a/", (False, "office-hostler", "team/a")),
    ],
)
def test_split(state: str, expected: tuple[bool, str, str]) -> None:
    assert split(state) == expected


@pytest.mark.parametrize(
    "state", ["office", "gs://x-y-z", "s3:///prefix", "s3://No_Name", "s3://x", "s3://abc?region=eu"]
)
def test_what_is_no_bucket(state: str) -> None:
    with pytest.raises(UsageError, match="expected s3://BUCKET or s3://BUCKET/PREFIX"):
        split(state)


@pytest.mark.parametrize(
    "stack", ["office", "Office", "a_b", "a.b", "o" * 42, "o" * 43, "o" * 100, "o" * 99 + "p", "-"]
)
def test_the_accounts_own_bucket(stack: str) -> None:
    found = own_name("123456789012", stack)
    assert NAME.fullmatch(found)
    assert len(found) <= LONGEST
    assert found.startswith("hostler-123456789012-")


def test_two_stacks_never_share_it() -> None:
    stacks = [
        "office",
        "Office",
        "OFFICE",
        "of-fice",
        "of_fice",
        "of.fice",
        "o" * 42,
        "o" * 43,
        "o" * 100,
        "o" * 99 + "p",
    ]
    assert len({own_name("123456789012", stack) for stack in stacks}) == len(stacks)
    assert own_name("123456789012", "office") == "hostler-123456789012-office"


def bucket(tmp_path: Path, state: str = "s3://office-hostler/team", stack: str = "lab") -> Bucket:
    made = Bucket(Locations.of(stack, tmp_path), state)
    made.__dict__["_region"] = "eu-central-1"
    return made


def test_the_clis_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    assert bucket(tmp_path).url == "s3://office-hostler/team?region=eu-central-1"
    assert bucket(tmp_path, "s3://office-hostler").url == "s3://office-hostler?region=eu-central-1"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio.lan:9000")
    end = "&endpoint=http%3A%2F%2Fminio.lan%3A9000&s3ForcePathStyle=true"
    assert bucket(tmp_path).url == f"s3://office-hostler/team?region=eu-central-1{end}"


OURS = [
    "stacks/hostler/lab.json", "stacks/hostler/lab.json.bak", "history/hostler/lab/lab-1.history.json",
    "backups/hostler/lab/lab.1.json", "locks/organization/hostler/lab/1f.json",
]  # fmt: skip
THEIRS = [
    "stacks/hostler/lab2.json", "stacks/hostler/lab.json.json", "stacks/other/lab.json", "history/hostler/lab2/lab-1.json",
    "locks/organization/hostler/lab.json/1f.json", "meta.yaml",
]  # fmt: skip


def test_whose_a_key_is(tmp_path: Path) -> None:
    ours = ours_in(bucket(tmp_path))
    assert all(ours(f"team/.pulumi/{key}") for key in OURS)
    assert ours("team/.hostler/lab/record.json")
    assert not any(ours(f"team/.pulumi/{key}") or ours(f".pulumi/{key}") for key in THEIRS)
    assert not any(ours(key) for key in ("team/.hostler/lab2/record.json", ".pulumi/stacks/hostler/lab.json"))
    at_the_top = ours_in(bucket(tmp_path, "s3://office-hostler"))
    assert at_the_top(".pulumi/stacks/hostler/lab.json")
