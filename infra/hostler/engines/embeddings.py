"""llama-server for embeddings: texts become vectors, by the same published image, from GGUF.

How the vectors of tokens become one (pooling) stands in the file. A text is worked on whole, and what is longer
than a batch would be refused: so a batch is as long as the context.
"""

from __future__ import annotations

from dataclasses import dataclass

from hostler.engines.base import Argv, Capability, Wish
from hostler.engines.llama_cpp import LlamaCpp
from hostler.errors import StackFileError

_BATCH = ("-b", "--batch-size", "-ub", "--ubatch-size")


@dataclass(frozen=True, slots=True)
class LlamaEmbeddings(LlamaCpp):
    """Serves `POST /v1/embeddings`, and no chat."""

    name: str = "embeddings"
    capabilities: frozenset[Capability] = frozenset({"embeddings"})

    def words(self, wish: Wish) -> Argv:
        """All words that do not depend on the place. Raises StackFileError for a reserved flag."""
        found = [word for word in wish.args if word.partition("=")[0] in _BATCH]
        if found:
            raise StackFileError.of(
                wish.where,
                expected="words of llama-server that are not decided elsewhere",
                got=" ".join(found),
                next_step="use `context`: a text is worked on in one batch",
            )
        batch = str(wish.context)
        return ("--embeddings", "-b", batch, "-ub", batch, *LlamaCpp.words(self, wish))
