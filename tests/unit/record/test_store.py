"""Which record is believed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hostler.errors import Exit, LockedError, RefusedError
from hostler.hosts.types import PARKED as PARKED_ERROR
from hostler.hosts.types import Seen
from hostler.record import store
from hostler.record.types import Record

RECORD = Record(uid="u1", stack="s", gateway_host="a")


def seen(name: str, *, record: Record | None = None, copy: Record | None = None, uid: str = "") -> Seen:
    return Seen(
        host=name,
        at=0.0,
        seconds=0.0,
        uid=uid,
        record=store.dump(record) if record else None,
        copy=store.dump(copy) if copy else None,
    )


def test_highest_epoch_wins_over_a_higher_number() -> None:
    old, new = replace(RECORD, number=9), replace(RECORD, epoch=2, number=3)
    found = store.at_home({"a": seen("a", record=old), "b": seen("b", record=new)})
    assert found == ("b", new)


def test_no_record_is_none() -> None:
    assert store.at_home({"a": seen("a")}) is None


OLD, NEW = replace(RECORD, number=4), replace(RECORD, epoch=9, number=9, gateway_host="x")
SILENT = replace(seen("a"), error="expected an answer; got none", error_kind="timeout")
PARKED = replace(seen("a"), error=PARKED_ERROR, error_kind="absent")


@pytest.mark.parametrize(
    ("first", "other", "trusted", "home"),
    [
        (seen("a", record=OLD), seen("x"), ("a",), ("a", OLD)),
        (seen("a", record=NEW), seen("x", record=OLD), ("a",), ("a", NEW)),  # where the gateway was before
        (seen("a", record=OLD), seen("x", record=NEW), ("a", "x"), ("x", NEW)),  # it is on its way there
        (seen("a"), seen("x", record=NEW), ("a",), ("x", NEW)),  # it is about to come here
        (SILENT, seen("x", record=NEW), ("a",), None),
        (PARKED, seen("x", record=NEW), ("a",), ("x", NEW)),
        (seen("a", record=OLD), seen("x", record=replace(NEW, uid="u2")), ("a",), ("a", OLD)),
    ],
)
def test_who_may_say_that_it_is_the_home(
    first: Seen, other: Seen, trusted: tuple[str, ...], home: tuple[str, Record] | None
) -> None:
    assert store.at_home({"a": first, "x": other}, trusted) == home


LEFT = replace(OLD, number=5, moved="x")


@pytest.mark.parametrize(
    ("first", "other", "home"),
    [
        (seen("a", record=LEFT), seen("x", record=NEW), ("x", NEW)),  # also by a file that says otherwise
        (seen("a", record=LEFT), seen("x"), ("a", replace(LEFT, moved=""))),  # killed before it was there
        (seen("a", record=LEFT), replace(SILENT, host="x"), None),
        (seen("a", record=replace(OLD, moved="a")), seen("x"), ("a", OLD)),
    ],
)
def test_where_the_home_of_before_says_that_it_went(
    first: Seen, other: Seen, home: tuple[str, Record] | None
) -> None:
    assert store.at_home({"a": first, "x": other}, ("a",)) == home


def test_what_another_host_writes_holds_nobody_up() -> None:
    strange = replace(seen("x"), record={"schema": 999}, copy={"schema": 999})
    both = {"a": seen("a", record=OLD, copy=OLD), "x": strange}
    assert store.at_home(both, ("a",)) == ("a", OLD)
    assert store.best_copy(both) == ("a", OLD)
    assert store.at_home({"a": SILENT, "x": strange}, ("a",)) is None  # that one is to be heard first
    for own in ("x", "b"):
        with pytest.raises(RefusedError, match="schema 999"):
            store.at_home({"a": seen("a"), "x": strange, "b": seen("b")}, (own,))


def test_a_host_does_not_make_itself_the_home() -> None:
    with pytest.raises(RefusedError) as error:
        store.at_home({"a": seen("a", record=OLD), "x": seen("x", record=NEW)}, ("a",))
    assert (error.value.problems[0].where, error.value.code) == ("x", Exit.REFUSED)


def test_best_copy_is_the_newest() -> None:
    copies = {"a": seen("a", copy=replace(RECORD, number=4)), "b": seen("b", copy=replace(RECORD, number=5))}
    found = store.best_copy(copies)
    assert found is not None
    assert found[0] == "b"


def test_restored_raises_the_epoch() -> None:
    assert store.restored(RECORD, "b") == replace(RECORD, epoch=2, number=1, gateway_host="b")


def test_foreign_host_is_exit_8() -> None:
    with pytest.raises(LockedError) as error:
        store.refuse_foreign({"a": seen("a", uid="other")}, RECORD)
    assert error.value.code is Exit.LOCKED
    assert error.value.problems[0].where == "a"


def test_another_name_is_another_stack() -> None:
    store.refuse_foreign({}, RECORD, "s")
    with pytest.raises(LockedError):
        store.refuse_foreign({}, RECORD, "other")


@pytest.mark.parametrize("data", [{"schema": 99}, {"schema": 1, "uid": 5, "stack": "s"}, {"schema": 1}])
def test_newer_or_damaged_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(RefusedError):
        store.load(data, "a: record")
