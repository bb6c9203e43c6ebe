"""The stack file that `hostler init` writes: what was found as comments, and models that fit. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hostler.hosts.types import Facts, Host, Seen, Ssh
from hostler.models.memory import as_gib
from hostler.models.rooms import rooms_of
from hostler.proposal.catalogue import Use, entries
from hostler.proposal.choosing import POOL, Choice, Machines, Stand, choose, larger, machines

ABOUT: dict[Use, str] = {"chat": "", "code": "For code: ", "embeddings": "For embeddings: "}
KILO = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One host as the person named it, and what the probe saw there."""

    address: str  # as the stack file takes it: a name of ~/.ssh/config, user@address, `local`
    seen: Seen


def there(found: Sequence[Found]) -> Machines:
    """What may be used; hosts that were not reached do not count."""
    hosts = [Host(name=one.address, pool=POOL, ssh=Ssh(address=one.address)) for one in found]
    seen = {one.address: one.seen for one in found}
    disk = {one.address: one.seen.facts.disk_free for one in found if one.seen.facts}
    processors = max((one.seen.facts.cpus for one in found if one.seen.facts), default=1)
    return machines(rooms_of(hosts, seen), disk, processors)


def stack_text(stack: str, found: Sequence[Found], choice: Choice | None = None) -> str:
    """The whole file, ending in a newline. `choice` None: chat, and what fits beside it."""
    machine = there(found)
    chosen = choice or choose(machine)
    lines = [
        f"# {_comment(stack)}: made by `hostler init` from what the hosts have. It is yours to edit;",
        "# `hostler up` makes it real, `hostler config` shows every default.",
        f"stack: {stack}",
        "",
        "pools:",
        *_pool(found),
        "",
        "models:  # by the names that clients ask for",
        *_models(chosen, machine),
        "",
        *_gateway(found),
    ]
    return "\n".join(lines) + "\n"


def told(stand: Stand, *, host: bool) -> str:
    """How much of what a model takes, and how fast it is; `host`: where, too."""
    place = (
        "main memory"
        if not stand.cards
        else "one card"
        if stand.cards == 1
        else f"each of {stand.cards} cards"
    )
    where = f" of {_comment(stand.host)}" if host else ""
    speed = f", up to {_round(stand.tokens_s)} tokens a second" if stand.tokens_s else ""
    return f"{as_gib(stand.mib)} of {place}{where}{speed}"


def summary(choice: Choice, *, host: bool) -> list[str]:
    """A line for each model, and for each use that has none."""
    lines = [
        f"{stand.pick.entry.use}: {stand.pick.entry.title}, {told(stand, host=host)}"
        for stand in choice.stands
    ]
    return [*lines, *(f"{use}: none; {why}" for use, why in choice.lacking.items())]


def _round(number: float) -> int:
    """Two digits: it is no better known."""
    return int(float(f"{number:.2g}"))


def _pool(found: Sequence[Found]) -> list[str]:
    lines = [f"  {POOL}:  # machines that you own; a pool is a list of addresses", "    hosts:"]
    for host in found:
        lines += [f"      # {line}" for line in _about(host)]
        lines.append(f"      - {_scalar(host.address)}")
    return lines


def _about(host: Found) -> list[str]:
    facts = host.seen.facts
    if facts is None:
        return [f"not reached: {_comment(host.seen.error or 'unknown')}"]
    system = f"{facts.os_name}, {facts.cpus} processors, {as_gib(facts.memory / 2**20)} of main memory"
    return [_comment(line) for line in (system, *_cards(facts), *_driver(facts))]


def _cards(facts: Facts) -> list[str]:
    kinds = Counter((card.name, card.memory_mib) for card in facts.cards)
    return [f"{count} x {name}, {as_gib(memory)}" for (name, memory), count in kinds.items()] or ["no cards"]


def _driver(facts: Facts) -> list[str]:
    if facts.driver.state == "working":
        return [f"NVIDIA driver {facts.driver.version}"]
    if facts.driver.state == "none":
        return []
    again = "; once it works, `hostler init` sees the cards" if not facts.cards else ""
    return [f"NVIDIA driver: {facts.driver.state} {facts.driver.detail}{again}"]


def _models(choice: Choice, machine: Machines) -> Iterator[str]:
    if not choice.stands:
        smallest = entries("chat")[-1]
        yield "  # no model of the catalogue fits what is free; this is the smallest"
        yield from ("  chat:", f'    source: "{smallest.source}"')
    several = len(machine.rooms) > 1
    for stand in choice.stands:
        if stand is not choice.stands[0]:
            yield ""
        for line in _why(stand, machine, several=several):
            yield f"  # {_comment(line)}"
        yield from _entry(stand)
    for use, why in choice.lacking.items():
        yield f"  # none for {use}: {why}"


def _why(stand: Stand, machine: Machines, *, several: bool) -> Iterator[str]:
    entry = stand.pick.entry
    better, known = larger(stand.pick, machine), entries(entry.use)
    yield f"{ABOUT[entry.use]}{entry.title}, {entry.note}"
    yield f"{told(stand, host=several)}; {entry.size_gb:.1f} GB to download, {entry.licence}"
    if better:
        yield f"larger: {better[0].title} {better[1]}"
    yield from (f"smaller: {one.source}" for one in known[known.index(entry) + 1 :][:1])


def _entry(stand: Stand) -> Iterator[str]:
    pick = stand.pick
    yield f"  {pick.entry.use}:"
    yield f'    source: "{pick.entry.source}"'
    if pick.entry.use == "embeddings":
        yield "    engine: embeddings"
    yield f"    context: {_tokens(pick.context)}"
    if pick.aside:
        yield "    cards: 0  # main memory"
    if stand.again and pick.entry.use != "embeddings":
        yield "    # replicas: 2  # there is room for a second one"


def _tokens(count: int) -> str:
    return f"{count // KILO}k" if count % KILO == 0 else str(count)


def _gateway(found: Sequence[Found]) -> list[str]:
    first = _comment(found[0].address) if found else "the first host"
    return [
        f"# The gateway, the one OpenAI-compatible address, runs on {first}. To choose otherwise:",
        "# gateway:",
        "#   host: NAME                  # another host",
        "#   address: llm.office.example # the name that clients use",
        "#   port: 8000",
        "#   tls: private-ca             # none, private-ca or {cert: FILE, key: FILE}",
    ]


def _comment(text: str) -> str:
    """One line, whatever a host said of itself."""
    return re.sub(r"[^\x20-\x7e\u00a0-\ufffd]+", " ", text).strip()


def _scalar(text: str) -> str:
    """A YAML scalar: plain where that cannot be misread."""
    plain = re.fullmatch(r"[A-Za-z][\w.@-]*", text) and text.lower() not in _MISREAD
    return text if plain else "'" + _comment(text).replace("'", "''") + "'"


_MISREAD = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
