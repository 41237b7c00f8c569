"""What a token spells, by hand, for each kind of spelling."""

import pytest

from penstock.text.token_bytes import TokenSpelling, read_spelling

BYTE_LEVEL = read_spelling({"type": "Sequence", "decoders": [{"type": "ByteLevel"}]})
LLAMA = read_spelling(
    {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    }
)
METASPACE = read_spelling(
    {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
)


@pytest.mark.parametrize(
    ("spelling", "token", "expected"),
    [
        (BYTE_LEVEL, "\u0120the", b" the"),
        (BYTE_LEVEL, "\u010a", b"\n"),
        (BYTE_LEVEL, "\u00c3\u00a9", "\u00e9".encode()),
        (BYTE_LEVEL, "\u00f0\u0141", b"\xf0\x9f"),
        (BYTE_LEVEL, "two words", b"two words"),  # not spelt in bytes, so plain text
        (LLAMA, "\u2581the", b" the"),
        (LLAMA, "<0x0A>", b"\n"),
        (LLAMA, "<0xe2>", b"\xe2"),
        (LLAMA, "<0x0A>\u2581", b"<0x0A> "),
        (METASPACE, "\u2581\u2581", b"  "),
        (METASPACE, "<0x0A>", b"<0x0A>"),
    ],
)
def test_a_token_spells_its_bytes(spelling: TokenSpelling, token: str, expected: bytes) -> None:
    assert spelling.bytes_of(token) == expected


def test_only_sentencepiece_texts_lose_a_space_at_their_start() -> None:
    never = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "never"}

    assert LLAMA.strips_leading_space
    assert METASPACE.strips_leading_space
    assert not BYTE_LEVEL.strips_leading_space
    assert not read_spelling(never).strips_leading_space
