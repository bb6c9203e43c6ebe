"""The table: bench/results.md has a section a part, replaced when it is measured anew; the README quotes the rows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stand import TOP

RESULTS = TOP / "bench" / "results.md"
README = TOP / "README.md"
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
HEAD = "| what | measured | ratio | aim |\n|---|---|---|---|\n"
ORDER = ("noop", "cold", "weights", "rollout", "idle", "words", "placement", "gateway")


@dataclass(frozen=True)
class Row:
    what: str
    measured: str
    aim: str
    ratio: float | None = None

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return f"| {self.what} | {self.measured} | {ratio} | {self.aim} |"


def figure(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}" if abs(value) < 10 else f"{value:.0f} {unit}"


def write(part: str, rows: list[Row]) -> None:
    """Replaces one part, prints it, and brings the README's quotation up to date."""
    for row in rows:
        print(row, flush=True)
    parts = {**read(), part: [str(row) for row in rows]}
    found = (f"## {name}\n\n{HEAD}" + "\n".join(parts[name]) + "\n" for name in ORDER if name in parts)
    RESULTS.write_text("\n".join(found))
    quote()


def read() -> dict[str, list[str]]:
    """The rows that are there, by part."""
    text = RESULTS.read_text() if RESULTS.exists() else ""
    found: dict[str, list[str]] = {}
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        name, *lines = section.splitlines()
        rows = [line for line in lines if line.startswith("|")]
        found[name] = rows[HEAD.count("\n") :]
    return found


def quote() -> None:
    """The table between the README's marks, where it has them."""
    text = README.read_text()
    if BEGIN not in text or END not in text:
        return
    parts = read()
    table = HEAD + "".join(f"{line}\n" for name in ORDER for line in parts.get(name, []))
    before, _, rest = text.partition(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{table}{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    quote()
