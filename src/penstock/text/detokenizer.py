"""Turns a stream of token ids into a stream of text; knows no stop strings and no end of it."""

import codecs
from collections.abc import Iterable, Sequence

from penstock.text.tokenizer import Tokenizer

_new_decoder = codecs.getincrementaldecoder("utf-8")


class IncrementalDetokenizer:
    """Emits text as soon as it is certain: never half a character.

    All pieces joined, `flush` included, are `tokenizer.decode` of all ids. `after` is what the text
    continues, such as the prompt: a space at the start is then part of the text.
    """

    def __init__(self, tokenizer: Tokenizer, after: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._decoder = _new_decoder("replace")
        self._at_start = tokenizer.strips_leading_space
        self.push(after)

    def push(self, token_ids: Iterable[int]) -> str:
        """Take the next ids; return the text that they complete."""
        new = b"".join(map(self._tokenizer.token_bytes, token_ids))
        return self._without_first_space(self._decoder.decode(new))

    def flush(self) -> str:
        """Return what is left at the end: U+FFFD for a character that never became whole."""
        return self._without_first_space(self._decoder.decode(b"", final=True))

    def copy(self) -> "IncrementalDetokenizer":
        """Return an equal detokenizer that goes its own way, as a fork of a sequence does."""
        twin = IncrementalDetokenizer.__new__(IncrementalDetokenizer)
        twin._tokenizer = self._tokenizer
        twin._decoder = _new_decoder("replace")
        twin._decoder.setstate(self._decoder.getstate())
        twin._at_start = self._at_start
        return twin

    def _without_first_space(self, text: str) -> str:
        if not (self._at_start and text):
            return text
        self._at_start = False
        return text.removeprefix(" ")
