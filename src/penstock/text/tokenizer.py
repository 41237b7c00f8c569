"""Text to token ids and back, the same for every kind of tokenizer; knows no model and no file."""

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import tokenizers

from penstock.errors import InvalidParameter
from penstock.text.token_bytes import read_spelling
from penstock.text.tokenizer_files import read_eos_token_ids, read_tokenizer


class Tokenizer:
    """Encodes and decodes; safe to share between threads.

    Special tokens spelt out in a text are plain text: nobody can end or open a turn by writing one.
    Only `encode_marked` takes them for what they are.
    """

    def __init__(self, backend: tokenizers.Tokenizer, eos_token_ids: frozenset[int]) -> None:
        backend.no_truncation()  # a prompt is never cut in silence
        backend.no_padding()
        backend.encode_special_tokens = True
        decoder = backend.decoder
        self._backend = backend
        self._spelling = read_spelling(
            None if decoder is None else json.loads(decoder.__getstate__())
        )
        self._added = backend.get_added_tokens_decoder()
        self._specials = {
            str(token.content): token_id
            for token_id, token in self._added.items()
            if token.special and token.content
        }
        longest_first = sorted(self._specials, key=lambda content: -len(content))
        self._special_pattern = re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})")
        # Ids may have gaps, so the largest one counts.
        self.vocab_size = 1 + max(backend.get_vocab(with_added_tokens=True).values(), default=-1)
        self.eos_token_ids = eos_token_ids
        # Filled as tokens are first seen: equal whichever thread fills it, so no lock is needed.
        self._bytes: list[bytes | None] = [None] * self.vocab_size
        self._shown: dict[int, tuple[str, tuple[int, ...]]] = {}

    @classmethod
    def from_folder(cls, folder: Path) -> "Tokenizer":
        """Load the tokenizer of a model folder, in the quickest way that its files allow."""
        backend = read_tokenizer(folder)
        return cls(backend, read_eos_token_ids(folder, backend))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the tokens and their ids."""
        vocabulary = sorted(self._backend.get_vocab(with_added_tokens=True).items())
        return hashlib.sha256(json.dumps(vocabulary).encode()).hexdigest()

    def has_same_tokens(self, other: "Tokenizer") -> bool:
        """Whether every token id stands for the same in both, and the same ids end a text."""
        vocabularies = [t._backend.get_vocab(with_added_tokens=True) for t in (self, other)]
        return vocabularies[0] == vocabularies[1] and self.eos_token_ids == other.eos_token_ids

    @property
    def strips_leading_space(self) -> bool:
        """Whether a text loses one space at its very start, as SentencePiece texts do."""
        return self._spelling.strips_leading_space

    def encode(self, text: str) -> list[int]:
        """Return the text's token ids, with what the tokenizer itself puts around a text."""
        _check_unicode(text)
        token_ids: list[int] = self._backend.encode(text).ids
        return token_ids

    def encode_word(self, text: str) -> list[int]:
        """Return the token ids of a piece of text, with nothing put around it."""
        token_ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return token_ids

    def encode_marked(self, text: str, *, guard: str = "", with_ends: bool = False) -> list[int]:
        """Return the ids of a text in which special tokens are meant, but for guarded ones.

        `with_ends` adds what the tokenizer itself puts around a text. See `guarded`.
        """
        _check_unicode(text)
        pieces = self._special_pattern.split(text)  # every second one is a special token
        token_ids: list[int] = []
        for i, piece in enumerate(pieces):
            if i % 2:
                token_ids.append(self._specials[piece])
            else:
                plain = self._plain_piece(pieces, i)
                plain = plain.replace(guard, "") if guard else plain
                token_ids += self._backend.encode(plain, add_special_tokens=False).ids
        before, after = self._ends if with_ends else ([], [])
        return [*before, *token_ids, *after]

    def _plain_piece(self, pieces: Sequence[str], i: int) -> str:
        """Piece `i` without the spaces that the special tokens beside it take with them."""
        plain = pieces[i]
        if i > 0 and self._added[self._specials[pieces[i - 1]]].rstrip:
            plain = plain.lstrip()
        if i + 1 < len(pieces) and self._added[self._specials[pieces[i + 1]]].lstrip:
            plain = plain.rstrip()
        return plain

    def guarded(self, text: str, guard: str) -> str:
        """Return the text with the character `guard` inside every special token spelt in it."""
        for content in self._specials:
            text = text.replace(content, content[0] + guard + content[1:])
        return text

    @property
    def _ends(self) -> tuple[list[int], list[int]]:
        """The ids that the tokenizer puts before and after a text."""
        probe = "a"
        bare = self._backend.encode(probe, add_special_tokens=False).ids
        whole = self._backend.encode(probe).ids
        start = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
        return whole[:start], whole[start + len(bare) :]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of the ids; special tokens have none, broken UTF-8 shows as U+FFFD."""
        text = b"".join(map(self.token_bytes, token_ids)).decode("utf-8", "replace")
        return text.removeprefix(" ") if self.strips_leading_space else text

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of one token: none for special tokens and ids that no token has.

        A model may have more rows than the vocabulary has tokens, so such ids do occur.
        """
        if not 0 <= token_id < self.vocab_size:
            return b""
        known = self._bytes[token_id]
        if known is None:
            known = self._bytes[token_id] = self._spell(token_id)
        return known

    def token_text(self, token_id: int) -> str:
        """Return one token as it is shown to people: special tokens by name."""
        added = self._added.get(token_id)
        if added is not None:
            return str(added.content)
        return self.token_bytes(token_id).decode("utf-8", "replace")

    def shown(self, token_id: int) -> tuple[str, tuple[int, ...]]:
        """Return one token's `token_text` and its bytes as numbers, made once for each token."""
        known = self._shown.get(token_id)
        if known is None:
            known = self.token_text(token_id), tuple(self.token_bytes(token_id))
            self._shown[token_id] = known
        return known

    def _spell(self, token_id: int) -> bytes:
        added = self._added.get(token_id)
        if added is not None:
            return b"" if added.special else str(added.content).encode()
        token = self._backend.id_to_token(token_id)
        return b"" if token is None else self._spelling.bytes_of(token)


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidParameter(
            f"The text holds half a character (U+{ord(text[error.start]):04X}) "
            f"at position {error.start}.",
            "Send valid Unicode.",
            param="prompt",
        ) from error
