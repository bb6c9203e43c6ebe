"""Killed in the middle of renting, and two at once; each followed by a run that converges."""

from __future__ import annotations

import getpass
import os
import signal

import pytest

from contract.provision.aws import Account, Rents, slot, tag
from contract.provision.scene import Background, wait_for
from hostler.errors import LockedError, ProvisionError
from hostler.provision import state


def begun(account: Account, rents: Rents) -> tuple[Background, int]:
    """A rent whose RunInstances waits for its answer; the CLI's pid, by the lock in the bucket."""
    account.fault("RunInstances", delay=4.0)
    running = Background(lambda: rents.rent(slot("burst-0")))
    wait_for(lambda: account.faults.calls["ec2:RunInstances"])
    (lock,) = rents.fleet().store.locks()
    return running, lock.pid


@pytest.mark.soak
def test_a_killed_cli_and_the_instance_that_nobody_was_told_of(account: Account, rents: Rents) -> None:
    running, pid = begun(account, rents)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ProvisionError, match="got killed by signal 9"):
        running.result()
    assert state.pending(rents.fleet().export())
    wait_for(account.living)
    result = rents.rent(slot("burst-0"))
    said = " | ".join(rents.said)
    assert (
        f"lifting the lock of a process that is gone ({getpass.getuser()}@{os.uname().nodename}, process {pid}"
        in said
    )
    assert "taking over" in said
    assert [one.id for one in result.rented] == [one["InstanceId"] for one in account.living()]
    assert rents.lines(slot("burst-0")) == {}
    assert (rents.fleet().store.locks(), state.pending(rents.fleet().export())) == ((), ())


@pytest.mark.soak
def test_two_at_once(account: Account, rents: Rents) -> None:
    running, pid = begun(account, rents)
    for call in (lambda: rents.rent(slot("burst-0")), rents.fleet().forget, rents.fleet().destroy):
        with pytest.raises(LockedError, match=f"process {pid}"):
            call()
    assert [one.slot for one in running.result().rented] == ["burst-0"]
    assert len(account.living()) == 1


@pytest.mark.soak
def test_one_sigint_finishes_what_is_in_flight(account: Account, rents: Rents) -> None:
    account.fault("RunInstances", delay=2.0)
    fleet = rents.fleet()
    running = Background(
        lambda: fleet.rent(rents.hosts, rents.seen, rents.wish(slot("burst-0")), holdings=account.holdings)
    )
    wait_for(lambda: account.faults.calls["ec2:RunInstances"])
    assert fleet.interrupt()
    with pytest.raises(KeyboardInterrupt):
        running.result()
    assert rents.fleet().store.locks() == ()
    assert [one.slot for one in rents.rent(slot("burst-0")).rented] == ["burst-0"]
    assert len(account.living()) == 1


@pytest.mark.soak
def test_credentials_that_expire_in_the_middle(account: Account, rents: Rents) -> None:
    """Neither the instance nor the state can be asked any more; with new ones the next run takes over what is there."""
    running, _ = begun(account, rents)
    account.fault("*", code="expired", times=0)
    with pytest.raises(ProvisionError, match="expected credentials that are valid now; got") as caught:
        running.result(240)  # Pulumi tries ten times to write the state
    assert "aws sso login" in caught.value.problems[0].next_step
    account.faults.clear()
    assert [one.slot for one in rents.rent(slot("burst-0")).rented] == ["burst-0"]
    assert len(account.living()) == 1
    assert rents.lines(slot("burst-0")) == {}
    assert (rents.fleet().store.locks(), state.pending(rents.fleet().export())) == ((), ())


@pytest.mark.soak
@pytest.mark.parametrize("code", ["InternalError", "denied"])
def test_an_instance_that_does_not_end(account: Account, rents: Rents, code: str) -> None:
    """Not wished any more, it is named with its id; the next run ends it."""
    rents.rent(slot("burst-0"), slot("burst-1"))
    (name,) = (one["InstanceId"] for one in account.living() if tag(one, "hostler:slot") == "burst-1")
    account.fault("TerminateInstances", code=code, times=0)
    with pytest.raises(
        ProvisionError, match=rf"burst-1 \({name} in eu-central-1\): expected it to end"
    ) as caught:
        rents.rent(slot("burst-0"))
    assert "it costs until it is gone" in caught.value.problems[0].next_step
    assert ("permit ec2:TerminateInstances" in caught.value.problems[0].next_step) == (code == "denied")
    with pytest.raises(ProvisionError, match="burst-"):
        rents.fleet().destroy()
    assert sorted(account.slots()) == ["burst-0", "burst-1"]
    account.faults.clear()
    rents.rent(slot("burst-0"))
    assert sorted(account.slots()) == ["burst-0"]
    assert rents.lines(slot("burst-0")) == {}


@pytest.mark.soak
def test_throttled_for_a_while(account: Account, rents: Rents) -> None:
    """Longer than the provider itself tries; nobody has to notice."""
    account.fault("RunInstances", code="throttled", times=4)
    result = rents.rent(slot("burst-0"))
    assert ([one.slot for one in result.rented], result.refusals) == (["burst-0"], ())
    assert len(account.living()) == 1


@pytest.mark.soak
def test_one_that_ends_between_the_look_and_the_run_is_not_made_again(account: Account, rents: Rents) -> None:
    """Without anything to tell it at its birth it would be a machine that nobody reaches, and that never ends itself."""
    rents.rent(slot("burst-0"), slot("burst-1"))
    standing = (slot("burst-0", user_data=""), slot("burst-1", user_data="", lease=1_900_000_000.0))
    (gone,) = (one["InstanceId"] for one in account.living() if tag(one, "hostler:slot") == "burst-0")
    account.client("ec2").terminate_instances(InstanceIds=[gone])
    with pytest.raises(
        ProvisionError, match=r"burst-0.*: expected an instance that runs; got it has ended"
    ) as caught:
        rents.rent(*standing)
    assert "`hostler up`" in caught.value.problems[0].next_step
    (left,) = account.living()
    assert (tag(left, "hostler:slot"), tag(left, "hostler:lease")) == ("burst-1", "1900000000")
    assert [one.slot for one in rents.fleet().rented()] == ["burst-1"]
    rents.rent(slot("burst-0"), standing[1])
    assert sorted(account.slots()) == ["burst-0", "burst-1"]
