"""From nodes to the sections' types. Notes every problem and goes on; what is wrong is left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from . import forms
from .advice import (
    advice,
    good_text,
    masked,
    names_of,
    other_words,
    printable,
    read_as,
    section_words,
    what_stands,
)
from .notes import Notes, join, kind_words, nearest, secret
from .scalars import shown
from .shapes import Either, Flag, Key, Many, Number, Scalar, Section, Shape, Table, Words, keys_of
from .shorts import SHORT, expand
from .tree import Items, Node, Pairs, Word

BAD: Any = object()  # was noted as a problem
_UNBUILT = "take it out; this version of hostler cannot do it"


class Reader:
    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def section(self, kind: type, node: Node, path: str, name: str = "") -> Any:
        """`node` as a `kind`, BAD if something it needs is wrong or missing. `name`: the key above."""
        if kind in SHORT and (near := SHORT[kind].meant(node)):
            return self._wrong(node, path, section_words(kind), f"write {near}", f": did you mean {near}?")
        pairs = node if isinstance(node, Pairs) else expand(kind, node, name)
        if pairs is None:
            return self._wrong(node, path, section_words(kind))
        keys = keys_of(kind)
        by_name = {key.name: key for key in keys}
        values: dict[str, Any] = {}
        for word, value in self._unique(pairs, path):
            key = by_name.get(word.text)
            if key is None:
                self._unknown(word, path, by_name)
                values.update(self._meant(word, by_name))
                continue
            at = join(path, key.name)
            self._notes.saw(at, value, word)
            values[key.attribute] = self._value(key, value, at)
        return self._made(kind, keys, values, pairs, path)

    def _meant(self, word: Word, by_name: dict[str, Key]) -> dict[str, Any]:
        """A required key that is only misspelt is not missing as well."""
        key = by_name.get(nearest(word.text, by_name))
        return {key.attribute: BAD} if key and key.required else {}

    def _made(self, kind: type, keys: tuple[Key, ...], values: dict[str, Any], node: Pairs, path: str) -> Any:
        missing = [key for key in keys if key.required and key.attribute not in values]
        for key in missing:
            at = self._notes.place(path) if path in self._notes.positions else (node.line, node.column)
            example = f", such as `{key.name}: {key.example}`" if key.example else ""
            self._notes.add(
                at,
                path or key.name,
                f"the key `{key.name}`",
                "a section without it",
                f"add `{key.name}`: {key.help}{example}",
            )
        lacking = (*missing, *(key for key in keys if values.get(key.attribute) is BAD))
        instead: dict[str, Any] = {key.attribute: {} for key in lacking if isinstance(key.shape, Table)}
        if any(key.required and key.attribute not in instead for key in lacking):
            return BAD
        instead.update({key.attribute: "" for key in keys if key.filled})  # the loader finds it out
        return kind(**{**instead, **{name: value for name, value in values.items() if value is not BAD}})

    def _value(self, key: Key, node: Node, path: str) -> Any:
        before = len(self._notes.problems)
        value = self._read(key.shape, node, path, key)
        if not key.built and len(self._notes.problems) == before:
            self._notes.not_built(path, "a key that works already", f"{key.name}: not built yet", _UNBUILT)
        elif value in key.unbuilt if isinstance(value, str) else False:
            self._notes.not_built(
                path, "a word that works already", f"{key.name}: {value}: not built yet", other_words(key)
            )
        return value

    def _read(self, shape: Shape, node: Node, path: str, key: Key | None = None) -> Any:
        match shape:
            case Scalar():
                return self._scalar(shape.form, node, path)
            case Words():
                return self._word(shape.words, node, path)
            case Flag():
                return self._flag(node, path)
            case Number():
                return self._number(key, node, path)
            case Many():
                return self._many(shape.item, node, path)
            case Table():
                return self._table(shape, node, path)
            case Section():
                return self.section(shape.kind, node, path, path.rpartition(".")[2])
            case Either():
                if isinstance(node, Pairs):
                    return self.section(shape.section.kind, node, path)
                return self._word(
                    shape.words.words, node, path, f", or a mapping of {names_of(shape.section.kind)}"
                )

    def _scalar(self, form: str, node: Node, path: str) -> Any:
        spec = forms.FORMS[form]
        if not isinstance(node, Word):
            return self._wrong(node, path, spec.expected)
        if node.kind == "nothing" or (node.kind in ("whole", "number", "flag") and not good_text(spec, node)):
            return self._wrong(node, path, spec.expected)
        try:
            return forms.parse(form, node.text)
        except forms.FormError as error:
            return self._bad_form(spec, node, path, str(error))

    def _bad_form(self, spec: forms.Spec, node: Word, path: str, why: str) -> Any:
        text = "text that is not shown" if spec.hidden or secret(path) else shown(masked(node.text))
        got = f"{text}, {why}" if why else text
        self._notes.add((node.line, node.column), path, spec.expected, got, advice(spec, node.text))
        return BAD

    def _word(self, words: Sequence[str], node: Node, path: str, more: str = "") -> Any:
        expected = f"{' | '.join(words)}{more}"
        if not isinstance(node, Word) or node.kind != "text":
            return self._wrong(node, path, expected)
        if node.text in words:
            return node.text
        near = nearest(node.text, words)
        got = shown(node.text) + (f": did you mean {near}?" if near else "")
        self._notes.add(
            (node.line, node.column), path, expected, got, f"write {near or 'one of these words'}"
        )
        return BAD

    def _flag(self, node: Node, path: str) -> Any:
        if isinstance(node, Word) and node.plain and node.text in ("true", "false"):
            return node.text == "true"
        return self._wrong(node, path, "true or false")

    def _number(self, key: Key | None, node: Node, path: str) -> Any:
        least, most = (key.least, key.most) if key else (None, None)
        low, high = least or 0, most if most is not None else 10**9
        expected = f"a whole number, {low} to {high}"
        if not isinstance(node, Word) or not re.fullmatch(r"0|-?[1-9][0-9]{0,17}", node.text):
            return self._wrong(node, path, expected)
        if not low <= int(node.text) <= high:
            return self._wrong(node, path, expected)
        return int(node.text) if node.plain else self._wrong(node, path, expected, "write it without quotes")

    def _many(self, item: Shape, node: Node, path: str) -> Any:
        if not isinstance(node, Items):
            self._notes.positions.setdefault(f"{path}[0]", (node.line, node.column))
            value = self._read(item, node, path)
            return BAD if value is BAD else (value,)
        values: list[Any] = []
        for index, child in enumerate(node.nodes):
            at = f"{path}[{index}]"
            self._notes.saw(at, child, None)
            values.append(self._read(item, child, at))
        return tuple(value for value in values if value is not BAD)

    def _table(self, shape: Table, node: Node, path: str) -> Any:
        if not isinstance(node, Pairs):
            return self._wrong(node, path, "a mapping of names")
        values: dict[str, Any] = {}
        for word, child in self._unique(node, path):
            self._notes.names.setdefault(path, set()).add(word.text)
            name = self._scalar(shape.form, word, path)
            at = join(
                path,
                printable(word.text)
                if name is BAD and not secret(path)
                else name
                if name is not BAD
                else "?",
            )
            self._notes.saw(at, child, word)
            value = self._read(shape.item, child, at)
            if name is not BAD and value is not BAD:
                values[name] = value
        return values

    def _unique(self, node: Pairs, path: str) -> list[tuple[Word, Node]]:
        """The pairs with merge keys (<<) resolved, without keys that stand there twice or are no words."""
        first: dict[str, Word] = {}
        found: list[tuple[Word, Node]] = []
        merged: list[tuple[Word, Node]] = []
        for word, value in node.nodes:
            if word.plain and word.text == "<<":
                merged += self._merged(word, value, path)
            elif word.kind in ("flag", "nothing"):
                text = shown(word.text)
                self._notes.add(
                    (word.line, word.column),
                    path,
                    "a word as key",
                    f"{text}, which YAML reads as {read_as(word)}",
                    f'write "{word.text}" with quotes, or another word',
                )
            elif word.text in first:
                self._twice(word, first[word.text], path)
            else:
                first[word.text] = word
                found.append((word, value))
        return found + [(word, value) for word, value in merged if word.text not in first]

    def _merged(self, word: Word, value: Node, path: str) -> list[tuple[Word, Node]]:
        nodes = value.nodes if isinstance(value, Items) else [value]
        found: dict[str, tuple[Word, Node]] = {}
        for node in nodes:
            if not isinstance(node, Pairs):
                self._notes.add(
                    (word.line, word.column),
                    path,
                    "a mapping behind <<",
                    kind_words(node),
                    "write <<: *NAME of a mapping above",
                )
                continue
            for key, child in self._unique(node, path):
                found.setdefault(key.text, (key, child))
        return list(found.values())

    def _twice(self, word: Word, first: Word, path: str) -> None:
        text = "a key" if secret(path) else f"`{word.text}`"
        got = f"{text} a second time; the first is in line {first.line}"
        self._notes.add(
            (word.line, word.column),
            join(path, "?") if secret(path) else join(path, word.text),
            "each key once",
            got,
            "keep one of the two",
        )

    def _unknown(self, word: Word, path: str, names: dict[str, Key]) -> None:
        near = nearest(word.text, names)
        text = "an unknown key" if secret(path) and not near else shown(word.text)
        got = text + (f": did you mean {near}?" if near else "")
        built = ", ".join(name for name, key in names.items() if key.built)
        at = path if text == "an unknown key" else join(path, printable(word.text))
        self._notes.add(
            (word.line, word.column),
            at,
            f"one of the keys {built}",
            got,
            f"write {near}" if near else "take it out",
        )

    def _wrong(self, node: Node, path: str, expected: str, instead: str = "", more: str = "") -> Any:
        """Not even the right kind of value."""
        at = self._notes.positions.get(path) if not isinstance(node, Word) else None
        got, next_step = what_stands(node, path)
        self._notes.add(at or (node.line, node.column), path, expected, got + more, instead or next_step)
        return BAD
