"""hostler down: what will be removed, the question, the removal, and a look whether it is really gone.

The hosts themselves say what they would remove, by the same code that removes it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from hostler import operator
from hostler.console.out import Out
from hostler.errors import ConfigureError, HostlerError, LockedError, Problem
from hostler.hosts.calls import agent_call
from hostler.hosts.connect import transport_for
from hostler.hosts.types import Host, Seen, Value
from hostler.record import store
from hostler.record.types import Record
from hostler.rollout import ending, keys, ledger, rented
from hostler.rollout.apply import empty
from hostler.rollout.observe import Observation, look, observe, refuse_unreached
from hostler.rollout.session import Session, session
from hostler.stackfile.sections import StackFile

HEADS = ("HOST", "KIND", "REMOVED")
ASK_S = 180.0  # apt is asked twice
QUESTIONS = {"packages": "package", "images": "image", "files": "path", "folders": "path", "models": "path"}

Listing = Mapping[str, Mapping[str, Any]]  # by host: the answer of a dry purge


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    yes: bool = False
    keep_models: bool = False
    cut: bool = False  # rented machines: ends requests in flight, too


def listed(hosts: Sequence[Host], uid: str, *, keep_models: bool) -> Listing:
    """What each host would remove and keep, all asked side by side. Raises their errors, all of them."""
    request: dict[str, Any] = {"dry-run": True, "keep-models": keep_models, "uid": uid}

    def ask(host: Host) -> Mapping[str, Any]:
        with closing(transport_for(host)) as transport:
            return agent_call(transport, "purge", timeout=ASK_S, **request, host=host.name)

    answers, errors = dict[str, Mapping[str, Any]](), list[HostlerError]()
    with ThreadPoolExecutor(32) as pool:
        waiting = {host.name: pool.submit(ask, host) for host in hosts}
    for name, future in waiting.items():
        try:
            answers[name] = future.result()
        except HostlerError as error:
            errors.append(error)
    raise_all(errors)
    return answers


def rows(listing: Listing) -> list[tuple[str, str, str]]:
    """(host, kind, name): the list that is printed is the list that is removed."""
    return [
        (host, kind, name)
        for host, answer in sorted(listing.items())
        for kind, names in answer["would"].items()
        for name in names
    ]


def raise_all(errors: Sequence[HostlerError]) -> None:
    """One error as it is; several as one that tells of all of them."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ConfigureError(*(problem for error in errors for problem in error.problems))


def down(file: StackFile, out: Out, options: Options) -> bool:
    """True when everything is gone, False when the question was answered with no."""
    observation = observe(file, pulumi=False)
    uid = identity(observation)
    ours = [name for name, seen in observation.seen.items() if seen.uid and seen.reached]
    hosts = tuple(host for name in ours if (host := observation.host(name)).owned)
    listing = listed(hosts, uid, keep_models=options.keep_models)
    held = ending.listed(observation, uid)
    show(listing, held, out)
    if held:
        return _with_rented(observation, uid, listing, held, out, options)
    if not ours:
        out.say("nothing to remove: no host that answers carries this stack")
        _forget(file, observation, out)
        refuse_unreached(_there(observation), "run `hostler down` again when it is back")
        return True
    if not out.confirm(f"Remove stack {file.stack.stack} from {', '.join(ours)}?", yes=options.yes):
        return False
    ledger.keep(observation, out, time.time())
    kept = _remove(observation, uid, listing, out, options)
    _forget(file, observation, out)
    refuse_unreached(_there(observation), "run `hostler down` again when it is back")
    if kept:
        out.say(f"gone: {', '.join(ours)}; what was kept is told above")
    else:
        out.say(f"gone: {', '.join(ours)} {'are' if len(ours) > 1 else 'is'} as found")
    return True


def _with_rented(
    observation: Observation, uid: str, listing: Listing, held: ending.Held, out: Out, options: Options
) -> bool:
    """Requests in flight are answered, then owned hosts are emptied while there is a record to go by, then the rented
    machines and all that was made for them go, and are read back."""
    file = observation.file
    if not out.confirm(f"Remove stack {file.stack.stack}, and end what it rents?", yes=options.yes):
        return False
    ledger.keep(observation, out, time.time())
    ending.drain(observation, out, cut=options.cut)
    if listing:
        _remove(observation, uid, listing, out, options)
    ending.end(observation, uid, held, out)
    _forget(file, observation, out)
    refuse_unreached(
        {name: observation.seen[name] for name in observation.seen if observation.host(name).owned},
        "run `hostler down` again when it is back",
    )
    out.say(
        "gone: everything that was rented, and read back"
        + (f"; {', '.join(listing)} as found" if listing else "")
    )
    return True


def show(listing: Listing, held: ending.Held, out: Out) -> None:
    """What goes, as data; what stays, and why, as the story."""
    table = [*rows(listing), *ending.rows(held)]
    if out.as_json:
        out.json([{"host": h, "kind": k, "name": n} for h, k, n in table])
    elif table:
        out.table(HEADS, table)
    for host, answer in sorted(listing.items()):
        for word, kind in (("stays", "kept"), ("cannot be removed", "left")):
            for thing in answer.get(kind, ()):
                out.say(f"{host}: {thing['what']} {word}: {thing['why']}")


def _remove(observation: Observation, uid: str, listing: Listing, out: Out, options: Options) -> list[str]:
    """The gateway's host last: it keeps the lock and the record. A host that fails does not hold the others.
    Returns what was kept."""
    ours, stack = list(listing), observation.file.stack.stack
    record = observation.record or Record(uid=uid, stack=stack, gateway_host=observation.gateway.name)
    home = record.gateway_host
    gateway = observation.host(home) if home in ours else observation.host(ours[0])
    with session(record, gateway, observation.every, ours, out, why="down") as run:
        others = [name for name in ours if name != gateway.name]
        answers = run.everywhere(others, lambda name: tried(run, name, options))
        run.lock.check()
        answers[gateway.name] = tried(run, gateway.name, options)
        errors = [answer for answer in answers.values() if isinstance(answer, HostlerError)]
        done = {name: answer for name, answer in answers.items() if not isinstance(answer, HostlerError)}
        kept = {name: [thing["what"] for thing in answer.get("kept", ())] for name, answer in done.items()}
        errors += _still_there(observation, {name: listing[name] for name in done}, kept, options)
        raise_all(errors)
    return [what for things in kept.values() for what in things]


def tried(run: Session, name: str, options: Options) -> dict[str, Any] | HostlerError:
    """A host's answer, or its error, for later."""
    run.out.live(f"{name}: taking away what is ours")
    try:
        answer = empty(run, name, keep_models=options.keep_models)
    except HostlerError as error:
        run.out.say(f"{name}: not all could be removed")
        return error
    run.out.say(f"{name}: removed")
    return answer


def _still_there(
    observation: Observation, before: Listing, kept: Mapping[str, list[str]], options: Options
) -> list[HostlerError]:
    """Read back: the hosts name nothing any more, and nothing of the list is seen."""
    hosts = tuple(observation.host(name) for name in before)
    if not hosts:
        return []
    try:
        again = rows(listed(hosts, "", keep_models=options.keep_models))
    except HostlerError as error:
        return [error]
    questions = sorted({question for answer in before.values() for question in questions_of(answer)})
    seen = look(hosts, questions)
    again += [row for name, answer in before.items() for row in found(name, answer, seen[name], kept[name])]
    problems = [
        Problem(where=host, expected="gone", got=f"{kind} {name} still there")
        for host, kind, name in sorted(set(again))
    ]
    return [ConfigureError(*problems)] if problems else []


def questions_of(answer: Mapping[str, Any]) -> list[str]:
    """For the probe, of a dry purge's answer."""
    return [f"{word}:{name}" for kind, word in QUESTIONS.items() for name in answer["would"].get(kind, ())]


def found(
    host: str, before: Mapping[str, Any], seen: Seen, kept: Sequence[str]
) -> list[tuple[str, str, str]]:
    """What was on the list, is there, and is not kept."""
    return [
        (host, kind, name)
        for kind, word in QUESTIONS.items()
        for name in before["would"].get(kind, ())
        if isinstance(seen.observed.get(f"{word}:{name}"), Value) and not {name, f"{word} {name}"} & set(kept)
    ]


def _there(observation: Observation) -> dict[str, Seen]:
    """Without slots of which no machine is there: nothing of them can come back."""
    return {name: seen for name, seen in observation.seen.items() if seen.error_kind != "absent"}


def _forget(file: StackFile, observation: Observation, out: Out) -> None:
    """Local state goes when no host of the stack is left out there."""
    if any(not seen.reached and observation.host(name).owned for name, seen in observation.seen.items()):
        out.say("note: some hosts did not answer; this machine keeps its state of the stack for them")
        return
    import shutil

    for kept in rented.fleet_of(file).forget():
        out.say(f"note: {kept}")
    keys.forget_all(file.stack.stack)
    shutil.rmtree(operator.stack_home(file.stack.stack), ignore_errors=True)


def _uid(observation: Observation) -> str:
    uids = {seen.uid for seen in observation.seen.values() if seen.uid}
    if len(uids) > 1:
        raise LockedError.of(
            "the hosts",
            expected="one stack's uid",
            got=", ".join(sorted(uids)),
            next_step="take the hosts of the other stack out of this file",
        )
    return next(iter(uids), "")


def identity(observation: Observation) -> str:
    """The uid of the stack that goes. Raises LockedError (exit 8) when the hosts are not this file's."""
    copy = store.best_copy(observation.seen)
    record = observation.record or (copy[1] if copy else None)
    if record is None:
        return _uid(observation) or (observation.cloud.uid if observation.cloud else "")
    store.refuse_foreign(observation.seen, record, observation.file.stack.stack)
    return record.uid
