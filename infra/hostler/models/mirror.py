"""Where things really come from when the stack file names a mirror. Releases never know: they keep the internet's
own names, so that a mirror comes and goes without changing what runs."""

from __future__ import annotations

from urllib.parse import urlsplit

from hostler.stackfile.sections import Mirror, Stack

HUB = "https://huggingface.co"  # how releases name files of the hub
REGISTRY = "{registry}"


def of(stack: Stack) -> Mirror:
    return stack.mirror or Mirror()


def image(base: str | None, name: str) -> str:
    """The repository that stands for `name` (ghcr.io/ggml-org/llama.cpp) in the registry at `base`, without its
    scheme; empty: it is asked for by its own name. Registries with a port, and the mirror's own, are on this side of
    the mirror."""
    registry, _, path = name.partition("/")
    host = urlsplit(base or "").netloc
    if not base or registry in (host, "localhost") or ":" in registry:
        return ""
    return f"{base.partition('://')[2].replace(REGISTRY, registry)}/{path}"


def hub(base: str | None, url: str) -> str:
    """The address of a hub's file at the mirror; other addresses stay."""
    return base + url.removeprefix(HUB) if base and url.startswith(f"{HUB}/") else url


def packages(base: str | None, url: str) -> str:
    """The address of a repository of packages at the mirror: scheme and host are replaced, the path stays."""
    return base + url.removeprefix(f"https://{urlsplit(url).netloc}") if base else url
