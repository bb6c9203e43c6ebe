"""What an engine for embeddings must answer: vectors that say something."""

from __future__ import annotations

import math
from typing import Any, List, Optional, cast

from ..base.protocol import as_dict

OTHER = "A locomotive pulls eleven wagons over the bridge."  # whatever the first text is, this one is another


def flaw(answer: Any, length: Optional[int]) -> str:
    """What is wrong with the answer to two different texts; empty: nothing. `length`: how many numbers each
    vector has to have, None where the engine does not say."""
    data: List[Any] = as_dict(answer).get("data") or []
    vectors = [as_dict(one).get("embedding") for one in data]
    if len(vectors) != 2:
        return "two texts have %d vectors" % len(vectors)
    why = next((why for why in (_flaw(vector, length) for vector in vectors) if why), "")
    return why or ("two texts have one vector" if vectors[0] == vectors[1] else "")


def _flaw(vector: Any, length: Optional[int]) -> str:
    if not isinstance(vector, list) or not vector:
        return "the embedding is empty"
    numbers = cast("List[Any]", vector)
    if length and len(numbers) != length:
        return "the embedding has %d numbers, the model's have %d" % (len(numbers), length)
    if not all(isinstance(one, (int, float)) and math.isfinite(one) for one in numbers):
        return "the embedding has what is not a number"
    return "the embedding is the same number all over" if len(set(numbers)) == 1 else ""
