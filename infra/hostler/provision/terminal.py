"""The CLI on the caller's own terminal, for `hostler pulumi -- ARGS`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

PREVIEWS = {"preview", "pre"}
WITH_PROGRAM = {*PREVIEWS, "up", "update", "watch"}
WITH_PROVIDER = {*WITH_PROGRAM, "refresh", "destroy", "down", "dn"}
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
    "-s",
    "--stack",
}


def words_of(arguments: Sequence[str]) -> list[str]:
    """What is neither a flag nor a flag's value: the verb first."""
    values = {number + 1 for number, word in enumerate(arguments) if word in VALUED_FLAGS}
    rest = (word for number, word in enumerate(arguments) if number not in values)
    return [word for word in rest if not word.startswith("-")]


def verb_of(arguments: Sequence[str]) -> str:
    return next(iter(words_of(arguments)), "")


def foreground(words: list[str], cwd: Path, environ: dict[str, str]) -> int:
    """The terminal's Ctrl-C reaches the CLI itself, in our process group; we only wait for its end."""
    popen = subprocess.Popen(words, cwd=cwd, env=environ)
    while True:
        try:
            return popen.wait()
        except KeyboardInterrupt:
            continue
