"""What travels between a host and the controller comes back as it was, and nothing else is believed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostler.node.idle.deciding import IDLE, UNKNOWN, Door, Due, Look, Policy, Presence, Verdict, asleep

from .test_deciding import COUNTS, HOST, LOOKS, door, look

WISH = Policy(1200.0, "terminate", "", 0.0, False, False)
AGED = WISH._replace(max_age_s=9000.0, hours="Mon-Fri 08-18", shadow=True, kept=True, do="")
FIVE_S = Verdict(IDLE, 9995.0, "nothing", 10000.0, 0.0, 9995.0)
PRESENCES = st.builds(
    Presence,
    st.floats(0.0, 1e6),
    st.sampled_from(["1", "2"]),
    COUNTS,
    COUNTS,
    st.none() | st.just(()) | st.just(("x",)),
)


@settings(max_examples=200, deadline=None, database=None)
@given(LOOKS, PRESENCES)
def test_looks_travel_as_json(one: Look, there: Presence) -> None:
    assert Look.from_json(json.loads(json.dumps(one.to_json()))) == one
    assert Presence.from_json(json.loads(json.dumps(there.to_json()))) == there


def test_others_travel_as_json() -> None:
    for policy in (WISH, AGED):
        assert Policy.from_json(json.loads(json.dumps(policy.to_json()))) == policy
    for verdict in (FIVE_S, Verdict(UNKNOWN, None, "?"), asleep(3.0, "by hand")):
        assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict
    assert Door.from_json(door().to_json()) == door()
    assert Due("", "would stop", 1.0).to_json() == {"do": "", "why": "would stop", "since": 1.0}


JSONS: list[tuple[Any, dict[str, Any]]] = [
    (Look, {**look().to_json(), field: value})
    for field, value in [
        ("at", None),
        ("at", float("inf")),
        ("at", 10**400),
        ("at", True),
        ("born", None),
        ("ready", 1),
        ("running", "0"),
        ("running", 0.5),
        ("running", False),
        ("waiting", []),
        ("work", 5),
        ("work", [None]),
        ("work", [float("nan")]),
        ("doors", None),
        ("doors", {"edge": {}}),
        ("doors", {"edge": 0}),
    ]
]
JSONS += [
    (Look, {key: value for key, value in look().to_json().items() if key != gone}) for gone in Look._fields
]
JSONS += [
    (Presence, {**HOST.to_json(), "sessions": "0"}),
    (Presence, {**HOST.to_json(), "tasks": "none"}),
    (Presence, {**HOST.to_json(), "tasks": [1]}),
    (Policy, {**WISH.to_json(), "do": "destroy"}),
    (Policy, {**WISH.to_json(), "do": None}),
    (Policy, {**WISH.to_json(), "kept": 0}),
    (Policy, {**WISH.to_json(), "after_s": "20m"}),
    (Verdict, {**FIVE_S.to_json(), "word": "free"}),
    (Look, {}),
    (Policy, {}),
]


@pytest.mark.parametrize(("kind", "data"), JSONS)
def test_json_that_is_not_as_it_was_written_is_refused(kind: Any, data: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        kind.from_json(data)
    with pytest.raises(ValueError, match=r"."):
        kind.from_json([data])
