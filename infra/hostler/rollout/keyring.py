"""hostler key: the record first, then the gateway's file and its running process."""

from __future__ import annotations

import time
from dataclasses import replace

from hostler.console.out import Out
from hostler.errors import UsageError
from hostler.gateway.render import keys_map
from hostler.record.types import Key, Record
from hostler.rollout import home, keys, refused
from hostler.rollout.observe import Observation, home_of, observe
from hostler.rollout.session import session
from hostler.stackfile import idling
from hostler.stackfile.sections import StackFile


def add(file: StackFile, name: str, out: Out, *, admin: bool = False) -> str:
    """The new key; valid before this returns. `admin`: for the controller's page, and for nothing else."""
    observation, record = _running(file, out)
    if any(key.name == name for key in record.keys):
        raise UsageError.of(
            "hostler key add",
            expected="a new name",
            got=name,
            next_step="`hostler key list` shows those in use",
        )
    made = keys.make_key()
    _change(
        observation,
        record,
        (*record.keys, Key(name=name, sha256=keys.hashed(made), made=time.time(), admin=admin)),
        out,
        f"key add {name}",
    )
    keys.keep(file.stack.stack, name, made)
    return made


def revoke(file: StackFile, name: str, out: Out) -> None:
    observation, record = _running(file, out)
    left = tuple(key for key in record.keys if key.name != name)
    if len(left) == len(record.keys):
        raise UsageError.of(
            "hostler key revoke", expected=f"one of {', '.join(key.name for key in record.keys)}", got=name
        )
    _change(observation, record, left, out, f"key revoke {name}")
    keys.forget(file.stack.stack, name)
    out.say(f"{name} is no longer valid" + ("" if left else "; no key is left, so nobody can ask"))
    seen = observation.seen
    if silent := [name for name in seen if not seen[name].reached and seen[name].error_kind != "absent"]:
        text = "a copy of the record there may still have it, and the gateway does not go by that"
        out.say(f"note: not done on {', '.join(sorted(silent))} (no answer): {text}")


def listed(file: StackFile, out: Out) -> list[dict[str, str]]:
    observation, record = _running(file, out)
    there = observation.seen.get(observation.gateway.name)
    spent = refused.keys(there, time.time()) if idling.refuses(file.stack) else {}
    here = {**keys.valid(record), **keys.valid(record, admin=True)}
    return [
        {
            "name": key.name,
            "since": time.strftime("%Y-%m-%d %H:%M", time.localtime(key.made)),
            "for": "page" if key.admin else "models",
            "here": "yes" if key.name in here else "no",
            "refused": "unknown" if spent is None else refused.until(spent, key.name, admin=key.admin),
        }
        for key in record.keys
    ]


def _running(file: StackFile, out: Out) -> tuple[Observation, Record]:
    """Keys are the gateway's: what is rented beside it need not be known."""
    observation = observe(file, pulumi=False, without=out.say)
    return observation, home.running(observation)


def _change(observation: Observation, record: Record, new: tuple[Key, ...], out: Out, why: str) -> None:
    reached = [name for name, seen in observation.seen.items() if seen.reached]
    with session(record, home_of(observation), observation.hosts, reached, out, why=why) as run:
        run.commit(replace(record, keys=new))
        clients, admins = (keys_map(keys.rows(new, admin=admin)) for admin in (False, True))
        run.call(run.gateway.name, "key-sync", content=clients, admins=admins)
