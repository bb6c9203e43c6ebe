"""Whether a text goes round in circles.

A text is as repetitive as it can be compressed: times its length by zlib. Plain sentences of 64 tokens have 1.2 to
1.8, a phrase of ten words over and over 6 to 10, one word 15 and more. Small models repeat themselves by nature, so
what counts is the former replica's answer to the same questions. Where there is none, only the extreme fails: one word,
or one character, all through.
"""

from __future__ import annotations

import zlib
from typing import Optional

LIMIT = 3.0
WORSE = 1.5  # times the former one's
LEAST = 48  # tokens of a text that says something about repeats
ONE_THING = 24  # tokens of a text that is one word all through
ONE_PIECE = 10.0  # times smaller: one word all through, where no spaces tell its words (Chinese, `1,2,3`)
LETTERS = 4  # of a token, where nobody counts them


def times(text: str, tokens: Optional[int]) -> Optional[float]:
    """How many times smaller a text can be; None: it is too short to tell."""
    if _count(text, tokens) < LEAST:
        return None
    return round(_smaller(text), 2)


def _smaller(text: str) -> float:
    content = text.encode("utf-8", "replace")
    return len(content) / len(zlib.compress(content, 9))


def flaw(now: Optional[float], before: Optional[float]) -> str:
    """`before`: the former replica's answer to the same question."""
    if now is None or before is None or now <= LIMIT or now <= WORSE * before:
        return ""
    return "it repeats itself: its answer can be compressed %.1f times, the former replica's %.1f times" % (
        now,
        before,
    )


def one_thing(text: str, tokens: Optional[int]) -> str:
    """Why a text is one word or one character all through; empty: it is not, or it is short."""
    if _count(text, tokens) < ONE_THING:
        return ""
    words = text.split()
    one_letter = len(set("".join(words))) <= 1
    same = _smaller(text) > ONE_PIECE if len(words) == 1 else len(set(words)) <= 1
    if not one_letter and not same:
        return ""
    return "it repeats itself: nothing but %r" % text.strip()[:40]


def _count(text: str, tokens: Optional[int]) -> int:
    return len(text) // LETTERS if tokens is None else tokens
