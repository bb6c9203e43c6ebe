"""Pulumi's Automation API, bent in three places: no needless calls of the CLI, our process, our environment.

This module imports the SDK (0.25 s); only import it where a command is about to run.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import semver
from pulumi import automation as auto
from pulumi.automation import CommandResult
from pulumi.automation._stack import StackInitMode
from pulumi.automation.errors import create_command_error

from hostler.provision import locks
from hostler.provision.engine import Command, Process, search_path, words_of
from hostler.provision.locations import PROJECT, Locations, environment, inherited

LOOP_ENDS_S = 5.0  # for the SDK's thread to end after its CLI has


class Cli(auto.PulumiCommand):
    """The CLI as the SDK wants it. Not the SDK's own, which asks for the version each time and dies badly
    on a terminal's Ctrl-C."""

    def __init__(self, command: Command, places: Locations) -> None:
        self.command = str(command.path)
        self.version = semver.VersionInfo.parse(command.version)
        self._found = command
        self._places = places
        self._interrupted = False
        self._process: Process | None = None
        self.last = CommandResult("", "", 0)

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
    ) -> CommandResult:
        environ = {**inherited(), **additional_env, "PULUMI_AUTOMATION_API": "true"}
        environ["PATH"] = search_path(self._found, os.environ)
        self._process = Process(
            words=words_of(self._found, args), cwd=cwd, environ=environ,
            on_start=partial(locks.note_running, self._places),
            on_end=partial(locks.forget_running, self._places),
            on_output=on_output, on_error=on_error, interrupted=self._interrupted,
        )  # fmt: skip
        code, out, err = self._process.run()
        self._interrupted = self._process.interrupted
        self.last = CommandResult(stdout=out, stderr=err, code=code)
        if self._interrupted:
            raise KeyboardInterrupt
        if code:
            raise create_command_error(self.last)
        return self.last

    def interrupt(self) -> bool:
        self._interrupted = True
        return self._process.interrupt() if self._process else False

    def kill(self) -> None:
        if self._process:
            self._process.kill()


class Workspace(auto.LocalWorkspace):
    """Selecting costs the CLI's start; every command names its stack, so a stack that is there is selected."""

    def __init__(self, places: Locations, cli: Cli, more: Mapping[str, str], *, exists: bool) -> None:
        self._exists = exists
        backend = auto.ProjectBackend(url=places.backend)
        super().__init__(
            work_dir=str(places.work),
            pulumi_home=str(places.pulumi_home),
            env_vars={**environment(places), **more},
            secrets_provider=places.secrets,
            project_settings=auto.ProjectSettings(name=PROJECT, runtime="python", backend=backend),
            pulumi_command=cli,
        )

    def select_stack(self, stack_name: str) -> None:
        if not self._exists:
            self.create_stack(stack_name)


class Stack(auto.Stack):
    """`up` of the SDK asks for outputs and history after each run: three more starts of the CLI."""

    def change_secrets(self, provider: str) -> None:
        """Encrypts what is secret in the state anew."""
        self._run_pulumi_cmd_sync(["stack", "change-secrets-provider", provider])

    def outputs(self) -> Any:
        return {}

    def info(self, show_secrets: bool = True) -> auto.UpdateSummary:  # noqa: ARG002
        return auto.UpdateSummary("update", datetime.now(UTC), "", {}, {}, "")


def stack(places: Locations, cli: Cli, more: Mapping[str, str], *, exists: bool) -> Stack:
    return Stack(places.full_name, Workspace(places, cli, more, exists=exists), StackInitMode.SELECT)


@contextmanager
def quiet() -> Generator[None]:
    """The SDK's unfinished coroutines complain at collection after a failure; threads go with the collection."""
    before = sys.unraisablehook

    def hook(problem: Any) -> None:
        if "run_in_stack" not in getattr(problem.object, "__qualname__", ""):
            before(problem)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        if sys.exc_info()[0] is not None:
            collect()
        sys.unraisablehook = before


@contextmanager
def closing(program: Callable[[], None]) -> Generator[Callable[[], None]]:
    """The program, whose event loop is closed at the end: after a failure the SDK may leave it open."""
    loops: list[asyncio.AbstractEventLoop] = []

    def run() -> None:
        loops.append(asyncio.get_running_loop())
        program()

    try:
        yield run
    finally:
        for loop in loops:
            _close(loop)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    until = time.monotonic() + LOOP_ENDS_S
    while loop.is_running() and time.monotonic() < until:
        time.sleep(0.01)
    if loop.is_running() or loop.is_closed():
        return
    if left := asyncio.all_tasks(loop):
        for task in left:
            task.cancel()
        ended, _ = loop.run_until_complete(asyncio.wait(left, timeout=LOOP_ENDS_S))
        for task in ended:
            if not task.cancelled():
                task.exception()  # seen: the CLI's events have said it
    loop.close()


def collect() -> None:
    """Takes away what a failed run left, once its exception is gone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the SDK's event loop of the failed run
        gc.collect()
