"""The README's table of cards and models is what `hostler fit` answers. To renew it:
`PYTHONPATH=infra:tests python tests/unit/test_fit_table.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hostler.console.fit import speed, tokens
from hostler.models.fit import Subject, Works, fit
from hostler.models.imagined import card_room
from hostler.models.memory import DEFAULT_CONTEXT, shape_of
from unit.models import headers

README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- fit -->\n", "<!-- /fit -->"
CARDS = ("RTX 3090", "RTX 3090*2", "RTX 3090*4", "A10G", "A100 80GB")
MODELS = {
    "mistral-7b": "Mistral 7B v0.3",
    "llama-3-8b": "Llama 3 8B",
    "gemma-2-9b": "Gemma 2 9B",
    "deepseek-v2-lite": "DeepSeek V2 Lite",
    "gpt-oss-20b": "gpt-oss 20B",
    "gemma-3-27b": "Gemma 3 27B",
    "mixtral-8x7b": "Mixtral 8x7B",
    "llama-3-70b": "Llama 3.1 70B",
}


def table() -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows())


def rows() -> Iterator[list[str]]:
    yield ["", *CARDS]
    yield ["---"] * (len(CARDS) + 1)
    for name, title in MODELS.items():
        subject = Subject(name=name, source=name, shape=shape_of(headers.header_of(name)))
        yield [title, *(cell(list(fit(subject, [card_room(card)]).works)) for card in CARDS)]


def cell(works: list[Works]) -> str:
    """The longest context with a full cache, if that is of use, else with the least quantized one."""
    if not works:
        return "-"
    enough = [row for row in works if row.context >= DEFAULT_CONTEXT] or works
    best = max((row for row in enough if row.cache == enough[0].cache), key=lambda row: row.context)
    cache = "" if best.cache == "f16" else f" {best.cache}"
    return f"{tokens(best.context)}{cache}, {speed(best.tokens_s)}/s"


def test_readme_has_what_fit_answers() -> None:
    text = README.read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0] == table()


def write() -> None:
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    README.write_text(f"{before}{BEGIN}{table()}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    write()
