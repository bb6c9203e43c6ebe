"""One stack's Pulumi: preview, up, rent, retire, destroy. The rest of the product knows only this class."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hostler.cloud.types import CloudWish, Holding, Rented, RentResult
from hostler.errors import LockedError, ProvisionError
from hostler.hosts.types import Host
from hostler.provision import kms, locks, state
from hostler.provision.launch import Launches, first_launches
from hostler.provision.locations import PASSPHRASE, Locations, phrase
from hostler.provision.runner import Failing, Runner, empty, unseen
from hostler.provision.stores import store_of
from hostler.provision.types import HoldingsOf, Notice, OnEvent, ProvisionPreview, SeenOf, silent

Preview = ProvisionPreview
ATTEMPT_S = 600.0


def nothing_held() -> tuple[Holding, ...]:
    """For accounts that nobody asks."""
    return ()


class Fleet:
    """Not for two threads at once, but `interrupt` may be called from any.

    `state`: empty: a local folder; `s3://bucket/prefix`; or stores.ACCOUNT: the account's own bucket of this stack,
    made in `region` at the first `up` or `rent`. A stack that rents has it in a bucket. `key`: of KMS, as the stack file
    has it, in `region` where it names none; empty: its secrets are under a passphrase. `uid`: the record's; every method raises LockedError where the state has another one.
    """

    def __init__(
        self,
        stack: str,
        *,
        uid: str = "",
        state: str = "",
        region: str = "",
        key: str = "",
        on_event: OnEvent = silent,
        notice: Notice = silent,
        base: Path | None = None,
    ) -> None:
        self.places = Locations.of(stack, base, kms.url(key, region) if key else PASSPHRASE)
        self._key, self._wanted_region = key, region
        self.store = store_of(self.places, state, uid=uid, region=region)
        self._runner = Runner(self.places, self.store, notice)
        self._uid = uid
        self._on_event = on_event

    def preview(self, hosts: Sequence[Host], seen: SeenOf, wish: CloudWish | None = None) -> ProvisionPreview:
        """What differs between what was accepted and what `seen` answers, and between what is rented and the wish.
        Changes nothing, takes no lock. Asks the cloud only where something is rented or wished.

        `seen` waits for one host's probe; it is called while the CLI already starts. Without a wish what is rented
        stays as it is; to end it all, wish for no slots.
        """
        document = self._document()
        scratch = bool(self.store.url) and not document and not self.store.exists()
        anew = kms.change(self._key, self._wanted_region, document) if self.store.url else ()
        if self._key and (scratch or anew):
            kms.sealed(
                self._secrets(document), "hostler"
            )  # a key that cannot be used is refused before anything costs
        found = self._run("preview", hosts, seen, document, self._launches(document, wish), scratch=scratch)
        return replace(found, changes=(*anew, *found.changes))

    def up(
        self, hosts: Sequence[Host], seen: SeenOf, preview: ProvisionPreview | None = None
    ) -> ProvisionPreview:
        """Accepts what is seen as what is expected. Runs nothing where the preview has no changes of hosts. What is
        rented stays as it is."""
        preview = self.preview(hosts, seen) if preview is None else preview
        if not any(change.kind == "host" for change in preview.changes):
            return preview
        self.recover()
        return self._run("up", hosts, seen, self._document(), None)

    def rented(self) -> tuple[Rented, ...]:
        """The instances in the state, by slot; read directly, without the CLI."""
        return state.rented(self._document())

    def state_uid(self) -> str:
        """The stack's uid as the state has it; empty: it has none yet."""
        return state.uid_of(self._document())

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
        from hostler.provision.renting import Renting

        document = self._document()
        self.recover()
        self._runner.clear_pending()
        if kms.change(self._key, self._wanted_region, document):
            self._runner.reseal(self._secrets(document))
        self._runner.ensure_plugin()
        renting = Renting(
            self._runner, wish, hosts=hosts, seen=seen, holdings=holdings, limit=limit,
            region=self._region(document, wish), on_event=self._on_event,
        )  # fmt: skip
        return renting.run()

    def ready(self) -> None:
        """Fetches the CLI and its AWS plugin where they are not there yet. Raises ProvisionError."""
        self._runner.ensure_plugin()

    def retire(self, slots: Sequence[str]) -> tuple[str, ...]:
        """Ends the instances of these slots, and nothing else; the slots that were there. They are drained."""
        urns = state.slot_urns(self._document(), slots)
        if not urns:
            return ()
        self.recover()
        self._runner.ensure_plugin()
        self._run("destroy", (), unseen, self._document(), None, target=list(urns.values()))
        self._gone(list(state.slot_urns(self.store.checkpoint(), slots)))
        return tuple(urns)

    def refresh(self, hosts: Sequence[Host], seen: SeenOf) -> ProvisionPreview:
        """Writes status and what is seen into the outputs; what is expected stays."""
        if not self.store.exists():
            return ProvisionPreview()
        self.recover()
        return self._run("refresh", hosts, seen, self._document(), None)

    def destroy(self) -> ProvisionPreview:
        """Ends all that is rented, and takes the hosts out of the state; on owned hosts nothing happens. Reads the
        state back."""
        if not self.store.exists():
            return ProvisionPreview()
        self.recover()
        self._runner.clear_pending()
        document = self._document()
        if state.cloud_urns(document):
            self._runner.ensure_plugin()
        done = self._run("destroy", (), unseen, document, None, all_of_it=True)
        left = [state.name_of(item) for item in state.resources(self.store.checkpoint()) if item.get("id")]
        self._gone([name for name in left if name not in PROVIDERS])
        return done

    def forget(self) -> tuple[str, ...]:
        """Removes the stack, its state and its passphrase; what stays in a bucket and why. Refused while somebody
        works on it, or something rented stands in it."""
        locks.end_orphans(self.places, self._runner.notice)
        if holders := [lock for lock in self.store.locks() if not lock.stale]:
            raise self._runner.locked(holders)
        if standing := state.cloud(self._document()):
            self._gone([state.name_of(item) for item in standing])
        return self.store.remove()

    def document(self, name: str) -> dict[str, Any] | None:
        """A small JSON document of ours beside the state; None where there is none."""
        return self.store.document(name)

    def keep(self, name: str, data: Mapping[str, Any]) -> None:
        """Writes it; makes the bucket where it is not there yet."""
        self.store.keep(name, data)

    def seal(self) -> tuple[str, dict[str, str]]:
        """A passphrase for what of the stack is kept beside the state, and what of it stands there: nothing, where it is
        the stack's own; else it is sealed by the key."""
        address = self._secrets(self.store.checkpoint())
        return kms.enclosed(address) if address != PASSPHRASE else (phrase(self.places), {})

    def unseal(self, document: Mapping[str, Any]) -> str:
        """The passphrase of such a document. Raises ProvisionError."""
        return kms.phrase_in(document) or phrase(replace(self.places, secrets=PASSPHRASE))

    def is_sealed(self, document: Mapping[str, Any]) -> bool:
        """Whether it is under what it shall be."""
        return kms.is_enclosed(document, self._secrets(self.store.checkpoint()))

    def export(self) -> dict[str, Any]:
        """Pulumi's own deployment document; empty where there is no stack yet."""
        return self.store.checkpoint()

    def recover(self) -> None:
        """Lifts what a killed run left: its process, its lock, its pending operations."""
        self._runner.recover()

    def interrupt(self) -> bool:
        """Forwards one SIGINT to the CLI, which finishes what is in flight. The running method then raises
        KeyboardInterrupt. False where nothing runs or it was told already."""
        return self._runner.interrupt()

    def passthrough(
        self,
        arguments: Sequence[str],
        hosts: Sequence[Host] | None = None,
        seen: SeenOf | None = None,
        wish: CloudWish | None = None,
    ) -> int:
        """The real CLI on this stack, on the caller's terminal; its exit code.

        `preview` and `up` need the hosts, `preview` the wish where something is rented: without them the program would be
        empty, and they would be deleted. Raises RefusedError for what would end rented machines undrained.
        """
        from hostler.provision.passthrough import Passthrough

        document = self._document()
        return Passthrough(
            runner=self._runner, arguments=arguments, hosts=hosts, seen=seen or unseen, document=document,
            launches=self._launches(document, wish), uid=self._uid,
        ).run()  # fmt: skip

    # -- inside -----------------------------------------------------------------------------------------

    def _run(
        self,
        verb: str,
        hosts: Sequence[Host],
        seen: SeenOf,
        document: state.Document,
        launches: Launches | None,
        *,
        scratch: bool = False,
        all_of_it: bool = False,
        **options: Any,
    ) -> ProvisionPreview:
        """Without launches all that is rented is left alone, unless it is `all_of_it`."""
        from hostler.provision.events import Collector
        from hostler.provision.program import program

        began = time.monotonic()
        failed = Failing(seen)
        stored = state.inputs_by_urn(document)
        collector = Collector(self._on_event, refreshing=verb == "refresh", stored=stored)
        rented = state.cloud_urns(document)
        if launches and (rented or launches.slots):
            self._runner.ensure_plugin()
            options |= {"refresh": True}
        elif launches is None and rented and not all_of_it and "target" not in options:
            options |= {"exclude": rented}
        run = empty if verb == "destroy" else program(hosts, failed, self._uid, launches)
        self._runner.run(verb, run, collector, failed, scratch=scratch, **options)
        return ProvisionPreview(changes=collector.changes, seconds=time.monotonic() - began)

    def _document(self) -> dict[str, Any]:
        """What stands, refused where it is another stack's: its hosts are nobody's strays."""
        document = self.store.checkpoint()
        shared = self.store.url if self.store.exists() else ""
        found = state.uid_of(document) if shared or state.cloud(document) else ""
        if self._uid and found and found != self._uid:
            raise LockedError.of(
                f"Pulumi's state of stack {self.places.stack}",
                expected=f"the state of {self._uid}",
                got=f"that of {found}",
                next_step="name this stack's own bucket with `state:`, or give the stack another name with `stack:`",
            )
        return document

    def _secrets(self, document: state.Document) -> str:
        """What they shall be under."""
        return kms.wanted(self._key, self._wanted_region, document)

    def _launches(self, document: state.Document, wish: CloudWish | None) -> Launches | None:
        if wish is None:
            return None
        return first_launches(wish, state.rented(document), self._region(document, wish))

    def _region(self, document: state.Document, wish: CloudWish) -> str:
        """Of the provider: the one that it has, the bucket's, or the first that is wished."""
        wished = (candidate.region for slot in wish.slots for candidate in slot.candidates)
        return state.provider_region(document) or self.store.region or next(wished, "us-east-1")

    def _gone(self, left: Sequence[str]) -> None:
        """An interrupted destroy says success with resources left: read back."""
        if left:
            raise ProvisionError.of(
                f"stack {self.places.stack}",
                expected="nothing left in Pulumi's state",
                got=", ".join(sorted(left)),
                next_step="run the same command again",
            )


PROVIDERS = ("aws", "default")
