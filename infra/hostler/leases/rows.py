"""What is idle, for people and for `--json`: since when, by which evidence, what will happen when, and what it saves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hostler.leases.judging import Subject
from hostler.node.idle import looks

WORDS = {
    "sleep": ("sleeps", "its cards' memory is free then"),
    "stop": ("is stopped", "its disk stays"),
    "terminate": ("is given back", "nothing of it costs any more"),
    "suspend": ("is suspended", "a request wakes it"),
}


def rows(subjects: Iterable[Subject], saves: Mapping[str, str]) -> list[dict[str, Any]]:
    """`saves`: what it is worth in an hour that a replica or a host is away, in words. Seconds are those of now."""
    return [_row(one, saves.get(one.name, "")) for one in subjects]


def _row(one: Subject, saves: str) -> dict[str, Any]:
    policy, verdict = one.policy, one.verdict
    acts = bool(policy and policy.do)
    return {
        "kind": one.kind,
        "name": one.name,
        "host": one.host,
        "model": one.model or None,
        "state": verdict.word,
        "since_s": None if one.idle_s is None else round(one.idle_s, 1),
        "evidence": verdict.why,
        "after_s": policy.after_s if policy and acts else None,
        "do": policy.do if policy and acts else None,
        "will": _will(one),
        "in_s": None if one.in_s is None else round(one.in_s, 1),
        "saves": saves or None,
        "shadow": bool(policy and policy.shadow),
        "stays": one.stays or None,
    }


def _will(one: Subject) -> str:
    """What will happen to it as it is, without when."""
    policy = one.policy
    if policy is None or not policy.do:
        return "nothing: no `idle` is about it"
    if one.due and one.due.do == looks.REPLACE:
        return one.due.why
    does, then = WORDS[policy.do]
    if one.verdict.word == looks.ASLEEP:
        return "a request wakes it"
    if policy.kept:
        return "nothing: it is one of those that stay (`keep`)"
    if policy.shadow:
        return f"nothing but a word (`shadow`): it would be one that {does}"
    if one.verdict.word == looks.IDLE:
        return f"{does}; {then}"
    return f"nothing as long as it is {one.verdict.word}"
