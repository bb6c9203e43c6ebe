"""moto answers in threads, and one of them may change the table of an answer's fields while another goes through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.serialize import AttributePicker

TABLE = "response_transformers"


def each_its_own_table() -> None:
    """Each answer reads a copy; a second call changes nothing."""

    def keep(self: AttributePicker, table: dict[str, Callable[[Any], Any]]) -> None:
        self.__dict__[TABLE] = dict(table)

    setattr(AttributePicker, TABLE, property(lambda self: self.__dict__[TABLE], keep))
