"""A look while AWS cannot be asked: what is at home is seen, what is rented is unknown, and never gone."""

from __future__ import annotations

import stat
from io import StringIO
from pathlib import Path

import pytest

from hostler import operator
from hostler.console.out import Out
from hostler.errors import HostError, ProvisionError
from hostler.record import store
from hostler.rollout import keyring, lastknown, stackkey
from worlds import configure_world as world
from worlds.rented_world import ALL_RENTED, HYBRID, SLOTS, Sky, at_home, cloud, host


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return operator.stack_home("office")


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Sky:
    return Sky(monkeypatch)


@pytest.fixture
def expired(there: Sky) -> Sky:
    """After a good look at a machine that answered."""
    there.look()
    there.expire()
    return there


def test_it_is_asked_where_it_was_by_the_key_that_it_had(expired: Sky, state: Path) -> None:
    expired.answers("burst-0")
    found = expired.look()
    assert ("burst-0", "203.0.113.9") in expired.asked
    assert found.host("burst-0").ssh.host_key == "ssh-ed25519 ONE"
    assert found.seen["burst-0"].reached
    assert [one.name for one in found.hosts] == ["gpu-1", "gpu-2", "burst-0"]
    assert stat.S_IMODE((state / lastknown.NAME).stat().st_mode) == 0o600


def test_one_warning_says_why_since_when_and_what_to_do(expired: Sky) -> None:
    found = expired.look()
    warning, step = expired.said
    assert warning.startswith(
        "warning: AWS could not be asked (account of the AWS credentials: expected cred"
    )
    assert (
        f"what is rented is unknown, last seen {lastknown.date(found.cloud.at if found.cloud else 0)}"
        in warning
    )
    assert step == "next: aws sso login"


def test_what_does_not_answer_there_is_unknown(expired: Sky) -> None:
    one = expired.look().seen["burst-0"]
    assert (one.error_kind, one.next_step) == ("unknown", "aws sso login")
    assert one.error == "expected SSH; got no route to host, where it was last; where it is now is unknown"


@pytest.mark.parametrize("spoil", [None, "{", '{"uid": 1}'])
def test_a_machine_that_never_looked_knows_what_the_record_says(
    there: Sky, state: Path, spoil: str | None
) -> None:
    if spoil:
        (state / lastknown.NAME).write_text(spoil)
    there.expire()
    found = there.look()
    assert found.cloud
    assert dict(found.cloud.slots.slots) == SLOTS
    assert (found.cloud.slots.fill, found.cloud.lost) == ((), ())
    assert found.seen["burst-0"].error == "expected its address; got none; where it is now is unknown"
    assert ("burst-0", "203.0.113.9") not in there.asked  # nobody here has the key
    (state / stackkey.NAME).write_text("")
    there.answers("burst-0")
    assert there.look().host("burst-0").ssh.key == str(state / stackkey.NAME)
    assert ("burst-0", "203.0.113.9") in there.asked


def test_one_that_a_colleague_replaced_is_asked_where_the_record_has_it(expired: Sky, state: Path) -> None:
    (state / stackkey.NAME).write_text("")
    newer = at_home(hosts={"burst-0": host("203.0.113.77", "ssh-ed25519 TWO")})
    expired.answers("gpu-1", uid=world.UID, record=store.dump(newer))
    assert expired.look().host("burst-0").ssh.address == "203.0.113.77"
    assert ("burst-0", "203.0.113.77") in expired.asked


def test_one_that_is_no_slot_any_more_is_nobodys(expired: Sky) -> None:
    expired.answers("gpu-1", uid=world.UID, record=store.dump(at_home(slots={})))
    found = expired.look()
    assert {*found.seen} == {"gpu-1", "gpu-2"}


def test_a_rented_gateway_is_asked_where_it_was(there: Sky) -> None:
    record = at_home(gateway_host="burst-0", replicas=(), hosts={"burst-0": host("203.0.113.9")})
    there.answers("burst-0", uid=world.UID, record=store.dump(record))
    there.look(ALL_RENTED)
    there.expire()
    assert there.look(ALL_RENTED).record == record
    del there.seen["burst-0"]
    there.said.clear()
    with pytest.raises(HostError) as raised:
        keyring.listed(world.stack(ALL_RENTED), Out(stderr=StringIO()))
    assert raised.value.problems[0].next_step == "aws sso login"


def test_a_rented_gateway_that_never_was_seen_is_no_stack_that_is_down(there: Sky) -> None:
    there.expire()
    there.answers("gpu-1")
    moved = HYBRID.replace("0-2", "1-2") + "gateway: {host: burst-0, tls: private-ca}\n"
    for text in (ALL_RENTED, moved):
        with pytest.raises(ProvisionError, match="ExpiredToken"):
            there.look(text)


def test_a_gateway_in_its_first_hour_may_have_a_record_by_now(there: Sky) -> None:
    there.aws = cloud(documents={})
    there.look(ALL_RENTED)
    there.expire()
    assert not there.look(ALL_RENTED).home_known
