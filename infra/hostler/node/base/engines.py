"""Names under which engines count, on their pages of metrics."""

from __future__ import annotations

RUNNING = ("llamacpp:requests_processing", "vllm:num_requests_running")
WAITING = ("llamacpp:requests_deferred", "vllm:num_requests_waiting")
TOKENS = (
    "llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total", "vllm:prompt_tokens_total", "vllm:generation_tokens_total",
)  # fmt: skip
FIRST_TOKEN = ("vllm:time_to_first_token_seconds",)  # histograms; llama-server has none
# Work done; what is not among them says nothing, or moves by itself.
WORK = (
    *TOKENS, "llamacpp:n_decode_total", "vllm:request_success_total", "vllm:prefix_cache_queries_total",
)  # fmt: skip
