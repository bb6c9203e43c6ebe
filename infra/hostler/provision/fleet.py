"""One stack's Pulumi: preview, up, refresh, destroy. The rest of the product knows only this class."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hostler.cloud.types import CloudWish, Holding, Rented, RentResult
from hostler.errors import HostlerError, LockedError, Problem, ProvisionError, UsageError
from hostler.hosts.types import Host, Seen
from hostler.provision import locks
from hostler.provision.engine import Command, find_cli, search_path
from hostler.provision.locations import Locations, environment, inherited, opens
from hostler.provision.terminal import WITH_PROGRAM, WITH_PROVIDER, foreground, verb_of
from hostler.provision.types import HoldingsOf, Notice, OnEvent, ProvisionPreview, SeenOf, silent

if TYPE_CHECKING:
    from hostler.provision.automation import Cli, Stack
    from hostler.provision.events import Collector

Preview = ProvisionPreview
ATTEMPT_S = 600.0


def nothing_held() -> tuple[Holding, ...]:
    """For accounts that nobody asks."""
    return ()


class Fleet:
    """Not for two threads at once, but `interrupt` may be called from any.

    `state`: empty: a local folder; `s3://bucket/prefix`; or stores.ACCOUNT: the account's own bucket of this stack,
    made in `region` at the first `up` or `rent`. A stack that rents has it in a bucket. `secrets`: passphrase, or
    `awskms://...`. `uid`: the record's; every method raises LockedError where the state has another one.
    """

    def __init__(
        self,
        stack: str,
        *,
        uid: str = "",
        state: str = "",
        region: str = "",
        secrets: str = "passphrase",
        on_event: OnEvent = silent,
        notice: Notice = silent,
        base: Path | None = None,
    ) -> None:
        self.places = Locations.of(stack, base)
        self._uid = uid
        self._on_event = on_event
        self._notice = notice
        self._command: Command | None = None
        self._cli: Cli | None = None
        self._interrupted = False

    def preview(self, hosts: Sequence[Host], seen: SeenOf, wish: CloudWish | None = None) -> ProvisionPreview:
        """What differs between what was accepted and what `seen` answers, and between what is rented and the wish.
        Changes nothing, takes no lock. Asks the cloud only where something is rented or wished.

        `seen` waits for one host's probe; it is called while the CLI already starts. Without a wish what is rented
        stays as it is; to end it all, wish for no slots.
        """
        return self._run("preview", hosts, seen)

    def rented(self) -> tuple[Rented, ...]:
        """The instances in the state, by slot; read directly, without the CLI."""
        raise NotImplementedError

    def rent(
        self,
        hosts: Sequence[Host],
        seen: SeenOf,
        wish: CloudWish,
        *,
        holdings: HoldingsOf = nothing_held,
        limit: float = ATTEMPT_S,
    ) -> RentResult:
        """Makes what is rented as wished, and accepts the hosts: slots side by side, each through its candidates.
        A slot that stands keeps what it has. Slots that stand and are not wished are deleted.

        Capacity, quota and price are reasons for the next candidate; a slot that has none left is `unfilled`, which
        is the caller's to judge. Credentials, permissions and all else raise ProvisionError; what was rented until
        then is in the state. `holdings` answers what the account holds of this uid: an instance that was made and
        whose answer was lost is adopted, or ended. `limit`: seconds for one attempt.
        """
        raise NotImplementedError

    def retire(self, slots: Sequence[str]) -> tuple[str, ...]:
        """Ends the instances of these slots, and nothing else; the slots that were there. They are drained."""
        raise NotImplementedError

    def document(self, name: str) -> dict[str, Any] | None:
        """A small JSON document of ours beside the state; None where there is none."""
        raise NotImplementedError

    def keep(self, name: str, data: Mapping[str, Any]) -> None:
        """Writes it; makes the bucket where it is not there yet."""
        raise NotImplementedError

    def up(
        self, hosts: Sequence[Host], seen: SeenOf, preview: ProvisionPreview | None = None
    ) -> ProvisionPreview:
        """Accepts what is seen as what is expected. Runs nothing where the preview has no changes."""
        preview = self.preview(hosts, seen) if preview is None else preview
        if not preview:
            return preview
        self.recover()
        return self._run("up", hosts, seen)

    def refresh(self, hosts: Sequence[Host], seen: SeenOf) -> ProvisionPreview:
        """Writes status and what is seen into the outputs; what is expected stays."""
        if not self.places.exists:
            return ProvisionPreview()
        self.recover()
        return self._run("refresh", hosts, seen)

    def destroy(self) -> ProvisionPreview:
        """Takes the hosts out of the state; on the hosts nothing happens."""
        if not self.places.exists:
            return ProvisionPreview()
        self.recover()
        done = self._run("destroy", (), unseen)
        self._nothing_left()
        return done

    def forget(self) -> None:
        """Removes the stack, its state and its passphrase. Refused while somebody works on it."""
        locks.end_orphans(self.places, self._notice)
        if holders := [lock for lock in locks.held(self.places) if not lock.stale]:
            raise self._locked(holders)
        if self.places.folder.exists():
            shutil.rmtree(self.places.folder)

    def export(self) -> dict[str, Any]:
        """Pulumi's own deployment document; empty where there is no stack yet."""
        if not self.places.exists:
            return {}
        with self._stack({}) as (stack, _):
            return dict(stack.export_stack().deployment or {})

    def recover(self) -> None:
        """Lifts what a killed run left: its process, its lock, its pending operations."""
        locks.end_orphans(self.places, self._notice)
        if found := locks.stale(self.places):
            for lock in found:
                self._notice(f"lifting the lock of a process that is gone ({lock})")
            self._lift()
        elif holders := locks.held(self.places):
            raise self._locked(holders)

    def interrupt(self) -> bool:
        """Forwards one SIGINT to the CLI, which finishes what is in flight. The running method then raises
        KeyboardInterrupt. False where nothing runs or it was told already."""
        self._interrupted = True
        return self._cli.interrupt() if self._cli else False

    def passthrough(
        self, arguments: Sequence[str], hosts: Sequence[Host] | None = None, seen: SeenOf | None = None
    ) -> int:
        """The real CLI on this stack, on the caller's terminal; its exit code.

        `preview` and `up` need the hosts: without them the program would be empty, and they would be deleted.
        """
        verb = verb_of(arguments)
        if verb in WITH_PROGRAM and hosts is None:
            raise UsageError.of(
                f"pulumi {verb}",
                expected="the hosts of the stack file",
                got="none",
                next_step=f"hostler {'up' if verb in ('up', 'update') else 'plan'}",
            )
        self._ensure()
        with self._attached(verb, hosts or (), seen or unseen) as (more, flags):
            command = self._found()
            environ = {**inherited(), **environment(self.places), "PATH": search_path(command, os.environ)}
            return foreground([str(command.path), *arguments, *flags], self.places.work, {**environ, **more})

    # -- inside -----------------------------------------------------------------------------------------

    def _run(self, verb: str, hosts: Sequence[Host], seen: SeenOf) -> ProvisionPreview:
        from hostler.provision.events import Collector
        from hostler.provision.program import program
        from hostler.provision.provider import served

        began = time.monotonic()
        failed = Failing(seen)
        collector = Collector(self._on_event, refreshing=verb == "refresh")
        with (
            served(failed) as port,
            self._stack({"PULUMI_DEBUG_PROVIDERS": f"hostler:{port}"}) as (stack, cli),
        ):
            options: dict[str, Any] = {"on_event": collector, "color": "never", "suppress_progress": True}
            options["program"] = program(hosts, failed, self._uid)
            self._call(lambda: getattr(stack, verb)(**options), cli, collector, failed)
        return ProvisionPreview(changes=collector.changes, seconds=time.monotonic() - began)

    def _call(self, run: Callable[[], object], cli: Cli, collector: Collector, seen: Failing) -> None:
        from pulumi.automation import CommandError, ConcurrentUpdateError

        try:
            run()
        except ConcurrentUpdateError as error:
            raise self._locked(locks.held(self.places)) from error
        except CommandError as error:
            if seen.error is not None:
                raise seen.error from None
            self._failed(cli, collector.problems, error)

    @contextmanager
    def _stack(self, more: dict[str, str]) -> Generator[tuple[Stack, Cli]]:
        from hostler.provision import automation

        self.places.make()
        cli = automation.Cli(self._found(), self.places)
        self._cli = cli
        if self._interrupted:
            raise KeyboardInterrupt
        try:
            with automation.quiet():
                yield self._select(cli, more), cli
        finally:
            self._cli = None

    def _select(self, cli: Cli, more: dict[str, str]) -> Stack:
        from pulumi.automation import CommandError

        from hostler.provision import automation

        try:
            return automation.stack(self.places, cli, more)
        except CommandError as error:
            self._failed(cli, [], error)

    @contextmanager
    def _attached(
        self, verb: str, hosts: Sequence[Host], seen: SeenOf
    ) -> Generator[tuple[dict[str, str], list[str]]]:
        if verb not in WITH_PROVIDER:
            yield {}, []
            return
        from hostler.provision.inline import attached

        with attached(hosts, seen, self._uid) as ties:
            yield ties

    def _ensure(self) -> None:
        """The stack is there, for commands of the user's own."""
        if not self.places.exists:
            with self._stack({}):
                return

    def _found(self) -> Command:
        self._command = self._command or find_cli(self._notice)
        return self._command

    def _lift(self) -> None:
        """Pulumi's own `cancel`, then its own way to drop half-made resources."""
        with self._stack({}) as (stack, _):
            stack.cancel()
            pending = (stack.export_stack().deployment or {}).get("pending_operations")
        if pending:
            self._notice(f"clearing {len(pending)} operations that the process left unfinished")
            self._clear_pending()

    def _clear_pending(self) -> None:
        from hostler.provision.events import Collector
        from hostler.provision.provider import served

        collector, failed = Collector(silent), Failing(unseen)
        with (
            served(failed) as port,
            self._stack({"PULUMI_DEBUG_PROVIDERS": f"hostler:{port}"}) as (stack, cli),
        ):
            options: dict[str, Any] = {"clear_pending_creates": True, "on_event": collector, "color": "never"}
            self._call(lambda: stack.refresh(program=empty, **options), cli, collector, failed)

    def _nothing_left(self) -> None:
        """An interrupted destroy says success with resources left: read back."""
        left = [item["urn"] for item in self.export().get("resources") or () if item.get("id")]
        names = [urn.rsplit("::", 1)[-1] for urn in left if "::pulumi:providers:" not in urn]
        if names:
            raise ProvisionError.of(
                f"stack {self.places.stack}",
                expected="nothing left in Pulumi's state",
                got=", ".join(sorted(names)),
                next_step="run the same command again",
            )

    def _failed(self, cli: Cli, problems: Sequence[Problem], error: Exception) -> NoReturn:
        """The engine's own errors; where it never came to run, the passphrase, or what the CLI said."""
        if problems:
            raise ProvisionError(*problems) from error
        if not opens(self.places):
            raise ProvisionError.of(
                f"stack {self.places.stack}",
                expected="the passphrase that the stack was made with",
                got="another one",
                next_step=f"set HOSTLER_PASSPHRASE, or bring back {self.places.passphrase}",
            ) from error
        lines = [line.strip() for line in cli.last.stderr.splitlines() if line.strip()]
        raise ProvisionError.of(
            f"pulumi on stack {self.places.stack}",
            expected="exit code 0",
            got=f"{cli.last.code}: {lines[-1].removeprefix('error: ') if lines else 'no reason given'}",
            next_step="hostler doctor",
            detail="\n".join(lines[-20:]),
        ) from error

    def _locked(self, holders: Sequence[locks.BackendLock]) -> HostlerError:
        return LockedError.of(
            f"Pulumi's state of stack {self.places.stack}",
            expected="nobody else to change it",
            got="; ".join(str(lock) for lock in holders) or "another process that has just finished",
            next_step="wait for it; if that machine is gone for good: hostler pulumi -- cancel --yes",
        )


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
