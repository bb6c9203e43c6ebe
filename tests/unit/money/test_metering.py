"""Rows from looks: hours, disks, gaps, restarts, clocks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hostler.money import metering
from hostler.money.looks import Away, Draw, Look, Machine
from hostler.money.metering import State
from hostler.money.pieces import Piece, Subject, Terms, joined
from hostler.money.rows import Row
from unit.money.looks import ADDRESS, DARK, DISK, EUR, T0, USD, cost, each, ledger, owned, rented, run


def of(rows: tuple[Row, ...], kind: str) -> list[Row]:
    return [row for row in rows if row.kind == kind]


def hours(rows: tuple[Row, ...], kind: str = "host") -> float:
    return sum(row.amount or 0.0 for row in rows if row.kind == kind)


def test_an_hour_costs_an_hour() -> None:
    rows = ledger(run(each(30, 121, rented())))
    assert cost(rows, "host") == pytest.approx(1.2)
    assert cost(rows, "disk") == pytest.approx(0.02)
    assert cost(rows, "address") == pytest.approx(0.005)
    assert {row.basis for row in rows} == {"measured"}
    assert of(rows, "host")[0].source == f"on-demand; {USD.source}"


def test_slots_are_the_clocks_own() -> None:
    state = run(each(30, 25, rented(disk=None, address=None), start=T0 + 200))
    spans = [(row.start - T0, row.end - T0) for row in ledger(state)]
    assert spans == [(200, 300), (300, 600), (600, 900), (900, 920)]
    assert len(state.unwritten) == 3  # the last slot is not over


def test_a_first_look_says_nothing_of_the_time_before() -> None:
    assert ledger(run(each(30, 1, rented(since=T0 - 9999)))) == ()


def test_a_machine_counts_from_its_start() -> None:
    looks = [Look(at=T0), Look(at=T0 + 60, machines=(rented(since=T0 + 20),))]
    assert hours(ledger(run(looks))) == pytest.approx(40 / 3600)


def test_one_that_others_had_before_counts_from_now_on() -> None:
    looks = [
        *each(30, 2, owned()),
        *each(30, 3, owned(), rented(since=T0 - 500), start=T0 + 60),
    ]
    assert hours(ledger(run(looks))) == pytest.approx(60 / 3600)


def test_a_stopped_machine_costs_its_disk() -> None:
    looks = [*each(30, 2, rented()), *each(30, 121, rented(state="stopped"), start=T0 + 60)]
    rows = ledger(run(looks))
    assert hours(rows) == pytest.approx(60 / 3600)
    assert hours(rows, "disk") == pytest.approx(3660 / 3600)
    assert hours(rows, "address") == pytest.approx(60 / 3600)


def test_what_is_gone_costs_nothing_any_more() -> None:
    looks = [*each(30, 3, rented()), *each(30, 99, rented(state="gone"), start=T0 + 90)]
    assert hours(ledger(run(looks)), "disk") == pytest.approx(90 / 3600)


def test_an_unknown_price_is_never_nothing() -> None:
    rows = of(ledger(run(each(30, 121, rented(price=DARK)))), "host")
    assert {row.cost for row in rows} == {None}
    assert hours(tuple(rows)) == pytest.approx(1.0)


def test_a_new_price_begins_a_row() -> None:
    dearer = replace(USD, amount=2.4, source="spot, 08:02 UTC")
    rows = of(
        ledger(run([*each(30, 3, rented()), *each(30, 2, rented(price=dearer), start=T0 + 90)])), "host"
    )
    assert [(row.end - row.start, row.price) for row in rows] == [(60, 1.2), (60, 2.4)]


def test_models_share_a_host() -> None:
    rows = ledger(run(each(30, 121, rented(models={"chat": 0.5, "small": 0.25}))))
    shares = {row.model: 0.0 for row in rows}
    for row in of(rows, "host"):
        shares[row.model] += row.cost or 0.0
    assert shares == pytest.approx({"chat": 0.6, "small": 0.3, "": 0.3})


# a gap: nobody looked for two hours
BEFORE, AFTER = each(30, 3, rented()), T0 + 60 + 7200


@pytest.mark.parametrize(
    ("after", "seen", "gap", "dark"),
    [
        (rented(), 60, 7200, 0),  # the same instance and start
        (rented(born="", since=T0 - 99), 60, 7200, 0),  # it started before
        (rented(born="i-1 200", since=T0 + 3660), 60, 3600, 3600),  # started anew an hour ago
        (rented(born="i-2 200"), 60, 0, 7200),  # another one, nobody knows since when
        (rented(state="gone", until=T0 + 660), 60, 600, 0),
        (rented(state="gone"), 60, 0, 7200),
        (rented(state="stopped", until=T0 + 660), 60, 600, 0),
    ],
    ids=["ran on", "started before", "started anew", "another", "ended then", "ended", "stopped then"],
)
def test_a_gap(after: Machine, seen: int, gap: int, dark: int) -> None:
    rows = of(ledger(run([*BEFORE, Look(at=AFTER, machines=(after,))])), "host")
    sums = {"measured": 0.0, "estimated": 0.0, "unknown": 0.0}
    for row in rows:
        sums[row.basis] += row.end - row.start
    assert sums == {"measured": seen, "estimated": gap, "unknown": dark}
    assert all((row.amount is None) == (row.basis == "unknown") for row in rows)
    assert len([row for row in rows if row.basis == "estimated"]) == (1 if gap else 0)


def test_a_stopped_machine_of_a_gap_costs_its_disk() -> None:
    stopped = rented(state="stopped", until=T0 + 660)
    rows = ledger(run([*BEFORE, Look(at=AFTER, machines=(stopped,))]))
    assert hours(rows, "disk") == pytest.approx((AFTER - T0) / 3600)


def test_a_gap_over_the_months_end_is_a_row_in_each() -> None:
    start = 1_796_083_200 - 3600  # 2026-12-01 00:00 UTC
    looks = [*each(1, 1, rented(), start=start), *each(1, 1, rented(), start=start + 7200)]
    assert [row.end - row.start for row in of(ledger(run(looks)), "host")] == [3600, 3600]


def test_one_that_cannot_be_asked_is_not_known_and_not_lost() -> None:
    looks = [*BEFORE, *each(30, 20, rented(state="unknown"), start=T0 + 90)]
    state = run(looks)
    assert [row.amount for row in ledger(state) if row.basis == "unknown"] == [None]
    back = run(each(30, 1, rented(), start=T0 + 1060), state)
    assert hours(ledger(back)) == pytest.approx(1060 / 3600)
    assert {row.basis for row in of(ledger(back), "host")} == {"measured", "estimated"}


def test_looks_of_one_moment_change_nothing() -> None:
    state = run(BEFORE)
    again = run([BEFORE[-1], BEFORE[0]], state)
    assert again == state


# electricity


def kwh(rows: tuple[Row, ...], basis: str) -> float:
    return sum(row.amount or 0.0 for row in rows if row.kind == "energy" and row.basis == basis)


def test_cards_are_measured_and_the_rest_is_estimated() -> None:
    looks = [Look(at=T0 + 60 * i, machines=(owned(100.0 if i % 2 else 300.0),)) for i in range(61)]
    rows = ledger(run(looks))
    assert kwh(rows, "measured") == pytest.approx(0.2)  # between 100 W and 300 W, for an hour
    assert kwh(rows, "estimated") == pytest.approx(0.05)
    assert cost(rows, "energy", "EUR") == pytest.approx(0.25 * 0.3)


def test_a_meter_measures_the_whole_machine() -> None:
    looks = [Look(at=T0 + 60 * i, machines=(owned(meter_w=300.0 + 200 * (i % 2)),)) for i in range(61)]
    rows = ledger(run(looks))
    assert (kwh(rows, "measured"), kwh(rows, "estimated")) == (pytest.approx(0.4), 0)
    assert (rows[0].amount, rows[0].end) == (pytest.approx(0.4 / 12), T0 + 300)  # though it ends at a peak
    assert {row.source for row in rows} == {"its meter, at the wall"}


def test_where_a_meter_says_nothing_the_rows_say_so() -> None:
    fails = owned(meter_why="power.meter said no watts")
    looks = [*each(60, 3, owned(meter_w=400.0)), *each(60, 3, fails, start=T0 + 180)]
    rows = ledger(run(looks))
    assert [(row.basis, row.source, row.start - T0) for row in rows] == [
        ("measured", "its meter, at the wall", 0),
        ("measured", "measured at the cards; power.meter said no watts", 120),
        ("estimated", "power.idle: the host without its cards; power.meter said no watts", 120),
    ]


def test_an_hour_as_of_one_look_is_estimated() -> None:
    assert {(row.basis, row.source) for row in metering.hour_of(owned(idle_w=None, meter_w=400.0))} == {
        ("estimated", "if it goes on as at one look; its meter, at the wall")
    }
    assert {row.basis for row in metering.hour_of(rented())} == {"measured"}


def test_cards_that_do_not_tell_are_estimated_by_their_limits() -> None:
    rows = ledger(run(each(60, 61, owned(None, idle_w=None))))
    assert kwh(rows, "estimated") == pytest.approx(0.35)
    assert "power limits" in next(row.source for row in rows if row.basis == "estimated")
    assert [row.amount for row in rows if row.basis == "unknown"] == [None]  # the rest of the host


def test_cards_that_tell_nothing_at_all_are_not_known() -> None:
    rows = ledger(run(each(60, 61, owned(cards={"GPU-a": Draw()}))))
    assert [row.amount for row in rows if row.basis == "unknown"] == [None]


def test_through_a_gap_power_is_estimated() -> None:
    looks = [*each(1, 1, owned(100.0)), *each(1, 1, owned(300.0), start=T0 + 3600)]
    rows = ledger(run(looks))
    assert (kwh(rows, "measured"), kwh(rows, "estimated")) == (0, pytest.approx(0.25))


def test_a_host_that_is_off_draws_nothing() -> None:
    looks = [*each(60, 2, owned()), *each(60, 60, owned(state="stopped"), start=T0 + 120)]
    assert kwh(ledger(run(looks)), "measured") == pytest.approx(0.1 * 120 / 3600)


def test_without_a_price_kwh_are_counted() -> None:
    none = replace(EUR, amount=None, currency="", source="no pools.rack.power.price")
    rows = ledger(run(each(60, 61, owned(kwh=none))))
    assert kwh(rows, "measured") == pytest.approx(0.1)
    assert {row.cost for row in rows} == {None}


# what is put away

AWAY = Away(
    subject="burst-0",
    host="burst-0",
    pool="burst",
    model="chat",
    do="terminate",
    unit="h",
    amount=1.0,
    rate=USD,
)


def saved(rows: tuple[Row, ...], *, shadow: bool) -> float:
    return sum(row.cost or 0.0 for row in rows if row.kind == "saved" and row.shadow == shadow)


def test_what_is_put_away_saves_from_then_on() -> None:
    rows = ledger(run(each(60, 61, away=(AWAY,))))
    assert saved(rows, shadow=False) == pytest.approx(1.2)
    assert {row.basis for row in rows} == {"estimated"}


def test_a_shadow_is_apart_and_ends_at_a_gap() -> None:
    shadow = replace(AWAY, shadow=True)
    rows = ledger(run([*each(60, 61, away=(shadow,)), *each(1, 1, start=T0 + 9000, away=(shadow,))]))
    assert (saved(rows, shadow=True), saved(rows, shadow=False)) == (pytest.approx(1.2), 0)
    real = ledger(run([*each(60, 61, away=(AWAY,)), *each(1, 1, start=T0 + 9000, away=(AWAY,))]))
    assert saved(real, shadow=False) == pytest.approx(3.0)


# killed, and clocks


def test_killed_anywhere_nothing_is_lost_and_nothing_double() -> None:
    """The state is kept before the ledger is written; either may be what was done last."""
    looks = each(30, 121, rented(), owned())
    whole = {row.id: row for row in ledger(run(looks))}
    for cut in range(1, 120, 29):
        known = dict[str, Row]()
        state = run(looks[:cut])
        known.update((row.id, row) for row in state.unwritten)  # written, and killed before that was kept
        state = run(looks[cut:], state)
        for row in ledger(state):
            assert known.setdefault(row.id, row) == row
        assert known == whole


def test_what_is_written_is_given_no_more() -> None:
    state = run(each(30, 40, rented()))
    first = state.unwritten[0].id
    assert first not in {row.id for row in metering.written(state, {first}).unwritten}
    assert len(metering.written(state, {first}).unwritten) == len(state.unwritten) - 1


def test_without_its_state_it_goes_on_at_the_ledgers_end() -> None:
    before = run(each(30, 61, rented(since=T0 - 50))).unwritten
    after = run(each(30, 3, rented(since=T0 - 50), start=T0 + 3600), metering.resumed(before))
    rows = (*before, *ledger(after))
    assert len({row.id for row in rows}) == len(rows)
    assert hours(rows) == pytest.approx(3660 / 3600)
    assert metering.resumed(()) == State()


@pytest.mark.parametrize("jump", [7200, -7200])
def test_a_clock_that_is_put_right_changes_no_sum(jump: int) -> None:
    looks = [
        replace(look, steady=look.at - T0 + 50, boot="b", at=look.at + (jump if i > 60 else 0))
        for i, look in enumerate(each(30, 121, rented()))
    ]
    rows = ledger(run(looks))
    assert len({row.id for row in rows}) == len(rows)
    assert hours(rows) == pytest.approx(1.0)
    assert {row.basis for row in of(rows, "host")} == {"measured"}


def test_another_boot_is_no_clock_put_right() -> None:
    looks = [
        Look(at=T0, steady=10.0, boot="a", machines=(rented(),)),
        Look(at=T0 + 7200, steady=1000.0, boot="b", machines=(rented(),)),
    ]
    assert hours(ledger(run(looks))) == pytest.approx(2.0)


def test_the_disk_of_a_slot_is_one_row_an_hour() -> None:
    rows = run(each(30, 241, rented())).unwritten
    assert len([row for row in rows if row.kind == "disk"]) == 2
    assert (DISK.amount, ADDRESS.amount) == (0.02, 0.005)


def test_a_clock_that_is_put_back_twice() -> None:
    """The same hour comes three times: each has its rows."""
    looks = [
        replace(look, steady=look.at - T0 + 50, boot="b", at=look.at - 3600 * ((i - 1) // 120))
        for i, look in enumerate(each(30, 361, rented()))
    ]
    rows = ledger(run(looks))
    assert len({row.id for row in rows}) == len(rows)
    assert hours(rows) == pytest.approx(3.0)


def test_pieces_with_time_between_are_two() -> None:
    terms = Terms(unit="h", rate=USD, basis="measured", source="")
    first = Piece(subject=Subject(kind="host"), start=T0, end=T0 + 10, amount=1.0, terms=terms)
    assert joined(first, replace(first, start=T0 + 10, end=T0 + 20)) == replace(
        first, end=T0 + 20, amount=2.0
    )
    assert joined(first, replace(first, start=T0 + 11, end=T0 + 20)) is None
