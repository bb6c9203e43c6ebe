"""The stack's SSH key: one for all laptops, in the clear only in its user's own file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hostler import operator
from hostler.errors import ProvisionError
from hostler.rollout import stackkey


class Fleet:
    """Documents beside a state, and a passphrase."""

    def __init__(self, phrase: str = "right", kept: dict[str, Any] | None = None) -> None:
        self.kept: dict[str, Any] = {} if kept is None else kept
        self._phrase = phrase
        self.key = ""

    def document(self, name: str) -> Any:
        return self.kept.get(name)

    def keep(self, name: str, data: Mapping[str, Any]) -> None:
        self.kept[name] = dict(data)

    def seal(self) -> tuple[str, dict[str, str]]:
        return self._phrase, {"kms": self.key} if self.key else {}

    def unseal(self, document: Mapping[str, Any]) -> str:
        return f"of {document['kms']}" if "kms" in document else self._phrase

    def is_sealed(self, document: Mapping[str, Any]) -> bool:
        return document.get("kms", "") == self.key


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`laptop("a")` makes that one the operator's machine from now on."""

    def use(name: str) -> Path:
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        monkeypatch.setattr(operator, "stack_home", lambda _: home)
        return home

    return use


FILE: Any = SimpleNamespace(stack=SimpleNamespace(stack="office"))


def test_every_laptop_with_the_passphrase_has_the_same_key(laptop: Any) -> None:
    laptop("a")
    first: Any = Fleet()
    public = stackkey.public(FILE, first)
    stackkey.share(FILE, first)
    kept = dict(first.kept)
    stackkey.share(FILE, first)
    assert first.kept == kept
    laptop("b")
    second: Any = Fleet(kept=kept)
    assert stackkey.public(FILE, second) == public
    place = stackkey.path(FILE, second)
    assert place.stat().st_mode & 0o777 == 0o600


def test_the_shared_one_counts_whatever_a_plan_made_here(laptop: Any) -> None:
    laptop("b")
    early: Any = Fleet()
    own = stackkey.public(FILE, early)
    laptop("a")
    first: Any = Fleet()
    stackkey.public(FILE, first)
    shared = stackkey.share(FILE, first)
    laptop("b")
    assert stackkey.public(FILE, first) == shared != own
    assert stackkey.share(FILE, first) == shared


def test_what_lies_beside_the_state_is_encrypted(laptop: Any) -> None:
    home = laptop("a")
    fleet: Any = Fleet()
    stackkey.public(FILE, fleet)
    stackkey.share(FILE, fleet)
    secret = (home / stackkey.NAME).read_text()
    kept = fleet.kept[stackkey.DOCUMENT]["private"]
    assert secret not in kept
    assert secret.splitlines()[3] not in kept


def test_another_passphrase_is_refused_by_name(laptop: Any) -> None:
    laptop("a")
    fleet: Any = Fleet()
    stackkey.public(FILE, fleet)
    stackkey.share(FILE, fleet)
    laptop("b")
    wrong: Any = Fleet("wrong", fleet.kept)
    with pytest.raises(ProvisionError) as raised:
        stackkey.path(FILE, wrong)
    assert "HOSTLER_PASSPHRASE" in raised.value.problems[0].next_step


def test_asking_for_the_public_half_keeps_nothing_elsewhere(laptop: Any) -> None:
    laptop("a")
    fleet: Any = Fleet()
    assert stackkey.public(FILE, fleet) == stackkey.public(FILE, fleet)
    assert fleet.kept == {}


def test_a_key_that_is_sealed_otherwise_is_sealed_anew(laptop: Any) -> None:
    laptop("a")
    fleet: Any = Fleet()
    stackkey.public(FILE, fleet)
    shared = stackkey.share(FILE, fleet)
    laptop("b")
    fleet.key = "alias/x"
    another: Any = Fleet("of alias/x", fleet.kept)
    stackkey.path(FILE, fleet)  # with the passphrase, under which it still is
    another.key = fleet.key
    assert stackkey.share(FILE, another) == shared
    laptop("c")
    assert stackkey.public(FILE, Fleet("nobody's", fleet.kept)) == shared  # type: ignore[arg-type]
