"""python -m hostler.stackfile.generate [--check]: writes generated/, or says what there has drifted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .reference import reference_text
from .sample import sample_text
from .schema import schema

FOLDER = Path(__file__).with_name("generated")


def wanted() -> dict[str, str]:
    """All generated files by name."""
    return {
        "schema.json": json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
        "sample.yaml": sample_text(),
        "reference.md": reference_text(),
    }


def drifted() -> list[str]:
    """The files that are not what the types say."""
    return [name for name, text in wanted().items() if _there(FOLDER / name) != text]


def write() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in wanted().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def _there(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def main(arguments: list[str]) -> int:
    if arguments != ["--check"]:
        write()
        return 0
    stale = drifted()
    if stale:
        sys.stderr.write(
            f"not what the types say: {', '.join(stale)}; run: python -m hostler.stackfile.generate\n"
        )
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
