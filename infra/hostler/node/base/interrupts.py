"""Ends that are asked for: SIGTERM and SIGINT become an error, so that what was begun goes back first."""

from __future__ import annotations

import contextlib
import signal
from typing import Any, Generator, NoReturn

from .protocol import RESTORED, NodeError


class InterruptedRun(NodeError):
    """Raised in the middle of whatever was going on."""


@contextlib.contextmanager
def caught() -> Generator[None, None, None]:
    """A polite end becomes an error on which the exchange goes back; a lost connection does not end it at all."""
    before = {number: signal.signal(number, _interrupted) for number in (signal.SIGTERM, signal.SIGINT)}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def no_more() -> None:
    """From here on it goes to its end: going back, or committing."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def again() -> None:
    """Nothing is half done any more: a polite end is heard again. Not where none was caught."""
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _interrupted)


@contextlib.contextmanager
def heard() -> Generator[None, None, None]:
    """For a wait in the middle of what goes to its end: a polite end is an error there."""
    again()
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is _interrupted:
            no_more()


def _interrupted(number: int, _frame: Any) -> NoReturn:
    no_more()
    raise InterruptedRun("interrupted", "interrupted by signal %d" % number, "run it again", rc=RESTORED)
