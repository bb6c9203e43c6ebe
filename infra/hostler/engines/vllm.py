"""vLLM: safetensors on one card, or on several by tensor parallel.

The words follow the image's entry point, `vllm serve`. How much of a card it takes is worked out here and said
in words: its own default, 0.92 of whatever card, does not know of a desktop or of another model there.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
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
from hostler.engines.families import family_of
from hostler.errors import StackFileError

IMAGE = "vllm/vllm-openai"
UTILISATION = "--gpu-memory-utilization"
VISIBLE = 0.983  # CUDA sees that part of the MiB that nvidia-smi counts
CACHE = "/var/lib/hostler/cache/vllm"  # compiled kernels: minutes of the next start
SHUTDOWN_S = 20  # it is drained before; this is for what came in between
STOP_S = 40
LOAD_S = 420  # compiling and capturing graphs, besides reading the weights
SEQUENCES = 64  # requests served at once, which share the cache

_RESERVED: Mapping[str, str] = {
    **dict.fromkeys(("--model", "--tokenizer", "--revision", "--hf-token", "--hf-config-path"), "`source`"),
    **dict.fromkeys(("--host", "--port", "--uds", "--root-path"), "nothing: the gateway finds it"),
    **dict.fromkeys(("--api-key",), "`hostler key`: keys are the gateway's"),
    **dict.fromkeys(("--ssl-keyfile", "--ssl-certfile", "--ssl-ca-certs"), "`gateway.tls`"),
    **dict.fromkeys(("--max-model-len",), "`context`"),
    **dict.fromkeys(("--max-num-seqs",), "`slots`"),
    **dict.fromkeys(("--tensor-parallel-size", "-tp"), "`cards`"),
    **dict.fromkeys(("--served-model-name",), "the model's name in the stack file"),
    **dict.fromkeys(("--shutdown-timeout",), "`drain`"),
    **dict.fromkeys(
        ("--pipeline-parallel-size", "-pp", "--data-parallel-size", "-dp", "--nnodes", "--node-rank", "--headless",
         "--master-addr", "--master-port", "--distributed-executor-backend"),
        "nothing: a replica runs on one host (one model over several hosts is not built yet)",
    ),
    **dict.fromkeys(("--runner", "--convert", "--task"), "nothing: it chats (embeddings: GGUF with `engine: embeddings`)"),
    **dict.fromkeys(("--enable-sleep-mode",), "nothing: sleeping is not built yet"),
    **dict.fromkeys(("-h", "--help", "--version"), "nothing: it would not serve"),
}  # fmt: skip

_SIGNALS = Signals(
    running="vllm:num_requests_running",
    waiting="vllm:num_requests_waiting",
    tokens=("vllm:prompt_tokens_total", "vllm:generation_tokens_total"),
)
_LOADED = ContextAnswer(path="/v1/models", context=("data", "0", "max_model_len"))
_DRIVERS = (
    DriverNeed(image=IMAGE, tags="latest*", cuda="13", least=(580, 65)),
    DriverNeed(image=IMAGE, tags="nightly*", cuda="13", least=(580, 65)),
    DriverNeed(image=IMAGE, tags="v0.3[0-9].*", cuda="13", least=(580, 65)),
)


@dataclass(frozen=True, slots=True)
class Vllm:
    name: str = "vllm"
    formats: frozenset[str] = frozenset({"safetensors"})
    health: str = "/health"
    signals: Signals = _SIGNALS
    loaded: ContextAnswer = _LOADED
    capabilities: frozenset[Capability] = frozenset({"chat", "stream", "tools"})
    drivers: tuple[DriverNeed, ...] = _DRIVERS
    keep_alive: bool = True

    def default_image(self, cards: bool) -> str:  # noqa: ARG002
        """The published image, with CUDA; there is none for the processor alone."""
        return f"docker.io/{IMAGE}:latest"

    def words(self, wish: Wish) -> Argv:
        """All words that do not depend on the place. Raises StackFileError for a reserved flag, or for a kind of
        cache that is llama.cpp's."""
        refuse_reserved(wish, _RESERVED, "vLLM")
        _refuse_cache(wish)
        return (
            *("--served-model-name", wish.name),
            *("--max-model-len", str(wish.context), "--max-num-seqs", str(wish.slots)),
            *("--shutdown-timeout", str(SHUTDOWN_S), "--disable-uvicorn-access-log"),
            *_parsers(wish),
            *without(wish.args, UTILISATION),
        )

    def command(self, words: Argv, seat: Seat) -> Argv:
        """The container's command line: the folder of the checkpoint, its cards and its part of each."""
        parallel = ("--tensor-parallel-size", str(seat.cards)) if seat.cards > 1 else ()
        return (
            posixpath.dirname(seat.model_path),
            *("--host", "127.0.0.1", "--port", str(seat.port)),
            *parallel,
            *(UTILISATION, part(seat)),
            *words,
        )

    def body(self, seat: Seat) -> Body:
        """Shared memory carries the results from card to card where no bridge does."""
        several = seat.cards > 1
        links = (("NCCL_P2P_LEVEL", "NVL"),) if several and not seat.bridged else ()
        return Body(
            env=(
                ("HF_HUB_OFFLINE", "1"),
                ("VLLM_NO_USAGE_STATS", "1"),
                ("HOME", CACHE),  # its account has none, and the image is read-only
                ("USER", "hostler"),
                *links,
            ),
            shm_mib=8192 if several else 1024,
            writable=(CACHE,),
            stop_s=STOP_S,
            load_s=LOAD_S,
        )


def part(seat: Seat) -> str:
    """The part of the smallest of its cards that it takes, as vLLM counts it. Where the card is not known:
    vLLM's own default."""
    if not seat.card_mib or not seat.each_mib:
        return "0.92"
    text = f"{min(1.0, seat.each_mib / (VISIBLE * seat.card_mib)):.3f}"
    return text.removesuffix(
        "0"
    )  # 0.92 as everybody writes it; two digits of 80 GiB would be 0.4 GiB too many


def asked_part(args: Sequence[str]) -> float | None:
    """The part of a card that the user's own words ask for. Raises ValueError where it is no number."""
    for at, word in enumerate(args):
        name, _, value = word.partition("=")
        if name == UTILISATION:
            return float(value or (args[at + 1] if at + 1 < len(args) else ""))
    return None


def without(args: Sequence[str], flag: str) -> Argv:
    """The words without a flag and its value."""
    kept: list[str] = []
    skip = False
    for word in args:
        if skip:
            skip = False
        elif word == flag:
            skip = True
        elif not word.startswith(flag + "="):
            kept.append(word)
    return tuple(kept)


def _parsers(wish: Wish) -> Argv:
    """By the model's family, unless the user's words name them."""
    family = family_of(wish.source, wish.kind)
    given = {word.partition("=")[0] for word in wish.args}
    words: Argv = ()
    if family and family.tools and "--tool-call-parser" not in given:
        words += ("--enable-auto-tool-choice", "--tool-call-parser", family.tools)
    if family and family.reasoning and "--reasoning-parser" not in given:
        words += ("--reasoning-parser", family.reasoning)
    return words


def _refuse_cache(wish: Wish) -> None:
    if wish.cache != "f16":
        raise StackFileError.of(
            wish.where_cache,
            expected="`cache: f16`, the only kind that is the same in vLLM",
            got=wish.cache,
            next_step="leave `cache` out; for a cache in FP8 add --kv-cache-dtype fp8 to `args`",
        )
