"""A plan in a file: `plan --out FILE`, `up --plan FILE`. Applied verbatim, or refused because the world moved."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hostler import __version__
from hostler.cloud.candidates import price_of
from hostler.codec import DecodeError, decode, encode
from hostler.configure.types import Plan
from hostler.errors import RefusedError, UsageError
from hostler.rollout import sealed

if TYPE_CHECKING:
    from hostler.rollout.planning import Draft

FORMAT = 1
CENT = 0.01  # what a plan shows; less is not dearer


def save(draft: Draft, path: Path) -> None:
    """Private to its owner: it shows the stack's inside, though no secret, and nothing to find one by."""
    body = encode(sealed.sealed(priced(draft)))
    text = json.dumps({"hostler_plan": FORMAT, "version": __version__, "plan": body}, indent=1)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def load(path: Path) -> Plan:
    """Raises UsageError when it is no plan of this version."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        version, body = data["version"], data["plan"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _no_plan(path, str(error)) from error
    if data["hostler_plan"] != FORMAT or version != __version__:
        raise _no_plan(path, f"a plan of hostler {version}")
    try:
        return decode(Plan, body)
    except (DecodeError, ValueError) as error:
        raise _no_plan(path, str(error)) from error


def priced(draft: Draft) -> Plan:
    """With the machine that is tried first for each slot, and what it costs an hour."""
    cloud, offers = draft.observation.cloud, draft.observation.offers or {}
    found = list[Mapping[str, Any]]()
    for name in cloud.slots.fill if cloud else ():
        if cloud and (offer := offers.get(cloud.slots.slots[name].pool)):
            first = offer.choice.candidates[0]
            price = price_of(first, offer.prices).amount
            found.append({"slot": name, "machine": str(first), "hourly": price})
    return replace(draft.plan, provision=tuple(found))


def refuse_unlike(saved: Plan | None, *, yes: bool) -> None:
    """The rented machines are there, and the replicas stand otherwise than predicted: a saved plan says nothing of that,
    so nobody said yes to it."""
    if saved and yes:
        raise RefusedError.of(
            "--plan",
            expected="rented machines on which the replicas stand as the plan says",
            got="others, on which they stand as is shown above; they stay, and cost",
            next_step="`hostler up` sets up what is there now, `hostler down` ends it",
        )


def refuse_moved(saved: Plan, now: Plan) -> None:
    """The saved plan is void when the file, the hosts, a secret or the outcome differ from what it was made for, or what is
    rented for it costs more."""
    moved = [
        name
        for name, old, new in (
            ("the stack file", saved.file, now.file),
            ("what is on the hosts", saved.observed, now.observed),
            ("the changes", encode(saved.changes), encode(now.changes)),
        )
        if old != new
    ]
    elsewhere = [] if sealed.is_here(saved) else [sealed.ELSEWHERE]
    if not elsewhere and not sealed.same(saved, now):
        moved.append(sealed.VALUE)
    dearer = [*elsewhere, *_dearer(saved, now)]
    if moved or dearer:
        changed = [f"{' and '.join(moved)} changed since"] if moved else []
        raise RefusedError.of(
            "--plan",
            expected="the world for which the plan was made",
            got="; ".join((*changed, *dearer)),
            next_step="make a new plan: `hostler plan --out FILE`",
        )


def _dearer(saved: Plan, now: Plan) -> Iterator[str]:
    """Cheaper is as good; a price that nobody tells any more is not."""
    before = {str(one["slot"]): one for one in saved.provision}
    for one in now.provision:
        was = before.get(str(one["slot"]))
        if was is None or was["hourly"] is None:
            continue
        if one["hourly"] is None or one["hourly"] > was["hourly"] + CENT:
            price = "unknown" if one["hourly"] is None else f"{one['hourly']:.2f} USD/h"
            yield f"{one['slot']}: {one['machine']} costs {price}, not {was['hourly']:.2f} USD/h"


def _no_plan(path: Path, got: str) -> UsageError:
    return UsageError.of(
        str(path),
        expected=f"a plan of hostler {__version__}",
        got=got,
        next_step="make one: `hostler plan --out FILE`",
    )
