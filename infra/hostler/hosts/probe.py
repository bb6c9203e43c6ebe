"""Looking at all hosts at once: each is a Seen, whatever is wrong with one of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from hostler.codec import DecodeError, decode
from hostler.errors import HostlerError

from .calls import agent_call
from .connect import transport_for
from .transport import Transport
from .trouble import HostTrouble
from .types import Absent, Facts, Host, Observed, Seen, Unknown, Value, is_address

AT_ONCE = 32
TIMEOUT = 20.0  # seconds for one host, connecting included


def probe(
    hosts: Sequence[Host],
    asks: Mapping[str, Sequence[str]] | None = None,
    timeout: float = TIMEOUT,
    *,
    after_first: float | None = None,
    transports: Mapping[str, Transport] | None = None,
) -> dict[str, Seen]:
    """Every host's answer by its name. `asks`: host -> what is asked of it, as `kind:name` (`text:/path`: a file
    with its text). `transports`: connections to use, and to leave open; others are made and closed.

    Never raises for a host: one that fails is a Seen with error, error_kind and next_step, and one that is slow
    holds the others no longer than `timeout` seconds, or `after_first` seconds once one has answered.
    """
    asked, kept = asks or {}, transports or {}
    turns = threading.BoundedSemaphore(AT_ONCE)
    answers: SimpleQueue[Seen] = SimpleQueue()

    def one(host: Host) -> None:
        with turns:
            answers.put(_one(host, asked.get(host.name, ()), timeout, kept.get(host.name)))

    for host in hosts:  # daemons: one that hangs in a key agent must not hold the process at its end
        threading.Thread(target=one, args=(host,), daemon=True, name=f"probe-{host.name}").start()
    return _collect([host.name for host in hosts], answers, timeout, after_first)


def _collect(
    names: Sequence[str], answers: SimpleQueue[Seen], timeout: float, after_first: float | None
) -> dict[str, Seen]:
    started = time.time()
    deadline = time.monotonic() + timeout * -(-len(names) // AT_ONCE)
    found: dict[str, Seen] = {}
    while len(found) < len(names):
        try:
            answer = answers.get(timeout=max(deadline - time.monotonic(), 0.001))
        except Empty:
            break
        found[answer.host] = answer
        if after_first is not None and answer.reached:
            deadline, after_first = min(deadline, time.monotonic() + after_first), None
    return {
        name: found.get(name) or _silent(name, started, round(time.time() - started, 1)) for name in names
    }


def probe_one(
    transport: Transport, ask: Sequence[str] = (), timeout: float = TIMEOUT, *, root: bool = True
) -> Seen:
    """One host's answer over a connection of the caller's. Without root much is unknown, but facts are seen."""
    started = time.time()
    try:
        answer = agent_call(transport, "probe", timeout=timeout, root=root, ask=list(ask))
        return seen(transport.name, answer, started, time.time())
    except HostlerError as error:
        return failed(transport.name, error, started)
    except (DecodeError, KeyError, TypeError, ValueError) as error:
        return _unlike(transport.name, str(error), started)


def seen(name: str, answer: Mapping[str, Any], started: float, ended: float) -> Seen:
    """The agent's answer in our types, dated on our clock. Raises DecodeError for an answer of another version."""
    facts = decode(Facts, answer["facts"])
    if strange := [told for told in facts.addresses if not is_address(told)]:
        raise DecodeError(f"facts.addresses: expected IP addresses, got {strange[0]!r}")
    return Seen(
        host=name,
        at=ended,
        seconds=round(ended - started, 3),
        facts=facts,
        observed={key: _observed(value, ended) for key, value in answer["observed"].items()},
        ours={key: tuple(value) for key, value in answer["ours"].items()},
        uid=answer["uid"],
        epoch=answer["epoch"],
        baseline=answer["baseline"],
        record=answer["record"],
        copy=answer["copy"],
    )


def failed(name: str, error: HostlerError, started: float) -> Seen:
    problem = error.problems[0]
    kind = error.kind if isinstance(error, HostTrouble) else "protocol"
    text = f"expected {problem.expected}; got {problem.got}"
    return Seen(
        host=name,
        at=time.time(),
        seconds=round(time.time() - started, 3),
        error=text,
        error_kind=kind,
        next_step=problem.next_step,
    )


def _one(host: Host, ask: Sequence[str], timeout: float, kept: Transport | None) -> Seen:
    started = time.time()
    transport = kept or transport_for(host)
    try:
        return probe_one(transport, ask, timeout)
    except Exception as error:  # noqa: BLE001 - of one host; the others go on, and this one says what it was
        return _unlike(host.name, f"{type(error).__name__}: {error}", started)
    finally:
        if kept is None:
            transport.close()


def _observed(value: Mapping[str, Any], at: float) -> Observed:
    if "unknown" in value:
        return Unknown(str(value["unknown"]), at)
    return Absent(at) if value.get("absent") else Value(value["value"], at)


def _silent(name: str, started: float, timeout: float) -> Seen:
    return Seen(
        host=name,
        at=time.time(),
        seconds=round(time.time() - started, 3),
        error=f"expected an answer within {timeout:g} s; got none",
        error_kind="timeout",
        next_step="look at the host and the network to it; the others were not held up",
    )


def _unlike(name: str, said: str, started: float) -> Seen:
    return Seen(
        host=name,
        at=time.time(),
        seconds=round(time.time() - started, 3),
        error=f"expected the agent's answer; got something else ({said})",
        error_kind="protocol",
        next_step="please report this: the agent and this Hostler do not fit together",
    )
