"""Renting: attempts until every slot is filled or has no candidate left. All slots side by side.

Not inside the program: a choice that is made there flips back at the next run, and replaces what stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hostler.cloud.types import Candidate, CloudWish, Holding, Refusal, Rented, RentResult, SlotWish
from hostler.errors import ProvisionError
from hostler.hosts.types import Host
from hostler.provision import orphans, state
from hostler.provision.launch import Launch, Launches, pinned
from hostler.provision.refusals import Reason, error_of, reason_of, still_there, told
from hostler.provision.runner import Failing, Runner, TimedOut, empty, unseen
from hostler.provision.types import HoldingsOf, OnEvent, SeenOf

IDLE = 3  # attempts in a row that come to nothing new


@dataclass(slots=True)
class Track:
    """One slot's way through its candidates."""

    slot: SlotWish
    left: list[Candidate]
    adopt: str = ""
    again: bool = False  # its first candidate had a second try already

    @property
    def launch(self) -> Launch:
        return Launch(slot=self.slot, candidate=self.left[0], adopt=self.adopt)


@dataclass(slots=True)
class Outcome:
    """Of one attempt."""

    failures: Sequence[tuple[str, str]] = ()  # URN, message
    error: ProvisionError | None = None
    late: bool = False


class Renting:
    """One call of Fleet.rent. `region`: of the provider."""

    def __init__(
        self,
        runner: Runner,
        wish: CloudWish,
        *,
        hosts: Sequence[Host],
        seen: SeenOf,
        holdings: HoldingsOf,
        limit: float,
        region: str,
        on_event: OnEvent,
    ) -> None:
        self.runner, self.wish = runner, wish
        self.hosts, self.seen, self.holdings = hosts, seen, holdings
        self.limit, self.region, self.on_event = limit, region, on_event
        self.document = runner.store.checkpoint()
        self.machines: dict[str, Rented] = {}
        self.tracks: dict[str, Track] = {}
        self.refusals: list[Refusal] = []
        self.touched: set[str] = set()

    def run(self) -> RentResult:
        """Raises ProvisionError for what no other candidate would help; LockedError for a state that lacks what the
        account has."""
        self._read()
        self.tracks = {slot.slot: self._track(slot) for slot in self.wish.slots}
        if self._empty():
            self._orphans(known=not state.is_new(self.document))
        refresh, idle = bool(self.machines), 0
        while True:
            adopting, before = {name for name, track in self.tracks.items() if track.adopt}, self._progress()
            outcome = self._attempt(refresh)
            refresh = self._judge(outcome, adopting)
            if not outcome.failures and not outcome.late and not adopting:
                break
            idle = 0 if self._progress() != before or adopting else idle + 1
            if idle >= IDLE:
                raise outcome.error or self._stuck()
            if not adopting and not self._empty() and not refresh:
                break
        self._trim(refresh)
        return self._result()

    # -- an attempt -------------------------------------------------------------------------------------------

    def _attempt(self, refresh: bool) -> Outcome:
        from hostler.provision.automation import collect, quiet

        outcome = self._run(refresh)
        if outcome.failures or outcome.late:
            with quiet():
                collect()
        return outcome

    def _run(self, refresh: bool) -> Outcome:
        from hostler.provision.events import Collector
        from hostler.provision.program import program

        launches = self._launches()
        self.touched |= {launch.candidate.region for launch in launches.slots}
        collector = Collector(self.on_event, stored=state.inputs_by_urn(self.document))
        failing = Failing(self.seen)
        more = {"refresh": True} if refresh else {}
        run = program(self.hosts, failing, self.wish.uid, launches)
        try:
            self.runner.run("up", run, collector, failing, limit=self.limit, continue_on_error=True, **more)
        except TimedOut:
            return Outcome(failures=collector.failures, late=True)
        except ProvisionError as error:
            if not collector.failures:
                raise
            return Outcome(failures=collector.failures, error=ProvisionError(*error.problems))
        return Outcome()

    def _launches(self) -> Launches:
        active = tuple(track.launch for track in self.tracks.values() if track.left)
        own = {launch.candidate.region for launch in active if not launch.slot.subnet}
        return Launches(
            wish=self.wish,
            region=self.region,
            slots=active,
            keep=frozenset(state.names(self.document, state.NETWORK) & self.touched - own),
        )

    def _judge(self, outcome: Outcome, adopting: set[str]) -> bool:
        """Moves the slots on; whether the next attempt must ask the cloud what there is."""
        self._read()
        reasons = told({urn: reason_of(said) for urn, said in outcome.failures if urn})
        slots = {urn.rsplit("::", 1)[-1]: reason for urn, reason in reasons.items() if state.is_slot(urn)}
        others = {urn: reason for urn, reason in reasons.items() if not state.is_slot(urn)}
        if outcome.failures and not reasons and outcome.error:
            raise outcome.error
        self._stays({slot: reason for slot, reason in slots.items() if not self._wished(slot)})
        for urn, reason in others.items():
            self._other(urn, reason, outcome)
        for slot in adopting & slots.keys():
            self._end_adopted(self.tracks[slot])
            del slots[slot]
        half = {slot for slot in slots if slot in self.machines}
        for slot in adopting - slots.keys():
            if slot in self.machines:
                self.tracks[slot].adopt = ""
        lost = outcome.late or any(reason.code == "lost" for reason in reasons.values())
        for slot, reason in slots.items():
            self._refused(slot, reason)
        if outcome.late:
            self._late()
        if lost and self._empty():
            self._orphans(known=True)
        return bool(half) or outcome.late

    def _refused(self, name: str, reason: Reason) -> None:
        track = self.tracks[name]
        if reason.meaning == "stop":
            raise error_of(f"{name} ({track.left[0]})", reason)
        if reason.meaning == "again" and not track.again:
            track.again = True
            return
        self._next(track, reason)

    def _next(self, track: Track, reason: Reason) -> None:
        self.refusals.append(
            Refusal(slot=track.slot.slot, candidate=track.left[0], code=reason.code, text=reason.text)
        )
        self.runner.notice(f"{track.slot.slot}: {track.left[0]}: {reason.code}")
        track.left, track.again = track.left[1:], False

    def _other(self, urn: str, reason: Reason, outcome: Outcome) -> None:
        """A region's network or groups: all who want to be there lack it."""
        name = urn.rsplit("::", 1)[-1]
        there = [
            track
            for track in self.tracks.values()
            if track.left and track.slot.slot not in self.machines and track.left[0].region in name
        ]
        if reason.meaning == "stop" or not there:
            raise error_of(name, reason) if reason.code or not outcome.error else outcome.error
        if reason.meaning == "again" and not all(track.again for track in there):
            for track in there:
                track.again = True
            return
        for track in there:
            region = track.left[0].region
            while track.left and track.left[0].region == region:
                self._next(track, reason)

    def _late(self) -> None:
        """After the watchdog: what a killed run leaves, and who got nothing."""
        self.runner.recover()
        self.runner.clear_pending()
        self._read()
        late = Reason(code="timeout", text=f"no answer within {self.limit:.0f} s")
        for name in self._empty():
            self._next(self.tracks[name], late)
        if not self._empty():
            self._stays({slot: late for slot in self.machines if not self._wished(slot)})

    def _stays(self, slots: Mapping[str, Reason]) -> None:
        if slots:
            raise still_there(self.machines, slots)

    # -- what nobody knows of -----------------------------------------------------------------------------------

    def _orphans(self, *, known: bool) -> None:
        """`known`: the state has seen this stack before. An empty one takes nobody's machines for strays."""
        found = orphans.living(self.holdings(), self.wish.uid, state.ids(self.document))
        if found and not known:
            raise orphans.unknown_to(f"Pulumi's state of stack {self.wish.stack}", found)
        names = {name for name in self.tracks if name not in self.machines}
        sorted_out = orphans.sort(found, names, self.machines)
        self._end(sorted_out.end)
        for slot, one in sorted_out.adopt.items():
            candidate = orphans.candidate_of(one)
            if candidate:
                self.runner.notice(f"{slot}: taking over {one.id}, which an interrupted run made")
                track = self.tracks[slot]
                track.adopt, track.left = one.id, [candidate, *track.left]

    def _end_adopted(self, track: Track) -> None:
        """It cannot be taken over as it is; half of it may stand in the state already."""
        name, region = track.slot.slot, track.left[0].region
        if name in self.machines:
            self.runner.notice(f"ending {self.machines[name].id}, which cannot be taken over")
            self._forget(name)
        else:
            self._end([Holding(region=region, kind=orphans.INSTANCE, id=track.adopt, uid=self.wish.uid)])
        track.adopt, track.left = "", track.left[1:]

    def _forget(self, slot: str) -> None:
        from hostler.provision.events import Collector

        urns = list(state.slot_urns(self.document, [slot]).values())
        self.runner.run("destroy", empty, Collector(self.on_event), Failing(unseen), target=urns)
        self._read()

    def _end(self, found: Sequence[Holding]) -> None:
        for one in found:
            self.runner.notice(f"ending {one.id} in {one.region}, which an interrupted run made")
        orphans.end(found)

    # -- where things stand -------------------------------------------------------------------------------------

    def _read(self) -> None:
        self.document = self.runner.store.checkpoint()
        self.machines = {machine.slot: machine for machine in state.rented(self.document)}

    def _track(self, slot: SlotWish) -> Track:
        fixed = pinned(slot, self.machines.get(slot.slot))
        return Track(fixed, list(fixed.candidates))

    def _wished(self, slot: str) -> bool:
        return slot in self.tracks and bool(self.tracks[slot].left)

    def _empty(self) -> list[str]:
        """Slots with candidates and without an instance."""
        return [name for name, track in self.tracks.items() if track.left and name not in self.machines]

    def _progress(self) -> object:
        return sorted(self.machines), [(len(t.left), t.again, t.adopt) for t in self.tracks.values()]

    def _stuck(self) -> ProvisionError:
        return ProvisionError.of(
            f"stack {self.wish.stack}", expected="every attempt to come further",
            got=f"nothing new in {IDLE} attempts for {', '.join(self._empty())}", next_step="hostler doctor",
        )  # fmt: skip

    def _trim(self, refresh: bool) -> None:
        """Half-made instances of slots that got nothing, and networks of regions and zones where nothing is."""
        self._read()
        self.touched = set()
        wanted = {name for name, track in self.tracks.items() if track.left}
        launches = self._launches()
        there = {
            kind: state.names(self.document, kind) for kind in (state.INSTANCE, state.NETWORK, state.SUBNET)
        }
        if (
            there[state.INSTANCE] <= wanted
            and there[state.NETWORK] <= set(launches.regions)
            and there[state.SUBNET] <= set(launches.zones)
        ):
            return
        outcome = self._attempt(refresh)
        if outcome.failures:
            self.runner.notice(
                "some of what is not needed any more could not be removed; the next run tries again"
            )

    def _result(self) -> RentResult:
        self._read()
        unfilled = tuple(name for name in self.tracks if name not in self.machines)
        return RentResult(
            rented=tuple(self.machines[name] for name in sorted(self.machines)),
            refusals=tuple(self.refusals),
            unfilled=unfilled,
        )
