"""Any text that a file may hold survives being shown; any bytes at all end in an answer or in problems."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from hostler.errors import Problem, StackFileError
from hostler.stackfile.config import config_text
from hostler.stackfile.load import loads

from .cases import FILE, loaded

TEXTS = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf", "Cn")), min_size=1, max_size=30
).filter(str.strip)
WORDS = st.sampled_from(
    [
        "pools:",
        "models:",
        " ",
        "\n",
        "  ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "&a",
        "*a",
        "!x",
        "'",
        '"',
        ":",
        ",",
        "chat",
        "|",
        ">",
        "#",
        "---",
        "\t",
        "<<",
        "~",
        "1",
        "yes",
    ]
)


@settings(max_examples=100, deadline=None, database=None)
@given(prompt=TEXTS, argument=TEXTS)
def test_text_survives(prompt: str, argument: str) -> None:
    model = {"source": "hf:a/b", "smoke": {"prompt": prompt}, "args": [argument]}
    file = loaded(f"pools: {{a: [b]}}\nmodels: {{c: {json.dumps(model, ensure_ascii=False)}}}\n")
    assert file.stack.models["c"].smoke.prompt == prompt
    assert file.stack.models["c"].args == (argument,)
    assert loaded(config_text(file)).stack == file.stack


@settings(max_examples=200, deadline=None, database=None)
@given(
    data=st.one_of(
        st.binary(max_size=200), st.lists(WORDS, max_size=40).map(lambda words: "".join(words).encode())
    )
)
def test_nothing_but_problems(data: bytes) -> None:
    found: tuple[Problem, ...] | None = None
    try:
        loads(data, FILE)
    except StackFileError as error:
        found = error.problems
    assert found is None or (found and all(problem.where.startswith(FILE) for problem in found))
