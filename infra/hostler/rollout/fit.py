"""hostler fit: what works for a model, on the hosts of a stack file, on named cards, or on common ones."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hostler.cloud import catalogue, predicted
from hostler.cloud.slots import gib
from hostler.errors import UsageError
from hostler.hosts.types import Host, Seen
from hostler.models import source as sources
from hostler.models.fit import Fit, Subject, fit
from hostler.models.imagined import card_room, common_rooms
from hostler.models.resolve import Weights
from hostler.models.resolver import with_folder
from hostler.models.rooms import rooms_of
from hostler.models.source import OperatorSource, Parsed, PathSource
from hostler.models.subject import ANYTHING, Wanted, read_subject
from hostler.rollout import secret, seen_files
from hostler.rollout.observe import look, of_paths, questions_of
from hostler.rollout.seen_files import HostFiles
from hostler.stackfile.hosts import hosts_of
from hostler.stackfile.sections import Model, StackFile

LIMIT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`notes`: what to know about it, a line each."""

    subject: Subject
    fit: Fit
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Asked:
    name: str
    source: Parsed
    where: str
    wanted: Wanted = ANYTHING


def is_source(word: str) -> bool:
    """A source word, not the name of a model in the stack file."""
    return word.startswith(("hf:", "http:", "https:", "/", *sources.OWN))


def answer(
    word: str, *, file: StackFile | None = None, pool: str | None = None, cards: Sequence[str] = ()
) -> Answer:
    """`word`: a source, or a model's name in `file`. Raises UsageError, StackFileError, UnreachableError."""
    asked = _asked(word, file)
    rooms = [card_room(card) for card in cards]
    hosts = () if cards or file is None else _hosts(file, pool)
    seen: Mapping[str, Seen] = look(hosts, _questions(file, asked.source), LIMIT_S) if file and hosts else {}
    if isinstance(asked.source, OperatorSource) or (isinstance(asked.source, PathSource) and not hosts):
        _refuse_absent(asked.source.path)
    with HostFiles(hosts, seen) as there:
        weights = _weights(file, seen, there)
        subject = read_subject(asked.name, asked.source, weights, asked.wanted, where=asked.where)
    types = {} if cards or file is None else _types(file, pool)
    rooms = rooms or rooms_of((*hosts, *(host for host, _ in types.values())), {**seen, **_as_seen(types)})
    found = fit(subject, rooms)
    notes = _notes(subject)
    if types:
        notes.append(f"{', '.join(types)}: what the type will have, as AWS describes it")
    if not cards and not types and not any(one.reached for one in seen.values()):
        common = fit(subject, common_rooms(), brief=True)
        found = Fit(works=common.works, fails=(*found.fails, *common.fails))
        notes.append(f"{'no host answers' if hosts else 'no stack file'}: common cards instead")
    return Answer(subject=subject, fit=found, notes=tuple(notes))


def _asked(word: str, file: StackFile | None) -> _Asked:
    if is_source(word):
        return _Asked(word, sources.parse(word, folder=str(Path.cwd()), where="MODEL"), "MODEL")
    models: Mapping[str, Model] = file.stack.models if file else {}
    model = models.get(word)
    if file is None or model is None or not model.source:
        near = difflib.get_close_matches(word, models, n=1) or sorted(models)
        raise UsageError.of(
            "MODEL",
            expected="a source (hf:..., https://..., /path) or the name of a model in the stack file",
            got=repr(word),
            next_step=f"the stack file has {', '.join(near)}",
        )
    where = file.where(f"models.{word}.source")
    folder = str(Path(file.path).resolve().parent)
    wanted = Wanted(engine=model.engine, slots=model.slots or 1, args=model.args)
    return _Asked(word, sources.parse(model.source, folder=folder, where=where), where, wanted)


def _hosts(file: StackFile, pool: str | None) -> tuple[Host, ...]:
    if pool is not None and pool not in file.stack.pools:
        raise UsageError.of(
            "--pool",
            expected=f"one of {', '.join(file.stack.pools)}",
            got=repr(pool),
            next_step="name a pool of the stack file",
        )
    return tuple(host for host in hosts_of(file) if pool in (None, host.pool))


def _types(file: StackFile, pool: str | None) -> dict[str, tuple[Host, Seen]]:
    """Instance types of rented pools as hosts that are not there, by name; types that are not in our list are left
    out: nobody is asked here."""
    pools = {name: one.aws for name, one in file.stack.pools.items() if one.aws and pool in (None, name)}
    named = {kind: (name, aws) for name, aws in pools.items() for kind in aws.instances}
    return {
        kind: (predicted.host(kind, name, ""), predicted.seen(kind, listed, gib(aws.disk), (), 0.0))
        for kind, (name, aws) in named.items()
        if (listed := catalogue.listed(kind))
    }


def _as_seen(types: Mapping[str, tuple[Host, Seen]]) -> dict[str, Seen]:
    return {kind: seen for kind, (_, seen) in types.items()}


def _refuse_absent(path: str) -> None:
    """Where no host is asked, the file must be here."""
    if not Path(path).exists():  # a folder is one of safetensors
        raise UsageError.of(
            "MODEL",
            expected=f"{path} on this machine, since no host is asked",
            got="none there",
            next_step="name a hub source, or ask the hosts: with a stack file, without --card",
        )


def _questions(file: StackFile | None, source: Parsed) -> tuple[str, ...]:
    path = of_paths(with_folder(source.path)) if isinstance(source, PathSource) else ()
    return tuple(dict.fromkeys((*(questions_of(file) if file else ()), *path)))


def _weights(file: StackFile | None, seen: Mapping[str, Seen], there: HostFiles) -> Weights:
    if file is None:
        return Weights(token=os.environ.get(secret.HUB, ""))
    return seen_files.weights(file, secret.value(file, secret.HUB), seen, there)


def _notes(subject: Subject) -> list[str]:
    notes: list[str] = []
    if subject.shape and subject.slots > 1:
        notes.append(f"each of {subject.slots} slots has the whole context")
    if subject.shape and subject.shape.how != "header":
        notes.append(f"memory is {subject.shape.how}")
    return notes
