"""The words of the reader's errors: what stands there, and what to write instead."""

from __future__ import annotations

import re

from . import forms, kmskeys
from .notes import kind_words, secret
from .scalars import shown
from .shapes import Key, Words, keys_of
from .shorts import SHORT
from .tree import Node, Word


def good_text(spec: forms.Spec, node: Word) -> bool:
    return node.kind != "flag" and (
        spec.number or not re.fullmatch(r"[0-9.]+", node.text) or spec is forms.FORMS["address"]
    )


def what_stands(node: Node, path: str) -> tuple[str, str]:
    if not isinstance(node, Word):
        return kind_words(node), ""
    if node.kind == "nothing":
        return "nothing", "write a value, or take the key out to get its default"
    text = "text that is not shown" if secret(path) else shown(masked(node.text))
    if node.kind == "flag":
        return (
            f"{text}, which YAML reads as {read_as(node)}",
            "write true or false for a switch, and quotes around a word",
        )
    return text, ""


def read_as(word: Word) -> str:
    if word.kind == "nothing":
        return "nothing"
    return "true" if word.text.lower() in ("yes", "true", "on") else "false"


def masked(text: str) -> str:
    """Without the user and password of an address."""
    return re.sub(r"(?<=://)[^/@]*@", "...@", text)


def advice(spec: forms.Spec, text: str) -> str:
    if spec is forms.FORMS["source"] and re.fullmatch(r"[\w.-][\w./-]*\.gguf", text):
        return f"write ./{text} for a file beside this one, or /PATH for one on the hosts"
    if spec is forms.FORMS["source"] and re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+(?::[\w.-]+)?", text):
        return f"write hf:{text} for a repository of the Hugging Face hub"
    if spec is forms.FORMS["source"] and text.startswith("http://"):
        return "use https; a file on this machine is ./PATH, one on the hosts /PATH"
    if text.startswith("-"):
        return "no name or address may begin with -, which programs read as an option"
    if spec is forms.FORMS["image"]:
        return "name a tag or, better, the digest"
    if spec is forms.FORMS["kms-key"]:
        alias = kmskeys.SHORT.fullmatch(text)
        return f"write alias/{text} for a key's alias" if alias else "`aws kms list-aliases` shows yours"
    if spec in (forms.FORMS["currency"], forms.FORMS["price"]):
        return _currency(text)
    if spec is forms.FORMS["mac"] and re.fullmatch(r"[0-9A-Fa-f]{12}", text):
        return f"write {':'.join(text[at : at + 2] for at in range(0, 12, 2)).lower()}"
    if spec is forms.FORMS["window"] and re.search(r"(?<![0-9:])[0-9](?![0-9])", text):
        return f'write "{re.sub(r"(?<![0-9:])([0-9])(?![0-9])", r"0\1", text)}", hours with two digits'
    if spec is forms.FORMS["name"]:
        fixed = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-0123456789")
        return f"write {fixed[:32]}" if fixed else ""
    return ""


def _currency(text: str) -> str:
    """`300 usd`, `300USD`, `300$` as they should be."""
    signs = {"$": "USD", "\u20ac": "EUR", "\u00a3": "GBP"}
    found = re.fullmatch(r"([$\u20ac\u00a3]?) ?([0-9.]*) ?([A-Za-z]{3}|[$\u20ac\u00a3]|)(/[A-Za-z]+)?", text)
    if not found or not (unit := found[3] or found[1]):
        return "name the currency, such as USD" if found else ""
    currency = signs.get(unit, unit.upper())
    return f"write {found[2]} {currency}{found[4] or ''}" if found[2] else f"write {currency}"


def printable(text: str) -> str:
    """The text as a part of a path, if it can be one."""
    return text if re.fullmatch(r"[\w.:-]{1,64}", text) else "?"


def other_words(key: Key) -> str:
    words = key.shape.words if isinstance(key.shape, Words) else ()
    return f"write {' or '.join(word for word in words if word not in key.unbuilt)}"


def names_of(kind: type) -> str:
    return ", ".join(key.name for key in keys_of(kind))


def section_words(kind: type) -> str:
    mapping = f"a mapping of {names_of(kind)}"
    return f"{SHORT[kind].words}, or {mapping}" if kind in SHORT else mapping
