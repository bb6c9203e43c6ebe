"""Which of vLLM's parsers reads a family's tool calls and reasoning. Pure data.

Source: vLLM's documentation, "Tool calling" and "Reasoning outputs". First match counts. A model that is not
here answers chats; its tool calls stay text until `args` names a parser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """`names`: in the source's words, without regard to case; `kinds`: model_type of config.json, none: any."""

    names: str
    kinds: tuple[str, ...] = ()
    tools: str = ""
    reasoning: str = ""

    def fits(self, source: str, kind: str) -> bool:
        named = re.search(self.names, source, re.IGNORECASE)
        return bool(named) and (not self.kinds or not kind or kind in self.kinds)


FAMILIES = (
    Family(r"deepseek-?r1-distill", reasoning="deepseek_r1"),
    Family(r"deepseek-?r1", tools="deepseek_v3", reasoning="deepseek_r1"),
    Family(r"deepseek-?v3\.1", tools="deepseek_v31", reasoning="deepseek_v3"),
    Family(r"deepseek-?v3", tools="deepseek_v3"),
    Family(r"qwen-?3-?coder", tools="qwen3_coder"),
    Family(r"qwen-?3.*instruct", tools="hermes"),
    Family(r"qwen-?3", tools="hermes", reasoning="qwen3"),
    Family(r"qwq", tools="hermes", reasoning="deepseek_r1"),
    Family(r"qwen-?2\.5-coder", tools="hermes"),
    Family(r"qwen-?2\.5|hermes-[234]", tools="hermes"),
    Family(r"gpt-oss", tools="openai", reasoning="openai_gptoss"),
    Family(r"llama-?4", tools="llama4_pythonic"),
    Family(r"llama-?3\.[123]", kinds=("llama", "mllama"), tools="llama3_json"),
    Family(r"magistral", tools="mistral", reasoning="mistral"),
    Family(r"mistral|mixtral|ministral|devstral", tools="mistral"),
    Family(r"granite-3", tools="granite", reasoning="granite"),
    Family(r"glm-4\.7", tools="glm47", reasoning="glm47"),
    Family(r"glm-4\.[56]", tools="glm45", reasoning="glm45"),
    Family(r"gemma-?4", tools="gemma4", reasoning="gemma4"),
    Family(r"kimi-k2", tools="kimi_k2"),
    Family(r"phi-?4-mini", tools="phi4_mini_json"),
)


def family_of(source: str, kind: str = "") -> Family | None:
    """`source`: as in the stack file; `kind`: model_type of config.json, empty: unknown."""
    return next((family for family in FAMILIES if family.fits(source, kind)), None)
