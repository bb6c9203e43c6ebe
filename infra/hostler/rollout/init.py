"""hostler init: probe, ask about unknown keys once, propose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hostler.configure import ask
from hostler.console.out import Out
from hostler.errors import HostError, Problem
from hostler.hosts.probe import probe
from hostler.hosts.types import Host, Seen, Ssh
from hostler.models.proposal import stack_file_text
from hostler.stackfile.hosts import host_name

LIMIT_S = 20.0


def propose(words: Sequence[str], out: Out, *, yes: bool) -> str:
    """The text of a stack file for these hosts; raises HostError with all that cannot be reached."""
    hosts = tuple(host_of(word) for word in words)
    out.live(f"looking at {', '.join(words)}")
    seen = dict(probe(hosts, ask.generic(), timeout=LIMIT_S))
    seen.update(_learned(hosts, seen, out, yes=yes))
    problems = tuple(
        Problem(where=name, expected="an answer", got=s.error, next_step=s.next_step)
        for name, s in seen.items()
        if not s.reached
    )
    if problems:
        raise HostError(*problems)
    for host in hosts:
        _say(seen[host.name], out)
    return stack_file_text(list(zip(words, hosts, strict=True)), seen)


def host_of(word: str) -> Host:
    """`user@address:port` as a host of a pool called home."""
    user, _, rest = word.rpartition("@")
    address, _, port = rest.partition(":") if rest.count(":") == 1 else (rest, "", "")
    ssh = Ssh(address=address, user=user or None, port=int(port) if port.isdigit() else None)
    return Host(name=host_name(address), pool="home", ssh=ssh)


def _learned(hosts: Sequence[Host], seen: Mapping[str, Seen], out: Out, *, yes: bool) -> Mapping[str, Seen]:
    """Unknown host keys are shown and asked once, on a terminal; --yes never learns one."""
    from hostler.hosts.ssh import learn

    unknown = [host for host in hosts if seen[host.name].error_kind == "unknown-key"]
    if yes or not unknown:
        return {}
    agreed: list[Host] = []
    for host in unknown:
        out.say(f"{host.name}: {seen[host.name].error}")
        if out.confirm(f"Trust this key of {host.ssh.address} from now on?", yes=False):
            learn(host)
            agreed.append(host)
    return probe(tuple(agreed), ask.generic(), timeout=LIMIT_S) if agreed else {}


def _say(seen: Seen, out: Out) -> None:
    assert seen.facts
    facts = seen.facts
    cards = ", ".join(f"{card.name} ({card.memory_mib / 1024:.0f} GiB)" for card in facts.cards) or "no GPU"
    out.say(f"{seen.host}: {facts.os_name}, {facts.cpus} processors, {facts.memory / 2**30:.0f} GiB, {cards}")
