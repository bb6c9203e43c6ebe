"""Clients' keys: the plain one is shown once and kept 0600 on the machine that made it; hosts know its hash."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hostler import operator
from hostler.record import store
from hostler.record.types import Key, Record

FIRST = "default"


def make_key() -> str:
    """A new key in the shape that OpenAI clients expect: 192 bits after `sk-`."""
    return "sk-" + secrets.token_urlsafe(24)


def hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def mine(stack: str) -> dict[str, str]:
    """The keys that were made on this machine: {name: key}."""
    return dict(operator.read_json(_path(stack)).get("keys", {}))


def rows(known: Sequence[Key], *, admin: bool) -> tuple[tuple[str, str], ...]:
    """(hash, name) of those for the controller's page, or of clients'."""
    return tuple((key.sha256, key.name) for key in known if key.admin == admin)


def valid(record: Record, *, admin: bool = False) -> dict[str, str]:
    """Those of this machine's keys that the gateway lets in: {name: key}; to the models, or to the page. One that was
    revoked elsewhere is known here, too, and so may be another of the same name."""
    accepted = {(key.name, key.sha256) for key in record.keys if key.admin == admin}
    return {name: key for name, key in mine(record.stack).items() if (name, hashed(key)) in accepted}


def keep(stack: str, name: str, key: str) -> None:
    data = operator.read_json(_path(stack))
    data.setdefault("keys", {})[name] = key
    operator.write_json(_path(stack), data)


def forget(stack: str, name: str) -> None:
    data = operator.read_json(_path(stack))
    if data.get("keys", {}).pop(name, None):
        operator.write_json(_path(stack), data)


def first_record(stack: str, gateway_host: str) -> Record:
    """The record of a stack that is nowhere yet, with its first key; home.record_or_first knows whether it is one.

    The same at each call until an `up` has written it to the gateway's host: a saved plan stays valid. A first key that
    this machine has already is taken, and never replaced: it may be the only copy of one that clients use.
    """
    pending = operator.stack_home(stack) / "first.json"
    data = operator.read_json(pending)
    if not data:
        key = mine(stack).get(FIRST) or make_key()
        data: dict[str, Any] = {"uid": store.new_uid(), "key": hashed(key), "made": round(time.time())}
        keep(stack, FIRST, key)
        operator.write_json(pending, data)
    key = Key(name=FIRST, sha256=data["key"], made=float(data["made"]))
    return Record(uid=data["uid"], stack=stack, gateway_host=gateway_host, keys=(key,))


def settled(stack: str) -> None:
    """The first record is at home now."""
    (operator.stack_home(stack) / "first.json").unlink(missing_ok=True)


def forget_all(stack: str) -> None:
    _path(stack).unlink(missing_ok=True)
    settled(stack)


def _path(stack: str) -> Path:
    return operator.stack_home(stack) / "keys.json"
