"""The engine's events as ours: live lines, changes, errors. The events are trusted, never the CLI's text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hostler.errors import Problem
from hostler.provision import drift
from hostler.provision.properties import FACTS, difference, seen_in, sentence
from hostler.provision.state import INSTANCE
from hostler.provision.types import Kind, OnEvent, Op, ProvisionChange, ProvisionEvent

if TYPE_CHECKING:
    from pulumi.automation import EngineEvent
    from pulumi.automation.events import StepEventMetadata

STACK = "pulumi:pulumi:Stack"
PROVIDERS = "pulumi:providers:"
OPS: Mapping[str, Op] = {
    "create": "create",
    "update": "update",
    "delete": "delete",
    "replace": "replace",
    "refresh": "refresh",
}
LOOKED = ("refresh",)
INPUTS = ("name", "address", "user", "port", *FACTS)


class Collector:
    """Listens to one command of the CLI. In a refresh the result tells; elsewhere the step's beginning.

    `stored`: the inputs of what is rented, by URN, as the state had them before. `failures`: (URN, message) of every
    error, as the engine said it.
    """

    def __init__(
        self,
        on_event: OnEvent,
        *,
        refreshing: bool = False,
        stored: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._refreshing = refreshing
        self._on_event = on_event
        self._changes: dict[str, ProvisionChange] = {}
        self._stored = stored or {}
        self._gone: set[str] = set()
        self.problems: list[Problem] = []
        self.failures: list[tuple[str, str]] = []

    @property
    def changes(self) -> tuple[ProvisionChange, ...]:
        return tuple(self._changes[urn] for urn in sorted(self._changes))

    def __call__(self, event: EngineEvent) -> None:
        if event.resource_pre_event:
            self._before(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._after(event.res_outputs_event.metadata)
        elif event.res_op_failed_event:
            self._say("failed", event.res_op_failed_event.metadata)
        elif event.diagnostic_event:
            self._diagnostic(event.diagnostic_event)

    def _before(self, step: StepEventMetadata) -> None:
        if internal(step) or step.op.value not in OPS:
            return
        self._say("start", step)
        if rented(step):
            self._rented(step)
        elif not self._refreshing:
            self._keep(step, OPS[step.op.value], differing(step))

    def _rented(self, step: StepEventMetadata) -> None:
        """What the cloud has is told by the refresh that comes first."""
        op = OPS[step.op.value]
        now, wished = inputs_of(step.old), inputs_of(step.new)
        if op == "create":
            self._keep(step, op, drift.created(step.type, wished, gone=step.urn in self._gone))
        elif op in ("update", "replace"):
            self._keep(step, op, drift.changed(self._stored.get(step.urn, now), now, wished))
        elif op == "delete":
            self._keep(step, op, ())

    def _looked(self, step: StepEventMetadata) -> None:
        """After the refresh of one rented thing: it is gone, or it does not run."""
        if step.new is None or not step.new.id:
            self._gone.add(step.urn)
            word = "terminated" if step.type == INSTANCE else "removed"
            self._keep(step, "refresh", (f"{word} outside of hostler",))
        elif step.type == INSTANCE:
            self._keep(step, "refresh", drift.stopped(outputs_of(step.new)))

    def _after(self, step: StepEventMetadata) -> None:
        if internal(step):
            return
        if step.op.value in OPS:
            self._say("done", step)
        if rented(step):
            if step.op.value in LOOKED or self._refreshing:
                self._looked(step)
        elif self._refreshing:
            self._keep(step, "refresh", refreshed(step))

    def _keep(self, step: StepEventMetadata, op: Op, details: tuple[str, ...]) -> None:
        """A replacement comes as several steps on one resource: the word replace stays."""
        known = self._changes.get(step.urn)
        if (op in ("update", "refresh") and not details) or (known and known.op == "replace"):
            return
        seen = known.details if known and known.op == "refresh" and op == "update" else ()
        self._changes[step.urn] = ProvisionChange(
            name=titled(step), urn=step.urn, op=op, details=(*seen, *details), kind=kind_of(step.type)
        )

    def _diagnostic(self, found: Any) -> None:
        if found.severity not in ("warning", "error"):
            return
        name = name_of(found.urn) if found.urn else ""
        message = " ".join(found.message.split())
        if found.severity == "error":
            self.failures.append((found.urn or "", found.message))
            self.problems.append(Problem(where=name or "Pulumi", expected="it to succeed", got=message))
        self._on_event(ProvisionEvent(kind=found.severity, name=name, message=message))

    def _say(self, kind: Any, step: StepEventMetadata) -> None:
        self._on_event(ProvisionEvent(kind=kind, name=name_of(step.urn), op=step.op.value))


def name_of(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]


def internal(step: StepEventMetadata) -> bool:
    return step.type.startswith(PROVIDERS) or step.type == STACK


def rented(step: StepEventMetadata) -> bool:
    return step.type.startswith("aws:")


def kind_of(token: str) -> Kind:
    return "slot" if token == INSTANCE else "cloud" if token.startswith("aws:") else "host"


def titled(step: StepEventMetadata) -> str:
    return drift.title(step.type, name_of(step.urn)) if rented(step) else name_of(step.urn)


def differing(step: StepEventMetadata) -> tuple[str, ...]:
    """In words. Where only what was last seen differs, nothing was asked for: no details."""
    old, new = inputs(step.old), inputs(step.new)
    if step.op.value == "create":
        return tuple(
            sentence(key, "update", {}, new).replace("nothing => ", "") for key in FACTS if key in new
        )
    if old == new:
        return ()
    found = step.detailed_diff or {}
    return tuple(sentence(path, diff.diff_kind.value, old, new) for path, diff in found.items())


def refreshed(step: StepEventMetadata) -> tuple[str, ...]:
    """What was seen, against what is expected. Not the engine's own diff: it is empty the second time."""
    expected, outputs = inputs(step.old), outputs_of(step.new)
    seen = {**expected, **seen_in(outputs)}
    found = difference(expected, seen)
    details = [sentence(path, kind, expected, seen) for path, kind in found.items()]
    before, now = outputs_of(step.old).get("status"), outputs.get("status")
    return tuple(details if before == now else [f"status: {before} => {now}", *details])


def inputs(state: Any) -> dict[str, Any]:
    given: Mapping[str, Any] = (state.inputs if state else None) or {}
    return {key: given[key] for key in INPUTS if key in given}


def inputs_of(state: Any) -> dict[str, Any]:
    return dict((state.inputs if state else None) or {})


def outputs_of(state: Any) -> dict[str, Any]:
    return dict((state.outputs if state else None) or {})
