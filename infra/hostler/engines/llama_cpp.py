"""llama-server of llama.cpp: GGUF on cards or in main memory.

The words follow the image's entry point, which is llama-server itself. What is given here is given
always, because its defaults change between builds (the port's did) or are worked out by the build
(`-fit` cuts a context that was not asked for in words).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hostler.engines.base import (
    Argv,
    Body,
    Capability,
    ContextAnswer,
    DriverNeed,
    Seat,
    Signals,
    Wish,
    refuse_reserved,
)

ALL_LAYERS = "999"

# flag -> what to write in the stack file instead; what follows the colon here is for people
_RESERVED: Mapping[str, str] = {
    **dict.fromkeys(("-m", "--model", "-mu", "--model-url", "-hf", "-hfr", "--hf-repo"), "`source`"),
    **dict.fromkeys(("-hff", "--hf-file", "-hft", "--hf-token", "-dr", "--docker-repo"), "`source`"),
    **dict.fromkeys(("--models-dir", "--models-preset"), "one entry under `models` for each"),
    **dict.fromkeys(("--host", "--port", "--reuse-port", "--api-prefix"), "nothing: the gateway finds it"),
    **dict.fromkeys(("--api-key", "--api-key-file"), "`hostler key`: keys are the gateway's"),
    **dict.fromkeys(("--ssl-key-file", "--ssl-cert-file"), "`gateway.tls`"),
    **dict.fromkeys(("-c", "--ctx-size"), "`context`"),
    **dict.fromkeys(("-np", "--parallel"), "`slots`"),
    **dict.fromkeys(("-ngl", "--gpu-layers", "--n-gpu-layers"), "`cards` (0: main memory)"),
    **dict.fromkeys(
        ("-dev", "--device", "-sm", "--split-mode", "-ts", "--tensor-split", "-mg", "--main-gpu"), "`cards`"
    ),
    **dict.fromkeys(("-ctk", "--cache-type-k", "-ctv", "--cache-type-v"), "`cache`"),
    **dict.fromkeys(("-kvu", "--kv-unified"), "`context` and `slots`"),
    **dict.fromkeys(("-fit", "--fit", "-fitt", "--fit-target", "-fitc", "--fit-ctx"), "`context`"),
    **dict.fromkeys(("-a", "--alias"), "the model's name in the stack file"),
    **dict.fromkeys(
        ("--metrics", "--webui", "--no-webui", "--ui", "--no-ui"), "nothing: it is decided for you"
    ),
    **dict.fromkeys(("--embedding", "--embeddings", "--rerank", "--reranking"), "`engine: embeddings`"),
    **dict.fromkeys(("-h", "--help", "--usage", "--version", "--license"), "nothing: it would not serve"),
}


_SIGNALS = Signals(
    running="llamacpp:requests_processing",
    waiting="llamacpp:requests_deferred",
    tokens=("llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total"),
)
_LOADED = ContextAnswer(
    path="/props", context=("default_generation_settings", "n_ctx"), slots=("total_slots",)
)
_IMAGE = "ggml-org/llama.cpp"
# NVIDIA's oldest driver for a major version of CUDA; the newest images check more on consumer cards, at their start
_DRIVERS = (
    DriverNeed(image=_IMAGE, tags="server-cuda13*", cuda="13", least=(580, 65)),
    DriverNeed(image=_IMAGE, tags="server-cuda", cuda="12.8", least=(570,), cards="GeForce"),
    DriverNeed(image=_IMAGE, tags="server-cuda*", cuda="12", least=(525, 60)),
)


@dataclass(frozen=True, slots=True)
class LlamaCpp:
    name: str = "llama.cpp"
    formats: frozenset[str] = frozenset({"gguf"})
    health: str = "/health"
    signals: Signals = _SIGNALS
    loaded: ContextAnswer = _LOADED
    capabilities: frozenset[Capability] = frozenset({"chat", "stream", "tools"})
    drivers: tuple[DriverNeed, ...] = _DRIVERS
    keep_alive: bool = False

    def default_image(self, cards: bool) -> str:
        """The published image: with CUDA, or for the processor alone."""
        return f"ghcr.io/{_IMAGE}:{'server-cuda' if cards else 'server'}"

    def words(self, wish: Wish) -> Argv:
        """All words that do not depend on the place. Raises StackFileError for a reserved flag."""
        refuse_reserved(wish, _RESERVED, "llama-server")
        # a quantized value cache works with flash attention only; otherwise the build's `auto` is right
        cache = () if wish.cache == "f16" else ("-ctk", wish.cache, "-ctv", wish.cache, "-fa", "on")
        layers = "0" if wish.in_memory else ALL_LAYERS
        return (
            *("--metrics", "--no-webui", "--alias", wish.name),
            *("-c", str(wish.context * wish.slots), "-np", str(wish.slots), "-ngl", layers),
            *cache,
            *wish.args,
        )

    def command(self, words: Argv, seat: Seat) -> Argv:
        """The container's command line. Cards share evenly, as placement counted."""
        split = ("--split-mode", "none")
        if seat.cards > 1:
            split = ("--split-mode", "layer", "--tensor-split", ",".join("1" * seat.cards))
        elif seat.cards == 0:
            split = ()
        return ("-m", seat.model_path, "--host", "127.0.0.1", "--port", str(seat.port), *split, *words)

    def body(self, seat: Seat) -> Body:  # noqa: ARG002
        return Body()
