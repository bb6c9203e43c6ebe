"""A record whose slots are turned: one that was to be replaced stays, and its successor goes."""

from __future__ import annotations

from dataclasses import replace

from hostler.record.types import Record
from hostler.rollout.rented import Turn


def turned(record: Record, turn: Turn) -> Record:
    """The record with the slots that stay and those that go, as if the one had never been to be the other's successor."""
    if not (turn.keep or turn.drop):
        return record
    slots = dict(record.slots)
    slots |= {name: replace(slots[name], state="wanted") for name in turn.keep if name in slots}
    slots |= {
        name: replace(slots[name], state="retiring", stopped=False) for name in turn.drop if name in slots
    }
    return replace(record, slots=slots)


def back(record: Record) -> Turn:
    """The way back from a successor: retiring slots on which replicas stood before the change under way stay, and wanted ones
    of the same pools that replicas stand on since go."""
    before = record.journal.before.replicas if record.journal else ()
    stood = {replica.members[0].host for replica in before}
    keep = [n for n, s in record.slots.items() if s.state == "retiring" and n in stood]
    pools = {record.slots[name].pool for name in keep}
    since = {replica.members[0].host for replica in record.replicas} - stood
    drop = [n for n, s in record.slots.items() if s.state == "wanted" and n in since and s.pool in pools]
    return Turn(keep=tuple(keep), drop=tuple(drop))
