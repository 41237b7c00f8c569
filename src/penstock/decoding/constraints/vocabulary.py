"""A tokenizer's tokens as llguidance wants to know them: their bytes, and which are special.

Special tokens have names there instead of bytes, so no text can spell one.
"""

import weakref
from collections.abc import Mapping, Sequence

from llguidance import LLTokenizer, TokenizerWrapper

from penstock.errors import InvalidParameter
from penstock.text.tokenizer import Tokenizer


def read_vocabulary(tokenizer: Tokenizer) -> LLTokenizer:
    """The vocabulary of a tokenizer. Takes a second for a hundred thousand tokens."""
    ends = sorted(i for i in tokenizer.eos_token_ids if i < tokenizer.vocab_size)
    if not ends:
        raise InvalidParameter(
            "This model has no token that ends a text, which a text of a set form needs.",
            "Choose another model, or leave the form out.",
        )
    return LLTokenizer(TokenizerWrapper(_Tokens(tokenizer, ends[0])), eos_token=ends)


class _Tokens:
    """What `TokenizerWrapper` asks of a tokenizer."""

    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer, eos_token_id: int) -> None:
        spelt = [tokenizer.token_bytes(i) for i in range(tokenizer.vocab_size)]
        self.eos_token_id = eos_token_id
        self.special_token_ids = [i for i, token in enumerate(spelt) if not token]
        self.tokens: Sequence[bytes] = [
            token or _name_of(tokenizer, i) for i, token in enumerate(spelt)
        ]
        self._tokenizer = weakref.ref(tokenizer)  # which may go, and llguidance never lets go
        self._token_bytes = spelt
        self._id_of: Mapping[bytes, int] = {
            token: i for i, token in reversed(list(enumerate(spelt))) if token
        }
        self._longest = max(map(len, self._id_of), default=0)

    def __call__(self, text: str) -> list[int]:
        """The tokens of a piece of text: the tokenizer's own where they spell just that piece.

        Some put a space before every text; then the longest tokens that fit are taken.
        """
        if not isinstance(text, str):
            raise TypeError("this tokenizer takes text, not bytes")
        wanted = text.encode()
        tokenizer = self._tokenizer()
        token_ids = [] if tokenizer is None else tokenizer.encode_word(text)
        if b"".join(self._token_bytes[i] for i in token_ids) == wanted:
            return token_ids
        return self._longest_first(wanted)

    def _longest_first(self, wanted: bytes) -> list[int]:
        token_ids: list[int] = []
        start = 0
        while start < len(wanted):
            ends = range(min(len(wanted), start + self._longest), start, -1)
            end = next((e for e in ends if wanted[start:e] in self._id_of), None)
            if end is None:
                return []
            token_ids.append(self._id_of[wanted[start:end]])
            start = end
        return token_ids


def _name_of(tokenizer: Tokenizer, token_id: int) -> bytes:
    return (tokenizer.token_text(token_id) or f"<|{token_id}|>").encode()
