"""An owned host's properties: from a probe, checked, and compared. Pure functions.

The inputs are what is expected: what the last accepted `up` wrote. The program's new inputs are what the
probe sees now. Cards are compared by UUID, since their indices change from boot to boot.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

from hostler.hosts.types import Card, Driver, Host, Seen

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # Pulumi's own mark of a value that is not known yet
FACTS = ("machineId", "cards", "driver")  # what a probe sees; all of them or none
REQUIRED = ("name", "address")
CARD_FIELDS = ("uuid", "name", "memoryMib")
PORTS = range(1, 65536)

Kind = Literal["add", "delete", "update", "replace"]
Properties = Mapping[str, Any]


def inputs_of(host: Host, seen: Seen) -> dict[str, Any]:
    """The program's inputs for one host; without the facts where the host did not answer."""
    ssh = host.ssh
    login = {"name": host.name, "address": ssh.address, "user": ssh.user, "port": ssh.port}
    return {key: value for key, value in login.items() if value is not None} | facts_of(seen)


def facts_of(seen: Seen) -> dict[str, Any]:
    if seen.facts is None or not seen.reached:
        return {}
    return {
        "machineId": seen.facts.machine_id,
        "cards": [card_of(card) for card in sorted(seen.facts.cards, key=lambda card: card.index)],
        "driver": driver_of(seen.facts.driver),
    }


def card_of(card: Card) -> dict[str, Any]:
    return {"uuid": card.uuid, "name": card.name, "memoryMib": card.memory_mib}


def driver_of(driver: Driver) -> str:
    """The version of a driver that works, otherwise the word for what is wrong with it."""
    return driver.version if driver.state == "working" else driver.state


def completed(old: Properties, new: Properties) -> dict[str, Any]:
    """The new inputs; where a host could not be seen, what was expected stays expected."""
    if any(key in new for key in FACTS):
        return dict(new)
    return {key: old[key] for key in FACTS if key in old} | dict(new)


def outputs_of(inputs: Properties, status: str) -> dict[str, Any]:
    """A resource's outputs right after it was accepted: what is expected is what is seen."""
    seen = {f"seen{key[0].upper()}{key[1:]}": inputs[key] for key in FACTS if key in inputs}
    return {**inputs, **seen, "status": status}


def seen_in(outputs: Properties) -> dict[str, Any]:
    """The facts that a probe left in the outputs, under the names of the inputs."""
    names = {f"seen{key[0].upper()}{key[1:]}": key for key in FACTS}
    return {names[key]: value for key, value in outputs.items() if key in names}


# -- check ---------------------------------------------------------------------------------------------


def check(inputs: Properties) -> dict[str, str]:
    """Every property that is wrong, with the reason."""
    faults = {key: "is not a property of OwnedHost" for key in inputs if key not in CHECKS}
    faults |= {key: "is required" for key in REQUIRED if inputs.get(key) in (None, "")}
    given = [key for key in FACTS if key in inputs]
    if given and len(given) < len(FACTS):
        missing = [key for key in FACTS if key not in inputs]
        faults |= dict.fromkeys(missing, f"is required where {given[0]} is given")
    for key, value in inputs.items():
        reason = "" if key in faults or value == UNKNOWN else CHECKS[key](value)
        faults |= {key: reason} if reason else {}
    return faults


def _label(value: Any) -> str:
    good = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", value)
    return "" if good else f"{value!r} is not a name: letters, digits, dot, dash, underscore; at most 63"


def _address(value: Any) -> str:
    if isinstance(value, str) and (_is_ip(value) or _is_host_name(value)):
        return ""
    return f"{value!r} is neither an IP address nor a host name"


def _is_ip(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _is_host_name(value: str) -> bool:
    words = value.split(".")
    return len(value) <= 253 and all(
        re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", w) for w in words
    )


def _user(value: Any) -> str:
    good = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}", value)
    return "" if good else f"{value!r} is not a user name"


def _port(value: Any) -> str:
    good = isinstance(value, int) and not isinstance(value, bool) and value in PORTS
    return "" if good else f"{value!r} is not a port: 1 to 65535"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) else f"{value!r} is not text"


def _machine(value: Any) -> str:
    good = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9-]{1,64}", value)
    return "" if good else f"{value!r} is not a machine id"


def _cards(value: Any) -> str:
    if not isinstance(value, list):
        return "must be a list of cards"
    cards = cast("list[Any]", value)
    for number, card in enumerate(cards):
        if reason := _card(card):
            return f"[{number}] {reason}"
    uuids = [card["uuid"] for card in cards if card != UNKNOWN]
    twice = next((uuid for uuid in uuids if uuids.count(uuid) > 1), None)
    return f"{twice} is there twice" if twice else ""


def _card(card: Any) -> str:
    if card == UNKNOWN:
        return ""
    if not isinstance(card, dict):
        return "must be a card: uuid, name, memoryMib"
    fields = cast("dict[str, Any]", card)
    if set(fields) != set(CARD_FIELDS):
        return f"must have exactly {', '.join(CARD_FIELDS)}; has {', '.join(sorted(fields)) or 'nothing'}"
    if not isinstance(fields["uuid"], str) or not fields["uuid"] or not isinstance(fields["name"], str):
        return "uuid and name must be text"
    memory = fields["memoryMib"]
    good = isinstance(memory, int) and not isinstance(memory, bool) and memory > 0
    return "" if good or memory == UNKNOWN else f"memoryMib {memory!r} must be a whole number above 0"


CHECKS: Mapping[str, Callable[[Any], str]] = {
    "name": _label,
    "address": _address,
    "user": _user,
    "port": _port,
    "machineId": _machine,
    "cards": _cards,
    "driver": _text,
}


# -- difference ----------------------------------------------------------------------------------------


def drift(old: Properties, outputs: Properties, new: Properties) -> dict[str, Kind]:
    """What differs by property path. Where the inputs are the same, it is what was last seen against them:
    that is how a refresh, which must not touch what is expected, shows a card that fell out."""
    found = difference(old, new)
    seen = seen_in(outputs)
    if found or not seen:
        return found
    return difference(seen, {key: new[key] for key in FACTS if key in new})


def difference(old: Properties, new: Properties) -> dict[str, Kind]:
    """By property path; cards one by one where both sides are known."""
    found: dict[str, Kind] = {
        key: _kind(key, old, new) for key in sorted({*old, *new}) if old.get(key) != new.get(key)
    }
    if found.get("cards") != "update" or any(
        UNKNOWN in (side["cards"], *side["cards"]) for side in (old, new)
    ):
        return found
    del found["cards"]
    return found | cards_difference(old["cards"], new["cards"])


def _kind(key: str, old: Properties, new: Properties) -> Kind:
    if key not in old:
        return "add"
    if key not in new:
        return "delete"
    return "replace" if key == "machineId" else "update"


def cards_difference(old: Sequence[Properties], new: Sequence[Properties]) -> dict[str, Kind]:
    """By UUID: a card that is gone is a delete at its old place, another order is no difference."""
    before, now = _by_uuid(old), _by_uuid(new)
    gone = {f"cards[{number}]" for uuid, (number, _) in before.items() if uuid not in now}
    come = {f"cards[{number}]" for uuid, (number, _) in now.items() if uuid not in before}
    found: dict[str, Kind] = {path: "delete" for path in sorted(gone - come)}  # noqa: C420 keeps the type
    found |= {path: "add" for path in sorted(come - gone)}  # noqa: C420
    found |= {path: "update" for path in sorted(gone & come)}  # noqa: C420
    for number, field in _changed_fields(before, now):
        found[f"cards[{number}].{field}"] = "update"
    return found


Numbered = Mapping[str, tuple[int, Properties]]


def _by_uuid(cards: Sequence[Properties]) -> dict[str, tuple[int, Properties]]:
    return {str(card["uuid"]): (number, card) for number, card in enumerate(cards)}


def _changed_fields(before: Numbered, now: Numbered) -> list[tuple[int, str]]:
    both = [(before[uuid][1], *now[uuid]) for uuid in now if uuid in before]
    return [(n, field) for old, n, new in both for field in CARD_FIELDS if old.get(field) != new.get(field)]


def sentence(path: str, kind: str, old: Properties, new: Properties) -> str:
    """One difference in words: `driver: 570.86 => 580.65`, `cards[1]: delete NVIDIA A10G GPU-1f`."""
    before, after = value_at(old, path), value_at(new, path)
    if kind.startswith("add"):
        return f"{path}: add {words(after)}".rstrip()
    if kind.startswith("delete"):
        return f"{path}: delete {words(before)}".rstrip()
    return f"{path}: {words(before)} => {words(after)}"


def value_at(properties: Properties, path: str) -> Any:
    found: Any = properties
    for word in re.findall(r"[^.\[\]]+", path):
        if isinstance(found, Mapping):
            found = cast("Mapping[str, Any]", found).get(word)
        elif isinstance(found, list) and word.isdigit() and int(word) < len(cast("list[Any]", found)):
            found = cast("list[Any]", found)[int(word)]
        else:
            return None
    return found


def words(value: Any) -> str:
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        return f"{fields.get('name', '')} {fields.get('uuid', '')}".strip()
    if isinstance(value, list):
        return ", ".join(words(item) for item in cast("list[Any]", value)) or "no cards"
    return "nothing" if value is None else str(value)
