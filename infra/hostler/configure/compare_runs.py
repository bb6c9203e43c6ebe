"""One comparison a kind of item: images, weights, units, containers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from hostler.configure import idling, observed, sharing, watching
from hostler.configure.changes import ABSENT, ALONE, FIRST, Changes, change, unknown
from hostler.configure.types import Change
from hostler.hosts.types import Absent, Seen, Unknown, Value
from hostler.manifest.items import (
    CARE,
    Container,
    ImagePin,
    Manifest,
    ModelFile,
    Part,
    Port,
    Unit,
)
from hostler.models import mirror
from hostler.models.lying import OPERATOR
from hostler.stackfile.forms import show


def image(manifest: Manifest, seen: Seen, item: ImagePin) -> Changes:
    name, then = f"image:{item.ref}", f"{item.tag} ({item.digest[:19]}){_mirrored(manifest, item)}"
    match observed.of(seen, name):
        case Absent():
            yield change(manifest, item.part, name, ABSENT, then, "the release runs it", action="add")
        case Unknown() as found if not _docker_missing(seen):
            yield unknown(manifest, item.part, name, found, then)
        case Unknown():
            yield change(manifest, item.part, name, ABSENT, then, "the release runs it", action="add")
        case Value():
            yield from _tag(manifest, seen, item)


def _mirrored(manifest: Manifest, item: ImagePin) -> str:
    there = mirror.image(manifest.downloads.images, item.name)
    return f" from {there.partition('/')[0]}" if there else ""


def _docker_missing(seen: Seen) -> bool:
    """Where Docker is not installed there are no images: that is known."""
    return isinstance(observed.of(seen, "unit:docker.service"), Absent)


def _tag(manifest: Manifest, seen: Seen, item: ImagePin) -> Changes:
    name = f"tag:{item.name}:{item.tag}"
    found = observed.of(seen, name)
    if isinstance(found, Value) and found.value["digest"] != item.digest:
        now = str(found.value["digest"])[:19] or "another image"
        yield change(manifest, item.part, name, now, item.digest, "the tag was moved on this host")


def model(manifest: Manifest, seen: Seen, item: ModelFile) -> Changes:
    name, then = (
        f"model:{item.path}",
        _size(item.size) + (f" ({item.sha256[:12]})" if item.sha256 else "") + whence(manifest, item),
    )
    found = observed.of(seen, name)
    if isinstance(found, Unknown):
        yield unknown(manifest, item.part, name, found, then)
    elif isinstance(found, Absent):
        why = "must lie on the host" if item.url.startswith("file:") else "a replica here needs it"
        yield change(manifest, item.part, name, ABSENT, then, why, action="add")
    elif (now := _model_now(found.value, item)) is not None:
        yield change(manifest, item.part, name, now, then, "its content is not what the release names")


def _size(count: int) -> str:
    """Bytes for people: weights in GiB, what lies beside them in less."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB")):
        if count >= unit / 10:
            return f"{count / unit:.1f} {name}"
    return f"{-(-count // 1024)} KiB"


def whence(manifest: Manifest, item: ModelFile) -> str:
    """Where a file comes from, in words, and how fast at most; of a user's own that is its path."""
    if item.url.startswith("file:"):
        return ""
    if item.peers:
        return f" from {item.peers[0].host}"
    limit = manifest.downloads.limit
    place = urlsplit(mirror.hub(manifest.downloads.hub, item.url)).hostname or ""
    if sharing.by_operator(manifest.downloads, item):
        place = "this machine" if item.url.startswith(OPERATOR) else f"{place} through this machine"
    return f" from {place}" + (f", at most {show('rate', limit)}" if limit else "")


def _model_now(value: Mapping[str, Any], item: ModelFile) -> str | None:
    """What is wrong with a file of weights, None when it is right."""
    if item.sha256 and value.get("sha256") not in (item.sha256, None, ""):
        return f"another content ({value['sha256'][:12]})"
    if item.size and value.get("size") != item.size:
        return f"{value.get('size')} bytes instead of {item.size}"
    if item.sha256 and not value.get("sha256") and not item.url.startswith("file:"):
        return "never checked"
    return None


def unit(manifest: Manifest, seen: Seen, item: Unit, *, replica: str = "", why: str = "") -> Changes:
    name = f"unit:{item.name}"
    then = _unit_words(item.enabled, "active" if item.active else "inactive")
    found = observed.of(seen, name)
    if isinstance(found, Unknown):
        yield unknown(manifest, item.part, name, found, then)
    elif isinstance(found, Absent):
        first = ALONE if item.part is Part.CONTROLLER else FIRST
        yield change(manifest, item.part, name, ABSENT, then, why or first, action="add", replica=replica)
    else:
        enabled, active = bool(found.value["enabled"]), str(found.value["active"])
        if (item.enabled and not enabled) or (
            item.active and active not in ("active", "activating", "reloading")
        ):
            now = _unit_words(enabled, active)
            yield change(
                manifest, item.part, name, now, then, why or "it must come back by itself", replica=replica
            )


FIREWALL = "unit:firewalld.service"


def port(manifest: Manifest, seen: Seen, item: Port) -> Changes:
    """Closed by the host's firewall; where none was seen to run, nothing is in the way."""
    name, then = f"port:{item.name}", "open"
    found = observed.of(seen, name)
    if isinstance(found, Unknown):
        firewall = observed.value(seen, FIREWALL)
        if firewall and firewall["active"] == "active":
            yield unknown(manifest, item.part, name, found, then)
    elif isinstance(found, Value) and not found.value["open"]:
        now = f"closed by firewalld (zone {found.value['zone']})"
        yield change(manifest, item.part, name, now, then, "others come in by it")


def _unit_words(enabled: bool, active: str) -> str:
    return f"{'enabled' if enabled else 'disabled'}, {active}"


def container(manifest: Manifest, seen: Seen, item: Container) -> Changes:
    """A replica, the gateway or an edge: not there, another specification, not running, or its unit not in order."""
    name = f"container:{item.id}"
    found = observed.of(seen, name)
    if isinstance(found, Unknown) and not _docker_missing(seen):
        yield unknown(manifest, item.part, name, found, _runs(item))
        return
    if not isinstance(found, Value):
        yield _container_missing(manifest, seen, item)
        return
    now = found.value
    if now.get("spec") != item.digest:
        yield _exchange(manifest, seen, item)
        return
    yield from _container_state(manifest, seen, item, now)


def _container_missing(manifest: Manifest, seen: Seen, item: Container) -> Change:
    applied = observed.value(seen, f"applied:{item.id}")
    gone = applied is not None
    return change(
        manifest,
        item.part,
        f"container:{item.id}",
        "removed" if gone else ABSENT,
        _runs(item),
        "somebody removed it" if gone else _container_why(item),
        action="change" if gone else "add",
        replica=item.id if item.model else "",
    )


def _container_why(item: Container) -> str:
    return f"a replica of {item.model}" if item.model else f"the {item.id} of this host"


def _runs(item: Container) -> str:
    place = f" on {len(item.cards)} card{'s' * (len(item.cards) != 1)}" if item.cards else ""
    return f"{item.image.name.rpartition('/')[2]}:{item.image.tag} ({item.image.digest[7:19]}){place}"


def _exchange(manifest: Manifest, seen: Seen, item: Container) -> Change:
    before = observed.value(seen, f"path:/etc/hostler/wanted/{item.id}.json")
    what = _what_changed(before.get("text") if before else None, item)
    return change(
        manifest,
        item.part,
        f"container:{item.id}",
        what[0],
        what[1],
        f"{what[2]} changed" if what[2] else "its specification changed",
        effect=item.effect,
        replica=item.id if item.model else "",
    )


def _what_changed(text: str | None, item: Container) -> tuple[str, str, str]:
    """(now, then, names of fields) of two specifications; only that they differ when the old one is not known."""
    old, new = _parsed(text), _parsed(json.dumps(asdict(item)))
    fields = [key for key in new if old and key not in CARE and old.get(key) != new[key]]
    if not fields:
        return "another specification", _runs(item), ""
    if fields[0] == "image":
        now = old["image"]
        return (
            f"{now['name'].rpartition('/')[2]}:{now['tag']} ({now['digest'][7:19]})",
            _runs(item),
            ", ".join(fields),
        )
    return _short(old.get(fields[0])), _short(new[fields[0]]), ", ".join(fields)


def _parsed(text: str | None) -> dict[str, Any]:
    """A specification's fields; none when it is not known or was damaged."""
    try:
        found: Any = json.loads(text or "{}")
    except ValueError:
        return {}
    return dict(found) if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownArgumentType]


def _short(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownArgumentType]
    return text if len(text) <= 60 else text[:57] + "..."


def _container_state(manifest: Manifest, seen: Seen, item: Container, now: Mapping[str, Any]) -> Changes:
    replica = item.id if item.model else ""
    unit_item = Unit(name=f"hostler@{item.id}.service", part=item.part)
    signals = observed.value(seen, f"replica:{item.id}") if item.model else None
    left_out = watching.why_stopped(signals)
    sleeps = idling.is_asleep(signals)
    if sleeps and not idling.may_sleep(manifest, item.id):
        yield change(
            manifest,
            item.part,
            f"container:{item.id}",
            "asleep",
            "running",
            "no `idle` of its model lets it sleep",
            replica=replica,
        )
    elif sleeps:
        pass  # on purpose: a request wakes it
    elif not now.get("running"):
        state = (
            f"stopped (exit code {now.get('exit_code')})" if now.get("exit_code") is not None else "stopped"
        )
        yield change(
            manifest,
            item.part,
            f"container:{item.id}",
            state,
            "running",
            left_out or "it must serve",
            replica=replica,
        )
    elif watching.is_drained(signals):
        yield change(
            manifest,
            item.part,
            f"container:{item.id}",
            "drained",
            "serving",
            left_out or "it gets no requests",
            replica=replica,
        )
    if not sleeps:
        yield from unit(manifest, seen, unit_item, replica=replica)
    applied = observed.of(seen, f"applied:{item.id}")
    if isinstance(applied, Unknown) or (
        isinstance(applied, Value) and applied.value.get("spec") == item.digest
    ):
        return
    then = "the specification that runs"
    before = ABSENT if isinstance(applied, Absent) else "another specification"
    yield change(
        manifest,
        item.part,
        f"applied:{item.id}",
        before,
        then,
        "a restart would run something else",
        replica=replica,
    )
