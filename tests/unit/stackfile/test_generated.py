"""The generated files are what the types say, and are right themselves."""

from __future__ import annotations

import re

import jsonschema
import pytest

from hostler.stackfile import forms
from hostler.stackfile.generate import FOLDER, drifted, main
from hostler.stackfile.load import loads
from hostler.stackfile.sample import sample_text
from hostler.stackfile.schema import schema
from hostler.stackfile.sections import Stack, TlsFiles
from hostler.stackfile.shapes import Either, Key, Many, Section, Shape, Table, keys_of

from .cases import cases, loaded, problems


def _kinds(shape: Shape) -> set[type]:
    match shape:
        case Many() | Table():
            return _kinds(shape.item)
        case Either():
            return _kinds(shape.section)
        case Section():
            return {shape.kind}.union(*(_kinds(key.shape) for key in keys_of(shape.kind)))
        case _:
            return set()


KINDS = sorted(_kinds(Section(Stack)), key=lambda kind: kind.__name__)
KEYS = [(kind, key) for kind in KINDS for key in keys_of(kind)]


def test_no_drift() -> None:
    assert drifted() == []
    assert main(["--check"]) == 0


def test_sample_loads() -> None:
    assert loaded(sample_text()).stack.gateway.host == "gpu1"


def test_sample_is_right_with_every_key_taken_in() -> None:
    text = re.sub(r"^#(?=\S|  )", "", sample_text(), flags=re.MULTILINE)
    text = text.replace("AAAA...", "AAAAC3NzaC1lZDI1NTE5AAAAI")
    wrong = [str(p) for p in problems(text.encode()) if "not built yet" not in p.got]
    allowed = (
        "hosts or aws",
        "source or cloud",
        "no pool beside",
        "each pool once",
        "an owned host",
        "a name under",
        "one of env",
        "one of models",
        "sha256 beside",
        "a host that stays",
        "one of url",
        "one of mac",
        "no idle beside `cloud`",
        "a rented pool whose machines",
    )
    assert [line for line in wrong if not any(words in line for words in allowed)] == []


@pytest.mark.parametrize(("kind", "key"), KEYS, ids=[f"{kind.__name__}.{key.name}" for kind, key in KEYS])
def test_every_key_is_everywhere(kind: type, key: Key) -> None:
    name = key.name
    assert re.search(rf"^#?\s*(?:- )?{name}:", sample_text(), re.MULTILINE) or (
        kind is TlsFiles and f"{{{', '.join(one.name for one in keys_of(kind))}}}" in sample_text()
    )
    reference = (FOLDER / "reference.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in reference.partition(f"## {kind.__name__}\n")[2].partition("\n## ")[0]
    properties = _object(kind)["properties"]
    assert properties[name]["description"]


def _object(kind: type) -> dict[str, dict[str, dict[str, str]]]:
    whole = schema()
    found = whole if kind is Stack else whole["$defs"][kind.__name__]
    return found["anyOf"][-1] if "anyOf" in found else found


def test_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize(
    "text",
    [
        "pools: {a: [b]}",
        "pools: {a: [b]}\nmodels: {c: {source: x}}",
        "pools: {a: ['-x']}\nmodels: {c: 'hf:a/b'}",
        "pools: {a: [b]}\nmodels: {c: {source: 'hf:a/b', ctx: 1}}",
    ],
)
def test_schema_refuses(text: str) -> None:
    import yaml

    assert list(jsonschema.Draft202012Validator(schema()).iter_errors(yaml.safe_load(text)))


EXAMPLES = {
    "duration": ["0s", "90s", "0.5s", "20m", "12h", "3d", "1.5h", "1w"],
    "size": ["1 B", "200 GiB", "1.5 TiB", "10 GB", "512MiB"],
    "watts": ["280 W", "1W"],
    "tokens": ["256", "8191", "16k", "1M"],
    "range": ["0-2", "3", "0"],
    "price": ["0.32 EUR/kWh", "300 USD", "1.20 USD/h"],
    "window": [
        "Sun 03:00-05:00 Europe/Berlin",
        "Mon-Fri 08:00-18:00",
        "22:00-23:59",
        "Mon-Fri 08-18",
        "00-24",
    ],
    "mac": ["3c:ec:ef:12:34:56", "3C-EC-EF-12-34-56"],
    "currency": ["EUR"],
}


@pytest.mark.parametrize(
    ("form", "text"), [(form, text) for form, texts in EXAMPLES.items() for text in texts]
)
def test_forms_are_shown_as_they_are_read(form: str, text: str) -> None:
    value = forms.parse(form, text)
    assert forms.parse(form, forms.show(form, value)) == value


def test_every_case_file_has_a_reader() -> None:
    assert {path.stem for path in FOLDER.parents[3].joinpath("tests/cases/stackfile").iterdir()} == {
        "bad",
        "good",
    }
    assert cases("good")
    assert loads
