"""The bytes that each token stands for, whatever a tokenizer's decoder does to get there.

A text is the tokens' bytes, joined, then read as UTF-8: that makes any stream exact. Knows no ids.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from penstock.errors import UnsupportedModel

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def _byte_of_character() -> dict[str, int]:
    """GPT-2's table: printable Latin-1 stands for itself, all other bytes follow from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in printable)
    table = {chr(byte): byte for byte in printable}
    return table | {chr(256 + number): byte for number, byte in enumerate(others)}


_BYTE_OF = _byte_of_character()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpelling:
    """How a tokenizer spells bytes in its tokens."""

    byte_level: bool = False  # every character of a token is one byte
    byte_tokens: bool = False  # a token like <0x0A> is one byte
    replacements: tuple[tuple[str, str], ...] = ()
    strips_leading_space: bool = False  # of the whole text, not of each token

    def bytes_of(self, token: str) -> bytes:
        """Return the bytes that a token of the vocabulary stands for."""
        if self.byte_level:
            return _byte_level(token)
        if self.byte_tokens and (match := _BYTE_TOKEN.fullmatch(token)):
            return bytes.fromhex(match[1])
        for old, new in self.replacements:
            token = token.replace(old, new)
        return token.encode()


def _byte_level(token: str) -> bytes:
    try:
        return bytes([_BYTE_OF[character] for character in token])
    except KeyError:  # added as plain text, not spelt in bytes
        return token.encode()


def read_spelling(decoder: Mapping[str, Any] | None) -> TokenSpelling:
    """Read the `decoder` section of a `tokenizer.json`; refuse an unknown step by name."""
    spelling = TokenSpelling()
    for step in _steps(decoder):
        spelling = _with_step(spelling, step)
    return spelling


def _steps(decoder: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if decoder is None:
        raise _unknown("none at all")
    if decoder["type"] == "Sequence":
        return [step for inner in decoder["decoders"] for step in _steps(inner)]
    return [decoder]


def _with_step(spelling: TokenSpelling, step: Mapping[str, Any]) -> TokenSpelling:
    match step:
        case {"type": "ByteLevel"}:
            return replace(spelling, byte_level=True)
        case {"type": "ByteFallback"}:
            return replace(spelling, byte_tokens=True)
        case {"type": "Fuse"}:
            return spelling
        case {"type": "Replace", "pattern": {"String": str(old)}, "content": str(new)}:
            return replace(spelling, replacements=(*spelling.replacements, (old, new)))
        case {"type": "Metaspace", "replacement": str(old), "prepend_scheme": scheme}:
            replacements = (*spelling.replacements, (old, " "))
            strips = scheme != "never"
            return replace(spelling, replacements=replacements, strips_leading_space=strips)
        case {"type": "Strip", "content": " ", "start": 0 | 1 as start, "stop": 0}:
            return replace(spelling, strips_leading_space=start == 1)
    raise _unknown(str(dict(step)))


def _unknown(decoder: str) -> UnsupportedModel:
    return UnsupportedModel(
        f"This tokenizer turns tokens into text by a step that Penstock does not know: {decoder}.",
        "Byte-level BPE, SentencePiece BPE and Unigram tokenizers are supported.",
    )
