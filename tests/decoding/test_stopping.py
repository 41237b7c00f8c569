"""A sequence ends at the end token, at a stop string however it is split, or at its length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.decoding.stopping import Stopping
from penstock.types import FinishReason

TOKENS = [b"", b"a", b"b", b"ab", b"aab", b"\xc3", b"\xa9"]  # token 0 is the end, 5 + 6 is "é"


def _stopping(*stop: str, max_new_tokens: int = 100) -> Stopping:
    return Stopping(
        max_new_tokens=max_new_tokens,
        eos_token_ids=frozenset({0}),
        stop=tuple(text.encode() for text in stop),
        token_bytes=TOKENS.__getitem__,
    )


@pytest.mark.parametrize(
    ("token_ids", "reason"),
    [
        ([1], None),
        ([0], FinishReason.STOP),
        ([1, 1, 1], FinishReason.LENGTH),
        ([1, 1, 0], FinishReason.STOP),
    ],
)
def test_the_end_token_wins_over_the_length(token_ids: list[int], reason: FinishReason) -> None:
    assert _stopping(max_new_tokens=3).reason(token_ids) == reason


def test_a_stop_string_may_begin_in_one_token_and_end_in_the_middle_of_another() -> None:
    assert _stopping("ba").reason([2, 4]) == FinishReason.STOP
    assert _stopping("é").reason([1, 5, 6]) == FinishReason.STOP
    assert _stopping("é").reason([1, 5]) is None


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=20),
    st.lists(st.text("abé", min_size=1, max_size=5), min_size=1, max_size=3),
)
def test_it_ends_at_the_first_token_that_completes_a_stop_string(
    token_ids: list[int], stop: list[str]
) -> None:
    stopping = _stopping(*stop)

    for end in range(1, len(token_ids) + 1):
        written = b"".join(TOKENS[t] for t in token_ids[:end])
        before = b"".join(TOKENS[t] for t in token_ids[: end - 1])
        completes = any(_count(written, s) > _count(before, s) for s in stop)
        assert (stopping.reason(token_ids[:end]) is not None) == completes


def _count(text: bytes, stop: str) -> int:
    """Occurrences of `stop`, overlapping ones too."""
    return len(_places(text, stop.encode()))


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=12),
    st.lists(st.text("abé", min_size=1, max_size=5), min_size=1, max_size=3),
)
def test_what_is_shown_is_what_lies_wholly_before_the_cut(
    token_ids: list[int], stop: list[str]
) -> None:
    stopping = _stopping(*stop)
    ends = (i for i in range(1, len(token_ids) + 1) if stopping.reason(token_ids[:i]) is not None)
    token_ids = token_ids[: next(ends, 0)] or [*token_ids, 0]
    written = b"".join(TOKENS[t] for t in token_ids)
    found = [(i + len(s), i) for s in map(str.encode, stop) for i in _places(written, s)]
    _, cut = min(found, default=(0, len(written)))

    num_shown = stopping.num_shown(token_ids)

    assert len(b"".join(TOKENS[t] for t in token_ids[:num_shown])) <= cut
    assert token_ids[-1] == 0 or len(b"".join(TOKENS[t] for t in token_ids[: num_shown + 1])) > cut


def _places(text: bytes, stop: bytes) -> list[int]:
    return [i for i in range(len(text)) if text.startswith(stop, i)]
