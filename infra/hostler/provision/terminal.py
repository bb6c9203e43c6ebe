"""The CLI on the caller's own terminal, for `hostler pulumi -- ARGS`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

WITH_PROGRAM = {"preview", "pre", "up", "update"}
WITH_PROVIDER = {*WITH_PROGRAM, "refresh", "destroy", "down"}
VALUED_FLAGS = {
    "--color",
    "-C",
    "--cwd",
    "-v",
    "--verbose",
    "--tracing",
    "--otel-traces",
    "--profiling",
    "--memprofilerate",
}


def verb_of(arguments: Sequence[str]) -> str:
    """The first word that is neither a global flag nor a global flag's value."""
    values = {number + 1 for number, word in enumerate(arguments) if word in VALUED_FLAGS}
    rest = (word for number, word in enumerate(arguments) if number not in values)
    return next((word for word in rest if not word.startswith("-")), "")


def foreground(words: list[str], cwd: Path, environ: dict[str, str]) -> int:
    """The terminal's Ctrl-C reaches the CLI itself, in our process group; we only wait for its end."""
    popen = subprocess.Popen(words, cwd=cwd, env=environ)
    while True:
        try:
            return popen.wait()
        except KeyboardInterrupt:
            continue
