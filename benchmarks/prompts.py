"""Prompts of an exact number of tokens, different for every stream, the same in every run."""

from pathlib import Path

from benchmarks.load import Prompt
from penstock.text.tokenizer import Tokenizer

TEXT = (
    "once upon a time a miller lived by a slow green river with his three daughters and a cat that "
    "had seen more of the world than any of them and every evening when the wheel stood still the "
    "cat told them where it had been how it crossed the hills in the first snow how it slept in a "
    "tower of an old king who had forgotten his own name and how it came home again because of all "
    "the warm places under the sky the one beside their stove was the warmest of them all and the "
    "youngest daughter who never said much asked each time whether the king was still waiting there"
)
REPEATS = 6  # long enough for the longest prompt
WORDS_APART = 5  # streams begin at different words, so no two prompts agree


def prompts(folder: Path, *, count: int, num_tokens: int) -> tuple[Prompt, ...]:
    """`count` prompts of exactly `num_tokens` tokens of the folder's tokenizer."""
    tokenizer = Tokenizer.from_folder(folder)
    words = TEXT.split() * REPEATS
    starts = [WORDS_APART * i % len(words) for i in range(count)]
    return tuple(
        _cut(tokenizer, " ".join(words[start:] + words[:start]), num_tokens) for start in starts
    )


def _cut(tokenizer: Tokenizer, text: str, num_tokens: int) -> Prompt:
    """The shortest beginning of `text` that has `num_tokens` tokens."""
    for end in range(num_tokens, len(text) + 1):
        token_ids = tokenizer.encode(text[:end])
        if len(token_ids) == num_tokens:
            return Prompt(token_ids=tuple(token_ids), text=text[:end])
    raise ValueError(f"No beginning of the text has exactly {num_tokens} tokens.")
