"""The stream of text: whatever the ids and however they are split, the pieces are the whole."""

import functools
from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from penstock.text.detokenizer import IncrementalDetokenizer
from penstock.text.tokenizer import Tokenizer

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@functools.cache
def single_bytes(tokenizer: Tokenizer) -> list[int]:
    """The ids of the tokens that are one byte each."""
    return [i for i in range(tokenizer.vocab_size) if len(tokenizer.token_bytes(i)) == 1]


def any_ids(tokenizer: Tokenizer) -> st.SearchStrategy[list[int]]:
    """Ids from anywhere, those that are a single byte more often: they break characters."""
    anywhere = st.integers(0, tokenizer.vocab_size + 10)
    return st.lists(st.one_of(anywhere, st.sampled_from(single_bytes(tokenizer))), max_size=30)


def split(data: st.DataObject, ids: Sequence[int]) -> Iterable[Sequence[int]]:
    """The ids in pieces, some of them empty."""
    cuts = data.draw(st.lists(st.integers(0, len(ids)), max_size=len(ids)).map(sorted))
    return [ids[a:b] for a, b in zip([0, *cuts], [*cuts, len(ids)], strict=True)]


@given(data=st.data())
def test_the_pieces_joined_are_the_whole_whatever_the_ids(
    byte_level: Tokenizer, data: st.DataObject
) -> None:
    ids = data.draw(any_ids(byte_level))
    stream = IncrementalDetokenizer(byte_level)

    pieces = [stream.push(part) for part in split(data, ids)]

    assert "".join(pieces) + stream.flush() == byte_level.decode(ids)


@given(data=st.data())
def test_the_pieces_joined_are_the_whole_of_a_sentencepiece_text(
    sentencepiece: Tokenizer, data: st.DataObject
) -> None:
    ids = data.draw(st.lists(st.integers(0, sentencepiece.vocab_size - 1), max_size=30))
    stream = IncrementalDetokenizer(sentencepiece)

    pieces = [stream.push(part) for part in split(data, ids)]

    assert "".join(pieces) + stream.flush() == sentencepiece.decode(ids)


@given(text=TEXT)
def test_no_piece_of_a_text_ever_holds_half_a_character(byte_level: Tokenizer, text: str) -> None:
    stream = IncrementalDetokenizer(byte_level)

    pieces = [stream.push([token_id]) for token_id in byte_level.encode(text)]

    assert "".join(pieces).count(REPLACEMENT) == text.count(REPLACEMENT)
    assert stream.flush() == ""


def test_a_character_in_four_tokens_comes_out_with_the_last(small: Tokenizer) -> None:
    single = {small.token_bytes(i): i for i in range(small.vocab_size)}
    ids = [single[bytes([byte])] for byte in "\U0001f600".encode()]
    stream = IncrementalDetokenizer(small)

    assert [stream.push([token_id]) for token_id in ids] == ["", "", "", "\U0001f600"]


def test_what_never_became_whole_shows_at_the_end_only(small: Tokenizer) -> None:
    single = {small.token_bytes(i): i for i in range(small.vocab_size)}
    stream = IncrementalDetokenizer(small)

    assert stream.push([single[b"\xf0"], single[b"\x9f"]]) == ""
    assert stream.flush() == REPLACEMENT
    assert stream.flush() == ""


@given(data=st.data())
def test_a_copy_goes_its_own_way(byte_level: Tokenizer, data: st.DataObject) -> None:
    before, first, second = (data.draw(any_ids(byte_level)) for _ in range(3))
    stream = IncrementalDetokenizer(byte_level)
    start = stream.push(before)

    twin = stream.copy()
    one = start + stream.push(first) + stream.flush()
    other = start + twin.push(second) + twin.flush()

    assert one == byte_level.decode([*before, *first])
    assert other == byte_level.decode([*before, *second])


@given(before=TEXT, after=TEXT)
def test_a_copy_knows_whether_the_text_has_begun(
    sentencepiece: Tokenizer, before: str, after: str
) -> None:
    first, rest = sentencepiece.encode(before), sentencepiece.encode(after)
    stream = IncrementalDetokenizer(sentencepiece)
    start = stream.push(first)

    twin = stream.copy()

    assert start + twin.push(rest) + twin.flush() == sentencepiece.decode([*first, *rest])


@given(prompt=TEXT.filter(str.strip), text=TEXT)
def test_after_a_prompt_the_stream_is_what_the_prompt_lacks(
    sentencepiece: Tokenizer, prompt: str, text: str
) -> None:
    before, ids = sentencepiece.encode(prompt), sentencepiece.encode(text)
    stream = IncrementalDetokenizer(sentencepiece, after=before)

    streamed = stream.push(ids) + stream.flush()

    assert sentencepiece.decode(before) + streamed == sentencepiece.decode([*before, *ids])
