"""The CLI on the caller's own terminal, for `hostler pulumi -- ARGS`. Where machines are rented it may look at all of
it; what would end them undrained, make some that nobody meets, or lose them, is refused.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hostler.errors import RefusedError, UsageError
from hostler.provision import state
from hostler.provision.engine import search_path
from hostler.provision.locations import QUIET, environment, inherited
from hostler.provision.terminal import PREVIEWS, WITH_PROGRAM, WITH_PROVIDER, foreground, words_of

if TYPE_CHECKING:
    from hostler.hosts.types import Host
    from hostler.provision.launch import Launches
    from hostler.provision.locations import Locations
    from hostler.provision.runner import Runner
    from hostler.provision.types import SeenOf

ENDS = ("destroy", "down", "dn")
FORGETS = (
    ["stack", "rm"],
    ["stack", "remove"],
    ["stack", "import"],
    ["state", "delete"],
    ["state", "rename"],
)
SECRETS = ["stack", "change-secrets-provider"]
BARE = ("version", "help", "about", "plugin", "whoami", "gen-completion")  # not about one stack
HELP = ("-h", "--help")
UNDRAINED = "it ends machines while they answer requests, and what it makes nobody meets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passthrough:
    """`launches`: what is wished of what is rented. Without them, and without hosts, the program would be empty, and all
    of it deleted."""

    runner: Runner
    arguments: Sequence[str]
    hosts: Sequence[Host] | None
    seen: SeenOf
    document: state.Document
    launches: Launches | None
    uid: str

    def run(self) -> int:
        """The CLI's exit code. Raises RefusedError, UsageError."""
        words = words_of(self.arguments)
        verb = words[0] if words else ""
        if not words or verb in BARE or _helps(self.arguments):
            return self._bare()
        self._refuse_program(verb)
        self._refuse_ends(words)
        if self.runner.store.url and not self.runner.store.exists():
            return self._before(verb)
        self.runner.ensure()
        return self._tied(self.runner.places, verb)

    # -- refused ------------------------------------------------------------------------------------------------

    def _refuse_program(self, verb: str) -> None:
        if verb not in WITH_PROGRAM:
            return
        rented = state.cloud(self.document)
        if verb not in PREVIEWS and (rented or self.runner.store.url):
            raise self._refused("hostler up, which drains first", f"pulumi {verb}: {UNDRAINED}", "hostler up")
        if self.hosts is None or (self.launches is None and rented):
            lacks = (
                "the hosts of the stack file" if self.hosts is None else "what is rented by the stack file"
            )
            step = f"hostler {'plan' if verb in PREVIEWS else 'up'}"
            raise UsageError.of(f"pulumi {verb}", expected=lacks, got="none", next_step=step)

    def _refuse_ends(self, words: Sequence[str]) -> None:
        rented, first = state.cloud(self.document), list(words[:2])
        if rented and words[0] in ENDS and "--preview-only" not in self.arguments:
            raise self._refused(
                "hostler down, which drains first", f"pulumi {words[0]}: {UNDRAINED}", "hostler down"
            )
        if rented and first in FORGETS:
            got = "the end of it: they would cost on, and no state would know them"
            raise self._refused("a state of what is rented", got, "hostler down, which ends them first")
        if self.runner.store.url and first == SECRETS:
            got = "Pulumi's alone: the stack's SSH key beside the state would open no more"
            step = "set state.kms in the stack file, and run `hostler up`"
            raise self._refused("a change of all the stack's secrets", got, step)

    def _refused(self, expected: str, got: str, step: str) -> RefusedError:
        return RefusedError.of(
            f"stack {self.runner.own_places.stack}", expected=expected, got=got, next_step=step
        )

    # -- run ----------------------------------------------------------------------------------------------------

    def _bare(self) -> int:
        places = self.runner.own_places
        places.make()
        return self._foreground(places, {**QUIET, "PULUMI_HOME": str(places.pulumi_home)})

    def _before(self, verb: str) -> int:
        """Before the first `up` there is no state, and looking makes none: a preview against an empty one."""
        if verb not in PREVIEWS:
            step = "hostler plan shows what `hostler up` would make"
            raise self._refused("a state in its bucket", "none: the stack was never up", step)
        places = self.runner.own_places.scratch()
        with self.runner.stack({}, places):
            return self._tied(places, verb)

    def _tied(self, places: Locations, verb: str) -> int:
        environ = environment(places)
        if verb not in WITH_PROVIDER:
            return self._foreground(places, environ)
        from hostler.provision.inline import attached

        if self.launches or state.cloud_urns(self.document):
            self.runner.ensure_plugin()
        with attached(self.hosts or (), self.seen, self.uid, self.launches) as (more, flags):
            return self._foreground(places, {**environ, **more}, flags)

    def _foreground(self, places: Locations, more: Mapping[str, str], flags: Sequence[str] = ()) -> int:
        command = self.runner.found()
        environ = {**inherited(), **more, "PATH": search_path(command, os.environ)}
        return foreground([str(command.path), *self.arguments, *flags], places.work, environ)


def previews(arguments: Sequence[str]) -> bool:
    """Whether they ask what would change, which what is wished says."""
    return not _helps(arguments) and next(iter(words_of(arguments)), "") in PREVIEWS


def _helps(arguments: Sequence[str]) -> bool:
    return bool(set(arguments) & set(HELP))
