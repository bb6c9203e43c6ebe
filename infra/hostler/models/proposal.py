"""The stack file that `hostler init` writes: what was found as comments, one model that fits. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hostler.hosts.types import Facts, Seen
from hostler.models.catalogue import CATALOGUE, Choice, propose
from hostler.models.memory import as_gib
from hostler.models.rooms import SYSTEM_MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One host as the person named it, and what the probe saw there."""

    address: str  # as the stack file takes it: a name of ~/.ssh/config, user@address, `local`
    seen: Seen


def choose(found: Sequence[Found]) -> Choice | None:
    """The model to begin with; hosts that were not reached do not count."""
    facts = [host.seen.facts for host in found if host.seen.facts]
    memory = max((one.memory // 2**20 - SYSTEM_MIB for one in facts), default=0)
    return propose([one.cards for one in facts], memory)


def stack_text(stack: str, found: Sequence[Found], choice: Choice | None = None) -> str:
    """The whole file, ending in a newline. `choice` None: `choose` decides; if nothing fits, the
    smallest model stands there as a comment says."""
    chosen = choice or choose(found)
    lines = [
        f"# {_comment(stack)}: made by `hostler init` from what the hosts have. It is yours to edit;",
        "# `hostler up` makes it real, `hostler config` shows every default.",
        f"stack: {stack}",
        "",
        "pools:",
        *_pool(found),
        "",
        "models:",
        *_model(chosen),
        "",
        *_gateway(found),
    ]
    return "\n".join(lines) + "\n"


def _pool(found: Sequence[Found]) -> list[str]:
    lines = ["  home:  # machines that you own; a pool is a list of addresses", "    hosts:"]
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
    return (
        [] if facts.driver.state == "none" else [f"NVIDIA driver: {facts.driver.state} {facts.driver.detail}"]
    )


def _model(choice: Choice | None) -> list[str]:
    if choice is None:
        smallest = CATALOGUE[-1]
        lines = ["no model of the catalogue fits what is free; this is the smallest"]
        return [*(f"  # {line}" for line in lines), *_entry(smallest.source)]
    lines = [choice.why, *_others(choice)]
    return [*(f"  # {_comment(line)}" for line in lines), *_entry(choice.entry.source)]


def _others(choice: Choice) -> list[str]:
    larger = [f"not {one.entry.title}: {one.reason}" for one in choice.considered]
    following = CATALOGUE[CATALOGUE.index(choice.entry) + 1 :] if choice.entry in CATALOGUE else ()
    return [*larger, *(f"smaller: {entry.source}" for entry in following[:1])]


def _entry(source: str) -> list[str]:
    return [
        "  chat:  # the name that clients ask for",
        f'    source: "{source}"',
        "    # replicas: 2      # one more engine, on another host or card",
        "    # context: 16k     # tokens a request; 8k or what fits if not given",
    ]


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
