"""Slots: what stands stays, a change comes beside it, what is parked is no drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostler.cloud.slots import Slots, decide
from hostler.cloud.types import Candidate, Rented
from hostler.hosts.types import Slot
from hostler.stackfile.fields import Range
from hostler.stackfile.sections import Aws, Pool, Stack

AWS = Aws(regions=("eu-central-1",), instances=("g5.2xlarge", "g6.2xlarge"), spot="prefer")
HAS = Candidate(region="eu-central-1", zone="eu-central-1a", instance="g5.2xlarge", market="spot")


def stack(low: int, high: int, aws: Aws | None = AWS) -> Stack:
    pool = Pool(aws=aws, count=Range(low, high)) if aws else Pool()
    return Stack(stack="office", pools={"burst": pool}, models={})


def machines(*names: str, has: Candidate = HAS) -> dict[str, Rented]:
    return {
        name: Rented(
            slot=name, pool="burst", id=f"i-{name}", candidate=has, public_ip="", private_ip="", uid="u"
        )
        for name in names
    }


def states(decided: Slots) -> dict[str, str]:
    return {name: slot.state for name, slot in decided.slots.items()}


def after(decided: Slots) -> tuple[Mapping[str, Slot], dict[str, Rented]]:
    """What the record and the state say when it was done."""
    kept = {n: s for n, s in decided.slots.items() if s.state != "retiring"}
    return kept, machines(*decided.of("wanted"))


def test_the_lower_number_is_started_and_the_rest_is_parked() -> None:
    decided = decide(stack(1, 3), {}, {})
    assert states(decided) == {"burst-0": "wanted", "burst-1": "parked", "burst-2": "parked"}
    assert decided.fill == ("burst-0",)
    assert decided.slots["burst-0"].image == "nvidia"


def test_a_second_time_nothing_changes() -> None:
    kept, rented = after(decide(stack(1, 3), {}, {}))
    again = decide(stack(1, 3), kept, rented)
    assert (again.slots, again.fill, again.retire) == (kept, (), ())


def test_a_machine_that_went_by_itself_is_filled_again_under_its_name() -> None:
    kept, _ = after(decide(stack(2, 2), {}, {}))
    assert decide(stack(2, 2), kept, machines("burst-1")).fill == ("burst-0",)


def test_a_machine_of_a_run_that_ended_early_is_known_by_the_state() -> None:
    decided = decide(stack(1, 1), {}, machines("burst-0"))
    assert (states(decided), decided.fill) == ({"burst-0": "wanted"}, ())


def test_fewer_retire_from_the_top() -> None:
    kept, rented = after(decide(stack(3, 3), {}, {}))
    decided = decide(stack(1, 1), kept, rented)
    assert states(decided) == {"burst-0": "wanted", "burst-1": "retiring", "burst-2": "retiring"}
    assert decided.retire == ("burst-1", "burst-2")


@pytest.mark.parametrize(
    ("aws", "why"),
    [
        (replace(AWS, instances=("g6.2xlarge",)), "g5.2xlarge is no longer among g6.2xlarge"),
        (replace(AWS, regions=("eu-west-1",)), "eu-central-1 is no longer among eu-west-1"),
        (replace(AWS, spot="never"), "it is spot, and the file says `spot: never`"),
        (replace(AWS, image="ubuntu-24.04"), "image: nvidia => ubuntu-24.04"),
        (replace(AWS, disk=300 * 2**30), "disk: 200 GiB => 300 GiB"),
        (replace(AWS, subnet="subnet-1"), ""),
    ],
)
def test_another_machine_comes_beside_the_old_one(aws: Aws, why: str) -> None:
    kept, rented = after(decide(stack(1, 1), {}, {}))
    decided = decide(stack(1, 1, aws), kept, rented)
    if not why:  # where its own network was made, a subnet of the user's is another one
        assert states(decided) == {"burst-0": "wanted"}
        return
    assert states(decided) == {"burst-0": "retiring", "burst-1": "wanted"}
    assert (decided.fill, decided.retire) == (("burst-1",), ("burst-0",))
    assert decided.why["burst-0"] == why


def test_other_candidates_alone_exchange_nothing() -> None:
    kept, rented = after(decide(stack(1, 1), {}, {}))
    wider = replace(AWS, instances=("g6e.2xlarge", "g5.2xlarge"), regions=("eu-west-1", "eu-central-1"))
    assert decide(stack(1, 1, wider), kept, rented).slots == kept


def test_what_is_given_back_stays_so_until_it_is_woken() -> None:
    kept, rented = after(decide(stack(2, 2), {}, {}))
    asleep = decide(stack(2, 2), kept, rented, park=("burst-0", "burst-1"))
    assert (asleep.fill, asleep.retire) == ((), ("burst-0", "burst-1"))
    kept, rented = after(asleep)
    again = decide(stack(2, 2), kept, rented)
    assert (again.slots, again.fill) == (kept, ())
    assert decide(stack(2, 2), kept, rented, wake=("burst",)).fill == ("burst-0", "burst-1")


@pytest.mark.parametrize("count", [(0, 2), (2, 2), (1, 3)])
def test_one_that_is_too_old_gets_a_successor_and_goes(count: tuple[int, int]) -> None:
    kept, rented = after(decide(stack(2, 2), {}, {}))
    kept = {name: slot for name, slot in kept.items() if slot.state == "wanted"}
    decided = decide(stack(*count), kept, rented, renew=("burst-0",))
    assert (decided.retire, decided.fill) == (("burst-0",), ("burst-2",))
    assert decided.why["burst-0"] == "it is older than `max_age`"
    there = {**rented, **machines("burst-2")}
    again = decide(stack(*count), kept, there, renew=("burst-0",), filled=("burst-2",))
    assert (again.retire, again.fill, again.of("wanted")) == (("burst-0",), (), ("burst-1", "burst-2"))
    done, rented = after(again)
    assert decide(stack(*count), done, rented, renew=("burst-0",)).retire == ()


def stopped(*names: str) -> dict[str, Rented]:
    return {name: replace(one, state="stopped") for name, one in machines(*names).items()}


def test_what_stopped_keeps_its_machine_until_it_is_woken() -> None:
    kept, rented = after(decide(stack(2, 2), {}, {}))
    there = {**rented, **stopped("burst-0")}
    asleep = decide(stack(2, 2), kept, there, park=("burst-0",), rest=("burst-0",))
    slot = asleep.slots["burst-0"]
    assert (slot.state, slot.given_back, slot.stopped) == ("parked", True, True)
    assert (asleep.fill, asleep.retire, asleep.stop) == ((), (), ())
    kept = asleep.slots
    again = decide(stack(2, 2), kept, there, rest=("burst-0",))
    assert (again.slots, again.fill, again.retire) == (kept, (), ())
    changed = stack(2, 2, replace(AWS, image="ubuntu-24.04"))
    for woken in (
        decide(stack(2, 2), kept, there, rest=("burst-0",), wake=("burst",)),
        decide(stack(2, 2), kept, there, rest=("burst-0",), need=("burst-0",)),
    ):
        slot = woken.slots["burst-0"]
        assert (slot.state, slot.given_back, slot.stopped) == ("wanted", False, False)
        assert (woken.fill, woken.retire) == ((), ())  # it is started, and nothing is rented
    for more in ({"need": ("burst-0",)}, {"wake": ("burst",)}):
        other = decide(changed, kept, there, rest=("burst-0",), **more)
        slot = other.slots["burst-0"]
        assert (slot.state, slot.stopped) == ("retiring", False)  # of another image: another machine comes
        assert "burst-0" in other.retire
        assert other.fill
    goes = decide(changed, kept, there, rest=("burst-0",))  # and its disk goes with the next `up`
    slot = goes.slots["burst-0"]
    assert (slot.state, slot.given_back, slot.stopped) == ("parked", True, False)
    assert "burst-0" in goes.retire
    assert goes.why["burst-0"].startswith("image: ")


def test_one_that_is_stopped_by_hand_is_drained_first() -> None:
    kept, rented = after(decide(stack(2, 2), {}, {}))
    asleep = decide(stack(2, 2), kept, rented, park=("burst-0",), rest=("burst-0",))
    assert (asleep.retire, asleep.stop) == (("burst-0",), ("burst-0",))
    assert asleep.slots["burst-0"].stopped


def test_one_that_is_to_stop_no_more_goes() -> None:
    """The file says `do: terminate` now, or has fewer, or no such pool; or its machine was ended."""
    kept, rented = after(decide(stack(0, 2), {}, {}))
    kept = {**kept, "burst-0": replace(kept["burst-0"], given_back=True, stopped=True)}
    there = {**rented, **stopped("burst-0")}
    assert decide(stack(0, 2), kept, there).retire == ("burst-0",)
    assert decide(stack(0, 0), kept, there, rest=("burst-0",)).retire == ("burst-0",)
    for gone in (stack(0, 2, None), replace(stack(0, 2), pools={})):
        left = decide(gone, kept, there, rest=("burst-0",))
        assert (left.retire, left.slots["burst-0"].stopped) == (("burst-0",), False)
    ended = decide(stack(0, 2), kept, rented, rest=("burst-0",)).slots["burst-0"]
    assert (ended.state, ended.stopped) == ("parked", False)


def test_of_fewer_the_one_with_a_disk_stays() -> None:
    kept, rented = after(decide(stack(0, 2), {}, {}))
    kept = {**kept, "burst-1": replace(kept["burst-1"], given_back=True, stopped=True)}
    decided = decide(stack(0, 1), kept, {**rented, **stopped("burst-1")}, rest=("burst-1",))
    assert (states(decided), decided.retire) == ({"burst-1": "parked"}, ())


@pytest.mark.parametrize("count", [(0, 2), (1, 2), (2, 2), (0, 3)])
def test_one_that_is_needed_is_filled_and_no_other(count: tuple[int, int]) -> None:
    kept, rented = after(decide(stack(2, count[1]), {}, {}))
    kept, rented = after(decide(stack(*count), kept, rented, park=("burst-0", "burst-1")))
    needed = decide(stack(*count), kept, rented, need=("burst-1",))
    assert (needed.fill, needed.retire) == (("burst-1",), ())
    assert states(needed) == {**states(decide(stack(*count), kept, rented)), "burst-1": "wanted"}
    there = {**rented, **machines("burst-1")}
    again = decide(stack(*count), kept, there, need=("burst-1",), filled=("burst-1",))
    assert (again.slots, again.fill, again.retire) == (needed.slots, (), ())
    kept, rented = after(needed)
    assert decide(stack(*count), kept, rented, need=("burst-1",)).slots == kept  # it is there already


def test_a_higher_low_number_starts_what_never_ran() -> None:
    kept, rented = after(decide(stack(0, 2), {}, {}))
    assert decide(stack(2, 2), kept, rented).fill == ("burst-0", "burst-1")


@pytest.mark.parametrize("aws", [AWS, replace(AWS, image="ubuntu-24.04")])
@pytest.mark.parametrize("count", [(1, 2), (2, 2), (0, 2)])
def test_what_was_just_filled_is_not_ended(count: tuple[int, int], aws: Aws) -> None:
    """Between the renting and the record a run looks again, with the record of before."""
    kept, rented = after(decide(stack(1, 2), {}, {}))
    first = decide(stack(*count, aws), kept, rented)
    there = {**rented, **machines(*first.fill)}
    second = decide(stack(*count, aws), kept, there, filled=first.fill)
    assert (second.slots, second.fill, second.retire) == (first.slots, (), first.retire)


def test_without_a_record_what_is_there_stays() -> None:
    assert decide(stack(0, 2), {}, machines("burst-0", "burst-1")).retire == ()


def test_a_pool_that_left_retires() -> None:
    kept, rented = after(decide(stack(1, 1), {}, {}))
    gone = Stack(stack="office", pools={"rack": Pool()}, models={})
    decided = decide(gone, kept, rented)
    assert (decided.retire, decided.why) == (
        ("burst-0",),
        {"burst-0": "its pool is no longer in the stack file"},
    )
    assert decide(gone, kept, {}).slots == {}


COUNTS = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda p: (min(p), max(max(p), 1)))
STEPS = st.lists(
    st.tuples(COUNTS, st.sampled_from(["up", "wake", "need", "sleep", "lost", "other"])), max_size=8
)


@given(STEPS)
def test_always(steps: list[tuple[tuple[int, int], str]]) -> None:
    """Never more than the count beside what retires; a name has one machine; a second time changes nothing."""
    kept: Mapping[str, Slot] = {}
    rented: dict[str, Rented] = {}
    aws = AWS
    for (low, high), act in steps:
        if act == "lost":
            rented = dict(list(rented.items())[1:])
        if act == "other":
            aws = replace(aws, image="ubuntu-24.04" if aws.image == "nvidia" else "nvidia")
        need = tuple(n for n, s in kept.items() if s.state == "parked")[:1] if act == "need" else ()
        decided = decide(
            stack(low, high, aws),
            kept,
            rented,
            wake=("burst",) if act == "wake" else (),
            need=need,
            park=tuple(rented) if act == "sleep" else (),
        )
        if act != "sleep":  # a run looks again when it has filled them, and the record is still the old one
            there = {**rented, **machines(*decided.fill, has=HAS)}
            second = decide(
                stack(low, high, aws),
                kept,
                there,
                wake=("burst",) if act == "wake" else (),
                need=need,
                filled=decided.fill,
            )
            assert (second.slots, second.fill, second.retire) == (decided.slots, (), decided.retire)
        assert len(decided.of("wanted")) <= high
        assert len(decided.of("wanted")) + len(decided.of("parked")) == high or act == "sleep"
        assert not set(decided.fill) & set(rented)
        assert set(decided.retire) == {n for n in rented if decided.slots[n].state != "wanted"}
        assert set(rented) <= set(decided.slots)
        kept, rented = after(decided)
        again = decide(stack(low, high, aws), kept, rented)
        assert not again.fill
        assert not again.retire
