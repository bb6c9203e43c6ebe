"""Answers of AWS that are kept for a while, in the user's cache folder, each with its date."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from typing import Any

from hostler.operator import cache_home, read_json, write_json

MINUTE = 60.0
DAY = 86400.0


def remembered(key: tuple[str, ...], keep: float, ask: Callable[[], Any]) -> tuple[Any, float]:
    """What `ask` answers (JSON), and when it was asked (seconds since 1970): from the cache where that is no older than
    `keep` seconds. What raises is not kept, nor is None; a cache that cannot be used is none."""
    folder = cache_home() / "aws"
    words = json.dumps([os.environ.get("AWS_ENDPOINT_URL", ""), *key])
    path = folder / f"{hashlib.sha256(words.encode()).hexdigest()[:32]}.json"
    now = time.time()
    try:
        kept = read_json(path)
        if kept.get("key") == words and 0 <= now - float(kept["asked"]) < keep:
            return kept["value"], float(kept["asked"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # damaged, or not ours to read: asked anew
    value = ask()
    if value is not None:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            write_json(path, {"key": words, "asked": now, "value": value})
        except OSError:
            return value, now  # a full disk: it is asked again next time
    return value, now
