"""Runs one command of the CLI on one stack: environment, passphrase, state, events, errors, recovery."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Timer
from typing import TYPE_CHECKING, Any, NoReturn

from hostler.errors import HostlerError, LockedError, Problem, ProvisionError
from hostler.hosts.types import Seen
from hostler.provision import kms, locks, plugin, state
from hostler.provision.engine import Command, find_cli
from hostler.provision.locations import PASSPHRASE, Locations, opens, passphrase, write_settings
from hostler.provision.refusals import error_of, reason_of, said_by_cli
from hostler.provision.stores import Store
from hostler.provision.types import Notice, SeenOf, silent

if TYPE_CHECKING:
    from hostler.provision.automation import Cli, Stack
    from hostler.provision.events import Collector

GRACE_S = 120.0  # for a CLI that was told to stop to finish what is in flight


class TimedOut(Exception):
    """The CLI was told to stop since it took too long. Not a person's error: the caller goes on."""


class Runner:
    """What Fleet is made of. Not for two threads at once, but `interrupt` may be called from any."""

    def __init__(self, places: Locations, store: Store, notice: Notice) -> None:
        self.own_places = places
        self.store = store
        self.notice = notice
        self._command: Command | None = None
        self._cli: Cli | None = None
        self._interrupted = False
        self._secrets = places.secrets

    @property
    def places(self) -> Locations:
        """With the state's address (asks for the region of a bucket), and what its secrets are under."""
        return replace(self.own_places, url=self.store.url, secrets=self._secrets)

    def interrupt(self) -> bool:
        self._interrupted = True
        return self._cli.interrupt() if self._cli else False

    def run(
        self,
        verb: str,
        program: Callable[[], None],
        collector: Collector,
        failed: Failing,
        *,
        scratch: bool = False,
        limit: float = 0.0,
        **options: Any,
    ) -> None:
        """`scratch`: against an empty state that is thrown away. Raises TimedOut after `limit` seconds."""
        from hostler.provision.automation import closing
        from hostler.provision.provider import served

        where = self.own_places.scratch() if scratch else None
        with (
            served(failed) as port,
            self.stack({"PULUMI_DEBUG_PROVIDERS": f"hostler:{port}"}, where) as (stack, cli),
            watched(cli, limit),
            closing(program) as run,
        ):
            quiet = {"on_event": collector, "color": "never"}
            progress = {} if verb == "refresh" else {"suppress_progress": True}
            self._call(
                lambda: getattr(stack, verb)(program=run, **quiet, **progress, **options),
                cli,
                collector,
                failed,
            )

    def _call(self, run: Callable[[], object], cli: Cli, collector: Collector, seen: Failing) -> None:
        from pulumi.automation import CommandError, ConcurrentUpdateError

        try:
            run()
        except ConcurrentUpdateError as error:
            raise self.locked(self.store.locks()) from error
        except CommandError as error:
            if seen.error is not None:
                raise seen.error from None
            self._failed(cli, problems_of(collector), error)

    @contextmanager
    def stack(self, more: Mapping[str, str], where: Locations | None = None) -> Generator[tuple[Stack, Cli]]:
        """The stack, made where it is not there; `where`: in a scratch folder instead."""
        from hostler.provision import automation

        places = where or self._prepared()
        if where:
            shutil.rmtree(where.folder, ignore_errors=True)
            where.make()
        cli = automation.Cli(self.found(), places)
        self._cli = cli
        if self._interrupted:
            raise KeyboardInterrupt
        try:
            with automation.quiet():
                yield self._select(cli, places, more), cli
        finally:
            self._cli = None
            if where:
                shutil.rmtree(where.folder, ignore_errors=True)

    def _select(self, cli: Cli, places: Locations, more: Mapping[str, str]) -> Stack:
        from pulumi.automation import CommandError

        from hostler.provision import automation

        exists = places.exists if places.part != self.own_places.part else self.store.exists()
        try:
            return automation.stack(places, cli, more, exists=exists)
        except CommandError as error:
            self._failed(cli, [], error)

    def _prepared(self) -> Locations:
        """Folders, the bucket, and the settings file of a stack that another machine made."""
        self.store.make()
        if self.store.url:
            document = self.store.checkpoint()
            self._secrets = kms.provider_of(document) or self.own_places.secrets
            begun = {} if self._secrets == PASSPHRASE else {"secretsprovider": self._secrets}
            write_settings(self.own_places, state.secrets_provider(document) or begun)
        return self.places

    def reseal(self, provider: str) -> None:
        """Encrypts the state's secrets anew, by Pulumi's own command: what opens them now must be there, too."""
        from pulumi.automation import CommandError

        places = replace(self.own_places, secrets=PASSPHRASE)
        with self.stack(passphrase(places) if provider == PASSPHRASE else {}) as (stack, cli):
            try:
                stack.change_secrets(provider)
            except CommandError as error:
                self._failed(cli, [], error)

    def ensure(self) -> None:
        """The stack is there, for commands of the user's own."""
        if not self.store.exists():
            with self.stack({}):
                return
        self._prepared()

    def found(self) -> Command:
        self._command = self._command or find_cli(self.notice)
        return self._command

    def ensure_plugin(self) -> None:
        self.own_places.make()
        plugin.ensure(self.found(), self.own_places, self.notice)

    # -- what a killed run left -----------------------------------------------------------------------------

    def recover(self) -> None:
        """Its process, its lock, its pending operations."""
        locks.end_orphans(self.own_places, self.notice)
        found = self.store.locks()
        if not found:
            return
        if not locks.stale(found):
            raise self.locked(found)
        for lock in found:
            self.notice(f"lifting the lock of a process that is gone ({lock})")
        self._lift()

    def _lift(self) -> None:
        """Pulumi's own `cancel`, then its own way to drop half-made resources."""
        with self.stack({}) as (stack, _):
            stack.cancel()
        self.clear_pending()

    def clear_pending(self) -> None:
        document = self.store.checkpoint()
        found = state.pending(document)
        if not found:
            return
        from hostler.provision.events import Collector

        self.notice(f"clearing {len(found)} operations that the process left unfinished")
        if state.cloud_urns(document):
            self.ensure_plugin()
        collector, failed = Collector(silent), Failing(unseen)
        self.run("refresh", empty, collector, failed, clear_pending_creates=True)

    # -- errors ---------------------------------------------------------------------------------------------

    def _failed(self, cli: Cli, problems: Sequence[Problem], error: Exception) -> NoReturn:
        """The engine's own errors; where it never came to run, the passphrase, or what the CLI said."""
        if problems:
            raise ProvisionError(*problems) from error
        kms.check(self.places)
        if not opens(self.own_places):
            raise ProvisionError.of(
                f"stack {self.own_places.stack}",
                expected="the passphrase that the stack was made with",
                got="another one",
                next_step=f"set HOSTLER_PASSPHRASE, or bring back {self.own_places.passphrase}",
            ) from error
        raise said_by_cli(
            f"pulumi on stack {self.own_places.stack}", cli.last.code, cli.last.stderr
        ) from error

    def locked(self, holders: Sequence[locks.BackendLock]) -> HostlerError:
        return LockedError.of(
            f"Pulumi's state of stack {self.own_places.stack}",
            expected="nobody else to change it",
            got="; ".join(str(lock) for lock in holders) or "another process that has just finished",
            next_step="wait for it; if that machine is gone for good: hostler pulumi -- cancel --yes",
        )


@contextmanager
def watched(cli: Cli, limit: float) -> Generator[None]:
    """One SIGINT after `limit` seconds; SIGKILL where the CLI has not gone in the grace after it."""
    late: list[bool] = []

    def stop() -> None:
        late.append(cli.interrupt())

    timers = [Timer(limit, stop), Timer(limit + GRACE_S, cli.kill)] if limit else []
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        yield
    except KeyboardInterrupt:
        if any(late):
            raise TimedOut from None
        raise
    finally:
        for timer in timers:
            timer.cancel()


def problems_of(collector: Collector) -> list[Problem]:
    """What the cloud said, in people's words; else the engine's own."""
    reasons = [
        (urn.rsplit("::", 1)[-1] or "Pulumi", reason_of(message)) for urn, message in collector.failures
    ]
    said = [problem for name, reason in reasons if reason.code for problem in error_of(name, reason).problems]
    return said or collector.problems


class Failing:
    """Passes a probe's error on to the caller: Pulumi would show a stack trace of the program."""

    def __init__(self, seen: SeenOf) -> None:
        self._seen = seen
        self.error: HostlerError | None = None

    def __call__(self, name: str) -> Seen:
        try:
            return self._seen(name)
        except HostlerError as error:
            self.error = error
            raise


def unseen(name: str) -> Seen:
    """No probe: every host is as it was."""
    return Seen(host=name, at=time.time(), seconds=0.0, error="not asked", error_kind="dead")


def empty() -> None:
    """A program that wants nothing; only for commands that do not run it."""
