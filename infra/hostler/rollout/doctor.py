"""hostler doctor: this machine, then the hosts; every finding with its next step."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping

from hostler import operator
from hostler.configure import idling
from hostler.console import status, watched
from hostler.console.out import age
from hostler.errors import HostlerError, Problem
from hostler.hosts.types import Facts, Seen, Value
from hostler.models.operator_files import quiet
from hostler.record.types import Record
from hostler.rollout import home, strays
from hostler.rollout.findings import Finding, bad, good
from hostler.rollout.observe import Observation, look, lost, observe
from hostler.stackfile.find import find
from hostler.stackfile.hosts import hosts_of
from hostler.stackfile.load import load

LOW_DISK = 5 * 2**30
LATELY_S = 86400.0


def examine(name: str | None, *, remove_strays: bool = False) -> list[Finding]:
    """All findings, the machine's first. Never raises for what it is there to find. `remove_strays`: ends rented
    things of this stack that its state does not know and whose lease is over."""
    try:
        file = load(find(name))
    except HostlerError as error:
        return [*_machine(ssh=True), *_said(error)]
    findings = list(_machine(ssh=any(not host.ssh.local for host in hosts_of(file))))
    findings.append(good(file.path, "stack file"))
    try:
        observation = observe(file, pulumi=False, without=quiet)
    except (
        HostlerError
    ) as error:  # the gateway is rented, say, and nobody knows where: the owned hosts can be asked
        seen = look(hosts_of(file))
        return [*findings, *_said(error), *(finding for one in seen.values() for finding in _host(one))]
    if observation.cloud:
        findings.extend(_problems(observation.cloud.why))
    findings.extend(_stack(observation))
    for host in observation.every:
        findings.extend(_host(observation.seen[host.name]))
    findings.extend(strays.findings(observation, remove=remove_strays))
    return findings


def _said(error: HostlerError) -> Iterator[Finding]:
    yield from _problems(error.problems)


def _problems(problems: Iterable[Problem]) -> Iterator[Finding]:
    for problem in problems:
        yield bad(problem.where, f"expected {problem.expected}; got {problem.got}", problem.next_step)


def _machine(*, ssh: bool) -> Iterator[Finding]:
    """`ssh`: whether any host is to be reached with it."""
    programs = (("ssh", "`hostler ssh` and Ansible need it"), ("ssh-keygen", "to look up host keys"))
    for program, why in programs if ssh else ():
        yield (
            good("this machine", program)
            if shutil.which(program)
            else bad("this machine", f"no {program}: {why}", "install openssh-client")
        )
    yield _pulumi()
    mode = operator.state_home().stat().st_mode & 0o777
    if mode != 0o700:
        yield bad(
            "this machine", f"{operator.state_home()} has mode {mode:o}", f"chmod 700 {operator.state_home()}"
        )


def _pulumi() -> Finding:
    from hostler.provision.engine import find_cli

    try:
        return good("this machine", f"pulumi {find_cli(install=False).version}")
    except HostlerError as error:
        return bad("this machine", f"pulumi: {error}", error.problems[0].next_step)


def _stack(observation: Observation) -> Iterator[Finding]:
    record, gateway = observation.record, observation.gateway.name
    if home.unknown(observation):
        what = "it keeps the stack's record, and does not answer: whether the stack is up is not known"
        yield bad(gateway, what, observation.seen[gateway].next_step or f"bring {gateway} back")
        return
    if copy := lost(observation):
        has = "an older record" if record else "no record"
        yield bad(gateway, f"{has}, and a copy on {copy}", "hostler up --restore")
    if record is None:
        if not copy:
            yield good(observation.file.stack.stack, "not up yet")
        return
    yield good(record.gateway_host, f"record {record.number} of stack {record.stack} (epoch {record.epoch})")
    if record.journal:
        yield bad(record.gateway_host, f"a change was interrupted ({record.journal.stage})", "hostler up")
    yield from _routes(record, observation.seen)


def _routes(record: Record, seen: Mapping[str, Seen]) -> Iterator[Finding]:
    """Replicas that are ready for requests and get none."""
    for row in status.replicas(record, seen):
        if row["state"] == status.NOT_ROUTED:
            what = (
                f"{row['id']} is ready, and the gateway sends it nothing: {row['route']} {row['check'] or ''}"
            )
            yield bad(
                row["host"],
                what.strip(),
                f"hostler logs gateway; is {row['host']} reachable from {record.gateway_host}?",
            )


def _host(seen: Seen) -> Iterable[Finding]:
    if seen.parked:
        return [good(seen.host, seen.error)]
    if not seen.facts:
        return [bad(seen.host, seen.error, seen.next_step)]
    facts = seen.facts
    return [
        *_driver(seen.host, facts),
        *_docker(seen.host, facts),
        *_disk(seen.host, facts),
        *_containers(seen),
    ]


def _driver(host: str, facts: Facts) -> Iterator[Finding]:
    driver = facts.driver
    if driver.state in ("working", "none"):
        cards = f"{len(facts.cards)} cards, driver {driver.version}" if facts.cards else "no cards"
        yield good(host, cards)
        return
    from hostler.configure.driver import commands, reasons

    what = "; ".join((driver.detail, *reasons(facts)))
    yield bad(host, f"driver {driver.state}: {what}", " && ".join(commands(facts)))


def _docker(host: str, facts: Facts) -> Iterator[Finding]:
    if facts.package_state:
        yield bad(host, f"packages: {facts.package_state}", "hostler up repairs it")
    foreign = facts.docker_foreign
    yield good(
        host,
        f"docker {facts.docker or 'not there yet'}"
        + (f", {foreign} containers of others" if foreign else ""),
    )


def _disk(host: str, facts: Facts) -> Iterator[Finding]:
    if facts.disk_free < LOW_DISK:
        yield bad(host, f"{facts.disk_free / 2**30:.1f} GiB free for models and images", "free some of it")


def _watched(seen: Seen) -> Iterator[tuple[str, Finding]]:
    """Replicas that the watch left out, that end again and again, or that it had to restart lately."""
    for key, found in sorted(seen.observed.items()):
        kind, _, name = key.partition(":")
        last = watched.event(found.value, seen.at) if kind == "replica" and isinstance(found, Value) else None
        if last and last["wrong"]:
            yield name, bad(seen.host, f"{name}: {last['what']}", watched.next_step(name, wrong=True))
        elif last and last["age_s"] < LATELY_S:
            yield name, good(seen.host, f"{name}: {last['what']}, {age(last['age_s'])} ago")


def _asleep(seen: Seen) -> list[tuple[str, str]]:
    """Replicas that sleep on purpose, and why."""
    found = (
        (key.partition(":"), one.value)
        for key, one in sorted(seen.observed.items())
        if isinstance(one, Value)
    )
    return [
        (key[2], idling.why(value)) for key, value in found if key[0] == "replica" and idling.is_asleep(value)
    ]


def _containers(seen: Seen) -> Iterator[Finding]:
    told = dict(_watched(seen))
    yield from told.values()
    stopped = {name for name, finding in told.items() if finding.bad}
    resting = dict(_asleep(seen))
    yield from (good(seen.host, f"{name} is asleep: {why}") for name, why in resting.items())
    for key, found in sorted(seen.observed.items()):
        kind, _, name = key.partition(":")
        if kind == "container" and isinstance(found, Value) and not found.value.get("running"):
            if name in stopped or name in resting:
                continue
            yield bad(
                seen.host,
                f"{name} is stopped (exit {found.value.get('exit_code')})",
                f"hostler logs {name}; hostler up",
            )
        draining = kind == "replica" and isinstance(found, Value) and found.value.get("draining")
        if draining and name not in stopped:
            yield bad(seen.host, f"{name} is draining", "hostler up brings it back")
