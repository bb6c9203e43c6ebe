"""hostler init: probe, ask what cannot be seen (unknown keys, what the models are for), propose."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hostler.console.out import Out
from hostler.hosts.types import Facts, Host, Seen, Ssh
from hostler.proposal.catalogue import USES, Use
from hostler.proposal.choosing import choose
from hostler.proposal.proposal import Found, stack_text, summary, there
from hostler.rollout.observe import look, refuse_unreached
from hostler.stackfile.hosts import host_name

LIMIT_S = 20.0
QUESTION = f"What for: {', '.join(USES)}? [chat, and what fits beside it]"


def propose(words: Sequence[str], out: Out, *, yes: bool, uses: Sequence[Use] = ()) -> str:
    """The text of a stack file for these hosts; raises HostError with all that cannot be reached. `uses`: what the
    models are for; where none are given it is asked on a terminal, and otherwise chat, and what fits beside it."""
    hosts = tuple(host_of(word) for word in words)
    out.live(f"looking at {', '.join(words)}")
    seen = dict(look(hosts, limit_s=LIMIT_S))
    seen.update(_learned(hosts, seen, out, yes=yes))
    refuse_unreached(seen)
    for name, facts in ((name, s.facts) for name, s in seen.items()):
        if facts:
            _say(name, facts, out)
    found = [Found(address=word, seen=seen[host.name]) for word, host in zip(words, hosts, strict=True)]
    wanted = uses or (() if yes else _asked(out))
    choice = choose(there(found), wanted, beside=not wanted)
    for line in summary(choice, host=len(found) > 1):
        out.say(line)
    return stack_text(hosts[0].name if len(hosts) == 1 else "home", found, choice)


def _asked(out: Out) -> tuple[Use, ...]:
    """The uses that somebody names; none: chat, and what fits beside it."""
    while words := re.findall(r"[a-z]+", out.ask(QUESTION).lower()):
        known: tuple[Use, ...] = tuple(use for use in USES if use in words)
        if len(known) == len(set(words)):
            return known
        out.say(f"please name some of: {', '.join(USES)}")
    return ()


def host_of(word: str) -> Host:
    """`user@address:port` as a host of a pool called home."""
    user, _, rest = word.rpartition("@")
    address, _, port = rest.partition(":") if rest.count(":") == 1 else (rest, "", "")
    ssh = Ssh(address=address, user=user or None, port=int(port) if port.isdigit() else None)
    return Host(name=host_name(address), pool="home", ssh=ssh)


def _learned(hosts: Sequence[Host], seen: Mapping[str, Seen], out: Out, *, yes: bool) -> Mapping[str, Seen]:
    """Unknown host keys are shown and asked once, on a terminal; --yes never learns one. Those not agreed to stay unreached."""
    unknown = [host for host in hosts if seen[host.name].error_kind == "unknown-key"]
    if yes or not unknown or not out.can_ask:
        return {}
    agreed: list[Host] = []
    for host in unknown:
        out.say(f"{host.name}: {seen[host.name].error}")
        if out.confirm(f"Trust this key of {host.ssh.address} from now on?", yes=False):
            _learn(host)
            agreed.append(host)
    return look(tuple(agreed), limit_s=LIMIT_S) if agreed else {}


def _learn(host: Host) -> None:
    """Asks for the key again and writes down just that one."""
    from hostler.hosts.connect import transport_for
    from hostler.hosts.ssh import learn
    from hostler.hosts.trouble import HostTrouble

    transport = transport_for(host)
    try:
        transport.run(("true",))
    except HostTrouble as error:
        if error.key:
            learn(host, error.key)
    finally:
        transport.close()


def _say(name: str, facts: Facts, out: Out) -> None:
    cards = ", ".join(f"{card.name} ({card.memory_mib / 1024:.0f} GiB)" for card in facts.cards) or "no GPU"
    out.say(f"{name}: {facts.os_name}, {facts.cpus} processors, {facts.memory / 2**30:.0f} GiB, {cards}")
