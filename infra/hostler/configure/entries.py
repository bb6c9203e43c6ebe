"""Files, folders and keys of a manifest as the roles' file module and the agent take them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hostler.manifest.contents import FetchedKey, MadeOnHost, Packed, SecretRef, Text
from hostler.manifest.items import Directory, File, Manifest, Part


class Template(str):
    """A string that Ansible evaluates; every other string is only text. Of what a host or a person wrote, no word stands
    in one but as a literal."""

    __slots__ = ()


def directories(manifest: Manifest, part: Part) -> list[dict[str, Any]]:
    return [_directory(item) for item in manifest.directories if item.part is part]


def _directory(item: Directory) -> dict[str, Any]:
    return {
        "path": item.path,
        "state": "directory",
        "mode": item.mode,
        "owner": item.owner,
        "group": item.group,
    }


def files(manifest: Manifest, part: Part) -> list[dict[str, Any]]:
    return [entry for item in manifest.files if item.part is part for entry in _file(manifest.host, item)]


def _file(host: str, item: File) -> Iterable[dict[str, Any]]:
    entry = {"path": item.path, "mode": item.mode, "owner": item.owner, "group": item.group}
    match item.content:
        case Text(text=text):
            yield {**entry, "text": text}
        case SecretRef(sha256=""):
            return
        case SecretRef(name=name):
            yield {**entry, "secret": Template(f"{{{{ hostler_secrets[{name!r}] | b64encode }}}}")}
        case MadeOnHost() as made if made.host != host or made.before:
            made_there = Template(
                f"{{{{ {made.before!r} ~ hostvars[{made.host!r}].base_certificates[{made.made!r}] }}}}"
            )
            yield {**entry, "text": made.pem or made_there}
        case MadeOnHost() | Packed() | FetchedKey():
            return


def keys(manifest: Manifest, part: Part) -> list[dict[str, Any]]:
    return [
        {
            "path": item.path,
            "url": item.content.url,
            "fingerprints": list(item.content.fingerprints),
            "sha256": item.content.sha256,
        }
        for item in manifest.files
        if item.part is part and isinstance(item.content, FetchedKey)
    ]
