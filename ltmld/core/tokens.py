"""Token estimates without a tokenizer: words times 1.3, the measure all budgets here are kept in."""

from __future__ import annotations

# English prose on Llama-class tokenizers: 1.3 tokens a word; the benchmarks of this project count the same way.
TOKENS_PER_WORD = 1.3


def estimate(text: str) -> float:
    """Return the estimated number of tokens in *text*."""
    return TOKENS_PER_WORD * len(text.split())
