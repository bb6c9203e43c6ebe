"""Every error that a person can meet: where, what was expected, what was there, and the next step.

Only cli.main turns an error into an exit code; the codes are those of `hostler --help`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Self


class Exit(IntEnum):
    """The process's exit codes: a contract with scripts."""

    DONE = 0
    BUG = 1
    USAGE = 2
    STACK_FILE = 3
    HOST = 4
    PROVISION = 5
    CONFIGURE = 6
    ROLLED_BACK = 7
    LOCKED = 8
    REFUSED = 9
    CHANGES = 10
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong; printed as `where: expected ...; got ...` and a line `next: ...`."""

    where: str
    expected: str
    got: str
    next_step: str = ""
    detail: str = ""  # more lines (a container's log, a module's output), shown below

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}; got {self.got}"


class HostlerError(Exception):
    """Base of all errors that are shown to a person without a stack trace."""

    code: Exit = Exit.BUG

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems

    @classmethod
    def of(cls, where: str, *, expected: str, got: str, next_step: str = "", detail: str = "") -> Self:
        return cls(Problem(where=where, expected=expected, got=got, next_step=next_step, detail=detail))


class UsageError(HostlerError):
    code = Exit.USAGE


class StackFileError(HostlerError):
    code = Exit.STACK_FILE


class HostError(HostlerError):
    """A host cannot be reached, or cannot be trusted."""

    code = Exit.HOST


class ProvisionError(HostlerError):
    code = Exit.PROVISION


class ConfigureError(HostlerError):
    code = Exit.CONFIGURE


class RolledBackError(HostlerError):
    code = Exit.ROLLED_BACK


class LockedError(HostlerError):
    """Somebody else holds the lock, or the host belongs to another stack."""

    code = Exit.LOCKED


class RefusedError(HostlerError):
    """It would cut requests, cost more than the budget, or remove what is busy."""

    code = Exit.REFUSED
