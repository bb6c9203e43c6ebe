"""What a model's section asks for, as a digest: a release resolves anew only where it changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from .sections import Stack

# what decides what a replica runs; not how many there are, where, or how a change is made
_RUNS = ("source", "engine", "image", "args", "cards", "context", "slots", "cache", "sha256")


def asked_digest(stack: Stack, model: str) -> str:
    """SHA-256 over the keys of the section that decide what its replicas run, defaults included."""
    section = asdict(stack.models[model])
    text = json.dumps({key: section[key] for key in _RUNS}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def asked_digests(stack: Stack) -> dict[str, str]:
    """Of each model that runs on hosts."""
    return {name: asked_digest(stack, name) for name, model in stack.models.items() if not model.cloud}
