"""One comparison a kind of item: packages, paths, certificates, merged documents."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from hostler.configure import observed
from hostler.configure.ask import names
from hostler.configure.changes import ABSENT, ALONE, FIRST, Changes, change, unknown
from hostler.hosts.types import Absent, Seen, Unknown, Value
from hostler.manifest.contents import FetchedKey, MadeOnHost, Packed, SecretRef, Text
from hostler.manifest.items import (
    Container,
    Directory,
    Effect,
    File,
    Manifest,
    MergedJson,
    Package,
    Part,
)


def package(manifest: Manifest, seen: Seen, item: Package) -> Changes:
    found = {name: observed.of(seen, f"package:{name}") for name in names(item)}
    there = [
        (name, f.value)
        for name, f in found.items()
        if isinstance(f, Value) and f.value["state"] == "installed"
    ]
    half = [name for name, f in found.items() if isinstance(f, Value) and f.value["state"] == "half"]
    title = f"package:{item.name}"
    why, effect = _package_why(item, seen)
    if half:
        yield change(
            manifest,
            item.part,
            f"package:{half[0]}",
            "half installed",
            "installed",
            "an installation was interrupted",
        )
    elif not there:
        first = found[item.name]
        if isinstance(first, Unknown):
            yield unknown(manifest, item.part, title, first, "installed")
        else:
            yield change(
                manifest, item.part, title, "not installed", "installed", why, action="add", effect=effect
            )
    elif item.hold and not there[0][1]["hold"]:
        yield change(
            manifest,
            item.part,
            f"package:{there[0][0]}",
            "not held",
            "held",
            "updates must not change it unasked",
        )


def _package_why(item: Package, seen: Seen) -> tuple[str, Effect]:
    if item.part is Part.DRIVER:
        return "its cards need it; it runs after a reboot", Effect.REBOOT
    if item.part is Part.CONTROLLER:
        return ALONE, Effect.NONE
    if item.part is not Part.TOOLKIT:
        return "needed on every host of the stack", Effect.NONE
    if seen.facts and seen.facts.docker and seen.facts.docker_swarm:
        return (
            "containers get their cards through it; Docker restarts, and its containers stop",
            Effect.RESTART,
        )
    if seen.facts and seen.facts.docker:
        return (
            "containers get their cards through it; Docker restarts, its containers go on (live-restore)",
            Effect.RELOAD,
        )
    return "containers get their cards through it", Effect.NONE


def directory(manifest: Manifest, seen: Seen, item: Directory) -> Changes:
    then = f"directory {item.mode} {item.owner}:{item.group}"
    why = ALONE if item.part is Part.CONTROLLER else FIRST
    yield from _path(manifest, seen, item, "dir", then, why, Effect.NONE)


def own_files(manifest: Manifest, seen: Seen) -> Iterator[File]:
    """Files that are compared by themselves: a container that is new or changes implies its specification."""
    implied = {f"/etc/hostler/wanted/{c.id}.json" for c in manifest.containers if _changes(seen, c)}
    yield from (item for item in manifest.files if item.path not in implied)


def _changes(seen: Seen, item: Container) -> bool:
    found = observed.value(seen, f"container:{item.id}")
    if found is not None:
        return found.get("spec") != item.digest
    return isinstance(observed.of(seen, f"applied:{item.id}"), Absent)


def file(manifest: Manifest, seen: Seen, item: File) -> Changes:
    if isinstance(item.content, SecretRef) and not item.content.sha256:
        return  # this side has no value for it
    why = _file_why(item)
    then = f"{item.mode} {item.owner}:{item.group}"
    for found in _path(manifest, seen, item, "file", then, why, item.effect):
        yield found
        return
    found = observed.value(seen, f"path:{item.path}")
    if found is None:
        return
    wanted = content_digest(item, manifest.host)
    if wanted is None or wanted == found.get("sha256"):
        return
    now, then = f"another content ({str(found.get('sha256'))[:12]})", f"content {wanted[:12]}"
    if isinstance(item.content, SecretRef):  # a passphrase is guessed by few digits of its digest
        now, then = "a value", "another value"
    yield change(
        manifest,
        item.part,
        f"path:{item.path}",
        now,
        then,
        why,
        effect=item.effect,
        detail=text_diff(item, found.get("text")),
    )


def _file_why(item: File) -> str:
    match item.content:
        case MadeOnHost(host=host, before=before):
            return f"{host} is known by its {'key' if before else 'certificate'}"
        case FetchedKey(url=url):
            return f"the key of {url}"
        case Packed(name=name):
            return "this version of hostler" if name == "hostler.zip" else "this version of hostler's agent"
        case SecretRef(name=name):
            return f"the secret {name}"
        case Text():
            return ALONE if item.part is Part.CONTROLLER else "as the stack file says"


def content_digest(item: File, host: str) -> str | None:
    """SHA-256 that the file must have; None: any (made on this host)."""
    match item.content:
        case Text(text=text):
            return sha256(text.encode()).hexdigest()
        case SecretRef() | Packed():
            return item.content.sha256 or None
        case FetchedKey():
            return None
        case MadeOnHost(host=maker, before=before):
            return None if maker == host and not before else item.content.sha256 or "made at this run"


def text_diff(item: File, now: str | None) -> str:
    """A unified difference, where both texts may be shown."""
    if not isinstance(item.content, Text) or now is None:
        return ""
    lines = difflib.unified_diff(
        now.splitlines(),
        item.content.text.splitlines(),
        f"{item.path} (now)",
        f"{item.path} (then)",
        lineterm="",
        n=2,
    )
    return "\n".join(lines)


def _path(
    manifest: Manifest, seen: Seen, item: File | Directory, kind: str, then: str, why: str, effect: Effect
) -> Changes:
    """Whether it is there, of the right type, mode and owner."""
    name = f"path:{item.path}"
    match observed.of(seen, name):
        case Absent():
            detail = text_diff(item, "") if isinstance(item, File) else ""
            yield change(
                manifest, item.part, name, ABSENT, then, why, action="add", effect=effect, detail=detail
            )
        case Unknown() as found:
            yield unknown(manifest, item.part, name, found, then)
        case Value(value=value) if value["type"] != kind:
            yield change(manifest, item.part, name, f"a {value['type']}", then, why, effect=effect)
        case Value(value=value):
            now = f"{value['mode']} {value['owner']}:{value['group']}"
            if now != f"{item.mode} {item.owner}:{item.group}":
                yield change(
                    manifest,
                    item.part,
                    name,
                    now,
                    then.removeprefix("directory "),
                    "its mode or owner was changed",
                )


def merged(manifest: Manifest, seen: Seen, item: MergedJson) -> Changes:
    name = f"json:{item.path}"
    found = observed.of(seen, name)
    if isinstance(found, Unknown):
        yield unknown(manifest, item.part, name, found, json.dumps(item.values, sort_keys=True))
        return
    document: Any = found.value if isinstance(found, Value) else {}
    running = bool(seen.facts and seen.facts.docker)
    for path, now, then in _differing(document, item.values):
        yield change(
            manifest,
            item.part,
            f"{name}#{path}",
            ABSENT if now is None else json.dumps(now, sort_keys=True),
            json.dumps(then, sort_keys=True),
            "other keys stay as they are",
            action="add" if now is None else "change",
            effect=item.effect if running else Effect.NONE,
        )


def _differing(now: Any, then: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any, Any]]:
    there: dict[str, Any] = dict(now) if isinstance(now, dict) else {}  # pyright: ignore[reportUnknownArgumentType]
    for key, wanted in then.items():
        here = there.get(key)
        if isinstance(wanted, dict) and isinstance(here, dict):
            yield from _differing(here, wanted, f"{path}{key}.")  # pyright: ignore[reportUnknownArgumentType]
        elif here != wanted:
            yield f"{path}{key}", here, wanted
