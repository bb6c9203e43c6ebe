"""A plan as people read it."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from hostler.configure.types import Change, Notice, Plan
from hostler.console import plan as show
from hostler.console.out import Out
from hostler.manifest.items import Effect, Part
from hostler.models.types import Member, Placement, Release, Replica

ADDED = Change(
    host="gpu-1",
    part=Part.ENGINE,
    item="image:ghcr.io/x/y@sha256:" + "ab" * 32,
    action="add",
    now="not there",
    then="server",
    why="w",
)
CHANGED = replace(
    ADDED,
    item="path:/etc/hostler/a",
    action="change",
    now="0600",
    then="0644",
    effect=Effect.RELOAD,
    detail="-x\n+y",
)
REMOVED = replace(ADDED, item="container:chat-1", action="remove", now="running", then="", replica="chat-1")
PLAN = Plan(
    stack="s",
    file="f",
    observed="o",
    release=Release(number=1, models={}, parts={}),
    placement=Placement(
        replicas=(
            Replica(
                id="chat-0", model="chat", members=(Member(host="gpu-1", cards=("c",), port=1),), need_mib=512
            ),
        )
    ),
    changes=(ADDED, CHANGED, REMOVED),
    notices=(Notice(level="note", text="no TLS"), Notice(level="refuse", text="no driver")),
    downtime_s={"chat": 9.6},
)


def shown(plan: Plan, *, details: bool = False) -> tuple[list[str], list[str]]:
    out, err = io.StringIO(), io.StringIO()
    show.show(plan, Out(stdout=out, stderr=err), details=details)
    return out.getvalue().splitlines(), err.getvalue().splitlines()


def test_rows_are_short_and_say_both_sides() -> None:
    assert show.rows(PLAN.changes) == [
        ("+", "engine", "image:ghcr.io/x/y abababababab", "server", "", "w"),
        ("~", "engine", "/etc/hostler/a", "0600 -> 0644", "reload", "w"),
        ("-", "engine", "container:chat-1", "running", "", "w"),
    ]


def test_one_section_a_host_and_no_lines_of_files_unasked() -> None:
    out, err = shown(PLAN)
    assert out[0] == "gpu-1"
    assert not [line for line in out if "+y" in line]
    assert err == [
        "note: no TLS",
        "downtime: chat cannot answer for about 10 s (nothing else serves it meanwhile)",
    ]


def test_details_show_the_lines() -> None:
    assert "  +y" in shown(PLAN, details=True)[0]


def test_details_say_why_each_replica_is_where_it_is() -> None:
    plan = replace(PLAN, placement=replace(PLAN.placement, reasons={"chat-0": "keeps its place"}))
    line = "place: chat-0 on gpu-1 (1 card, 0.5 GiB): keeps its place"
    assert line in shown(plan, details=True)[1]
    assert not [said for said in shown(plan)[1] if "keeps its place" in said]


def test_what_is_as_it_should_be_is_not_mentioned() -> None:
    assert shown(replace(PLAN, changes=(), notices=(), downtime_s={})) == ([], [])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ((), "nothing to do: everything is as the stack file says"),
        ((CHANGED,), "1 change on 1 host; worst effect: reload"),
        ((ADDED, replace(ADDED, host="gpu-2")), "2 changes on 2 hosts"),
    ],
)
def test_summary(changes: tuple[Change, ...], text: str) -> None:
    assert show.summary(replace(PLAN, changes=changes)) == text
